"""Registration of the keyboard by kind of scene, summarised."""

from handroll.evaluation.keyboard_scenes import measure_scene
from handroll.evaluation.scene_kinds import HARDEST


def scene_seeds(kind, number, first_seed):
    """Seeds of the scenes of a kind."""
    return range(first_seed, first_seed + number * (2 if kind in HARDEST else 1))


def score_scenes(kind, seeds):
    """Register the keyboard in scenes of a kind.

    Parameters
    ----------
    kind : str
        One of `scene_kinds.KINDS`.
    seeds : iterable of int

    Returns
    -------
    dict
        `kind`; numbers of `scenes`, `registered`, `refused` and `wrong` (registered, and off by more than 3 mm along or
        10 mm across the keys); `along_mm` and
        `across_mm`, the greatest error of those registered, None where there is none; `measured`, the rows of `measure_scene`.
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
