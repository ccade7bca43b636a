"""Plots of the evaluation: the reliability diagram of fingering labels."""

import numpy as np
from matplotlib.figure import Figure

from handroll.provenance import atomic_path


def save_reliability(rows, path):
    """Plot the share of correct labels against their confidence, and save it as PNG. Error bars are standard errors.

    Parameters
    ----------
    rows : list of dict
        Result of `figures.reliability`; may be empty.
    path : path
    """
    figure = Figure(figsize=(5.0, 5.0), layout="constrained")
    axes = figure.subplots()
    axes.plot([0.0, 1.0], [0.0, 1.0], color="0.6", linewidth=1.0)
    confidence, right, number = (np.array([row[name] for row in rows], dtype=float) for name in ("confidence", "right", "labels"))
    # Half a correct and half a wrong label are added to each bin, so that the standard error of a share of 0 or 1 is not 0.
    smoothed = (right * number + 0.5) / (number + 1.0)
    axes.errorbar(confidence, right, np.sqrt(smoothed * (1.0 - smoothed) / (number + 1.0)), fmt="o", color="#1f4e79", capsize=3.0)
    for x, y, n in zip(confidence, right, number, strict=True):
        axes.annotate(f"{n:.0f}", (x, y), textcoords="offset points", xytext=(6, -12), fontsize=8)
    axes.set(
        xlabel="confidence", ylabel="share of correct labels", xlim=(0.6, 1.03), ylim=(0.0, 1.05), title="Fingering labels by confidence"
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
