"""Registration of the keyboard by kind of scene, summarised."""

from handroll.synth.keyboard_scenes import KINDS, measure_scene

MAX_ALONG_MM, MAX_ACROSS_MM = 3.0, 10.0
"""A registration that is off by more than this at any key in the frame is wrong: a tenth of a white key, and what moves a fingertip
from the white keys to the black ones."""

HARDEST = ("reflection", "lamp")
"""Kinds of which twice as many scenes are drawn: mirrored keys look like keys."""

__all__ = ["KINDS", "scene_seeds", "score_scenes"]


def scene_seeds(kind, number, first_seed):
    """Seeds of the scenes of a kind."""
    return range(first_seed, first_seed + number * (2 if kind in HARDEST else 1))


def score_scenes(kind, seeds):
    """Register the keyboard in scenes of a kind.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seeds : iterable of int

    Returns
    -------
    dict
        `kind`; numbers of `scenes`, `registered`, `refused` and `wrong` (registered, and off by more than the limits); `along_mm` and
        `across_mm`, the greatest error of those registered, None where there is none; `measured`, the rows of `measure_scene`.
    """
    rows = [measure_scene(kind, seed) for seed in seeds]
    registered = [row for row in rows if not row["problem"]]
    wrong = [row for row in registered if row["along_max_mm"] > MAX_ALONG_MM or row["across_max_mm"] > MAX_ACROSS_MM]
    return {
        "kind": kind,
        "scenes": len(rows),
        "registered": len(registered),
        "refused": len(rows) - len(registered),
        "wrong": len(wrong),
        "along_mm": max((row["along_max_mm"] for row in registered), default=None),
        "across_mm": max((row["across_max_mm"] for row in registered), default=None),
        "measured": rows,
    }
