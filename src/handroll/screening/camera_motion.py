"""Does the camera stand still? A bump between two still stretches is trimmed; a camera held by hand is not accepted."""

from handroll.reasons import Reason

SCORES = ("moving_s", "moving_share", "camera_shift", "camera_zoom", "places")


def measure(edits):
    """How long and how far the camera moves.

    Parameters
    ----------
    edits : dict
        `dataclasses.asdict` of `editing.edit_detection.Edits`.

    Returns
    -------
    dict
        `moving_s` (s); `moving_share` of the time in which the camera could be told to stand or to move (0..1; 0 where there is
        none); `camera_shift`, the farthest in one movement (share of the longer side); `camera_zoom`, the greatest in one movement
        (ratio, at least 1); `places`, in how many the camera stood.
    """
    moving_s = float(sum(move[1] - move[0] for move in edits["moves"]))
    told_s = moving_s + sum(place[1] - place[0] for place in edits["places"])
    return {
        "moving_s": moving_s,
        "moving_share": moving_s / told_s if told_s > 0.0 else 0.0,
        "camera_shift": float(max((move[2] for move in edits["moves"]), default=0.0)),
        "camera_zoom": float(max((move[3] for move in edits["moves"]), default=1.0)),
        "places": len({place[2] for place in edits["places"]}),
    }


def decide(scores, max_moving_share):
    """Compare with the greatest share of time in which the camera may move.

    Returns
    -------
    tuple of Reason
        Empty where it stands still for long enough.
    """
    return (Reason.CAMERA_MOVES,) if scores["moving_share"] > max_moving_share else ()
