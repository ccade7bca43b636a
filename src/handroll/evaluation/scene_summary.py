"""Accuracy of the keyboard registration by kind of scene."""

from handroll.evaluation.keyboard_scenes import measure_scene
from handroll.evaluation.scene_kinds import HARDEST


def scene_seeds(kind, number, first_seed):
    """Return the random seeds of the scenes of a kind, from `first_seed` up: `number` seeds, or twice as many for a kind in `HARDEST`."""
    return range(first_seed, first_seed + number * (2 if kind in HARDEST else 1))


def score_scenes(kind, seeds):
    """Register the keyboard in several scenes of a kind, and summarise the errors.

    Parameters
    ----------
    kind : str
        One of `scene_kinds.KINDS`.
    seeds : iterable of int

    Returns
    -------
    dict
        - `kind`.
        - `scenes`, `registered`, `refused`: numbers of all scenes, of those in which the keyboard was registered, and of the others.
        - `wrong`: number of registered scenes with an error above 3 mm along or 10 mm across the keyboard.
        - `along_mm`, `across_mm`: maximum error over the registered scenes; None if no scene is registered.
        - `measured`: results of `measure_scene`.
    """
    rows = [measure_scene(kind, seed) for seed in seeds]
    registered = [row for row in rows if not row["problem"]]
    return {
        "kind": kind,
        "scenes": len(rows),
        "registered": len(registered),
        "refused": len(rows) - len(registered),
        "wrong": sum(row["wrong"] for row in registered),
        "along_mm": max((row["along_max_mm"] for row in registered), default=None),
        "across_mm": max((row["across_max_mm"] for row in registered), default=None),
        "measured": rows,
    }
