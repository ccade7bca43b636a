"""Plots of the notes of a dataset: how often each key is struck, and with which velocity."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH, N_KEYS, is_black
from handroll.provenance import atomic_path

# Colours of text, axes, white keys, black keys and the median.
_INK, _GREY, _WHITE_KEY, _BLACK_KEY, _ACCENT = "#22262b", "#8a9199", "#7fa3c7", "#22405e", "#b5523b"
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e4e7ea",
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
}


def plot_keys(path, counts):
    """Plot the number of notes of each of the 88 keys, as PNG.

    Parameters
    ----------
    path : path
    counts : sequence (key 88,) of int
        Number of notes of each key, from A0 (MIDI pitch 21) to C8 (108).
    """
    pitches = np.arange(LOWEST_PITCH, HIGHEST_PITCH + 1)
    black = is_black(np.arange(N_KEYS))
    counts = np.asarray(counts)
    with matplotlib.rc_context(_STYLE):
        figure, axes = _new_figure()
        axes.bar(pitches[~black], counts[~black], width=0.82, color=_WHITE_KEY, label="white keys")
        axes.bar(pitches[black], counts[black], width=0.82, color=_BLACK_KEY, label="black keys")
        octaves = [LOWEST_PITCH, *range(24, HIGHEST_PITCH + 1, 12)]
        axes.set_xticks(octaves, ["A0", *(f"C{pitch // 12 - 1}" for pitch in octaves[1:])])
        axes.set_xlim(LOWEST_PITCH - 1, HIGHEST_PITCH + 1)
        axes.set_xlabel("key")
        _style_axes(axes, f"Notes of each key   (n = {counts.sum():,})")
        axes.legend(loc="upper right", ncols=2, handlelength=1.0, borderaxespad=0.0, bbox_to_anchor=(1.0, 1.1))
        _save(figure, path)


def plot_velocities(path, counts):
    """Plot the number of notes of each MIDI velocity, with the median, as PNG.

    Parameters
    ----------
    path : path
    counts : sequence (velocity 127,) of int
        Number of notes of each velocity, from 1 to 127.
    """
    velocities, counts = np.arange(1, 128), np.asarray(counts)
    with matplotlib.rc_context(_STYLE):
        figure, axes = _new_figure()
        axes.bar(velocities, counts, width=0.86, color=_WHITE_KEY)
        if counts.sum():
            median = velocities[np.searchsorted(np.cumsum(counts), counts.sum() / 2)]
            axes.axvline(median, color=_ACCENT, linewidth=1.2)
            axes.annotate(
                f"median {median}",
                (median, 1.0),
                (6, -4),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                color=_ACCENT,
                va="top",
            )
        axes.set_xticks([1, *range(16, 128, 16), 127])
        axes.set_xlim(0, 128)
        axes.set_xlabel("MIDI velocity")
        _style_axes(axes, f"Notes of each velocity   (n = {counts.sum():,})")
        _save(figure, path)


def _new_figure():
    """Return an empty figure and its axes."""
    figure = Figure(figsize=(9.0, 3.4), dpi=150, layout="constrained")
    return figure, figure.subplots()


def _style_axes(axes, title):
    """Add the title, and a vertical axis with whole numbers of notes."""
    axes.set_title(title, pad=10)
    axes.set_ylabel("notes")
    axes.set_ylim(bottom=0, top=None if axes.dataLim.ymax > 0 else 1)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _save(figure, path):
    """Write a figure as PNG, without metadata about matplotlib, so that the bytes depend only on the plot."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
