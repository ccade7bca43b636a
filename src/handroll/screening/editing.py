"""Measure edits and camera motion: how much of the video is usable, and how long the camera moves."""

from handroll.editing.usable_segments import usable_segments


def measure_editing(edits, hands=None):
    """Measure the usable segments and the edits between them.

    Parameters
    ----------
    edits : dict
        `dataclasses.asdict` of `editing.edit_detection.Edits`.
    hands : dict, optional
        Number of hands in sampled frames; see `editing.usable_segments.usable_segments`.

    Returns
    -------
    dict
        `usable_s` and `longest_usable_s` (s); `usable_share` of the duration (0..1); `segments`, `cuts`, `jumps`, `fades` (counts);
        `black_s` (duration of frames of a single colour, black or other), `frozen_s`, `title_s`, `inset_s` (durations, s).
    """
    lengths = [end_s - start_s for start_s, end_s in usable_segments(edits, hands)]
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


def measure_camera_motion(edits):
    """Measure how long and how far the camera moves.

    Parameters
    ----------
    edits : dict
        `dataclasses.asdict` of `editing.edit_detection.Edits`.

    Returns
    -------
    dict
        `moving_s`: duration of all movements, s. `moving_share`: the same as a share of the time in which the camera is known to be
        static or moving, 0..1; 0 if there is no such time. `camera_shift`: largest shift in one movement, as a share of the frame's
        longer side. `camera_zoom`: largest zoom in one movement, as a ratio of at least 1. `places`: number of different static
        views.
    """
    moving_s = float(sum(move[1] - move[0] for move in edits["moves"]))
    known_s = moving_s + sum(place[1] - place[0] for place in edits["places"])
    return {
        "moving_s": moving_s,
        "moving_share": moving_s / known_s if known_s > 0.0 else 0.0,
        "camera_shift": float(max((move[2] for move in edits["moves"]), default=0.0)),
        "camera_zoom": float(max((move[3] for move in edits["moves"]), default=1.0)),
        "places": len({place[2] for place in edits["places"]}),
    }


def _total_s(intervals):
    """Return the total duration of intervals, s; overlaps count once. An interval is a row that starts with start_s, end_s."""
    total_s, end_of_union_s = 0.0, float("-inf")
    for start_s, end_s in sorted((interval[0], interval[1]) for interval in intervals):
        total_s += max(0.0, end_s - max(start_s, end_of_union_s))
        end_of_union_s = max(end_of_union_s, end_s)
    return total_s
