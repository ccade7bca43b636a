"""Is enough of the video one uninterrupted view of the keys? Edits are trimmed away; only what is left can be too little."""

from handroll.editing.usable_segments import usable_segments
from handroll.reasons import Reason

SCORES = (
    "usable_s",
    "usable_share",
    "longest_usable_s",
    "segments",
    "cuts",
    "jumps",
    "fades",
    "black_s",
    "frozen_s",
    "title_s",
    "inset_s",
)


def measure(edits, hands=None, min_segment_s=0.0):
    """How much can be played, and how much of what is in the way.

    Parameters
    ----------
    edits : dict
        `dataclasses.asdict` of `editing.edit_detection.Edits`.
    hands : dict, optional
        As of `editing.usable_segments.usable_segments`.
    min_segment_s : float
        Shorter segments are not usable.

    Returns
    -------
    dict
        `usable_s` and `longest_usable_s` (s), `usable_share` of the duration (0..1), `segments`, `cuts`, `jumps`, `fades`
        (counts), `black_s` (also of other single colours), `frozen_s`, `title_s`, `inset_s` (s).
    """
    lengths = [end_s - start_s for start_s, end_s in usable_segments(edits, hands, min_segment_s)]
    return {
        "usable_s": float(sum(lengths)),
        "usable_share": float(sum(lengths)) / edits["duration_s"] if edits["duration_s"] > 0.0 else 0.0,
        "longest_usable_s": float(max(lengths, default=0.0)),
        "segments": len(lengths),
        "cuts": len(edits["cuts"]),
        "jumps": len(edits["jumps"]),
        "fades": len(edits["fades"]),
        "black_s": _total_s(edits["black"]) + _total_s(edits["blank"]),
        "frozen_s": _total_s(edits["frozen"]),
        "title_s": _total_s(edits["titles"]),
        "inset_s": _total_s(edits["insets"]),
    }


def decide(scores, min_usable_s, min_longest_s):
    """Compare the usable time with the minimum in total and the minimum of the longest segment (s).

    Returns
    -------
    tuple of Reason
        Empty where enough is left.
    """
    enough = scores["usable_s"] >= min_usable_s and scores["longest_usable_s"] >= min_longest_s
    return () if enough else (Reason.CUT_UP,)


def _total_s(spans):
    """Time that intervals cover together, each moment once."""
    total_s, until_s = 0.0, float("-inf")
    for start_s, end_s in sorted((span[0], span[1]) for span in spans):
        total_s += max(0.0, end_s - max(start_s, until_s))
        until_s = max(until_s, end_s)
    return total_s
