"""Are the hands in the picture, and found, while the video can be used?"""

import numpy as np

from handroll.editing.segments import within
from handroll.reasons import Reason

SCORES = ("both_hands", "any_hand", "left_hand", "right_hand")


def measure(found, time_s=None, segments=None):
    """Shares of the frames in which hands were found.

    Parameters
    ----------
    found : bool array (frame, hand 2)
        `found` of `tables.DETECTIONS`.
    time_s : array (frame,), optional
        Presentation times, s, rising; needed with `segments`.
    segments : sequence of (start_s, end_s), optional
        Playable parts of the video: frames outside of them do not count. All frames count where it is left out.

    Returns
    -------
    dict
        `both_hands`, `any_hand`, `left_hand`, `right_hand`: shares of the frames, 0..1; 0 where there is no frame.

    Raises
    ------
    ValueError
        Segments without times, or times that are not as many as frames.
    """
    found = np.asarray(found, dtype=bool).reshape(-1, 2)
    if segments is not None:
        if time_s is None or len(time_s) != len(found):
            times = "none" if time_s is None else len(time_s)
            raise ValueError(f"expected the times of {len(found)} frames with the segments, found {times}")
        found = found[within(time_s, segments)]
    frames = max(len(found), 1)
    both, either = found.all(axis=1), found.any(axis=1)
    return {name: float(flags.sum() / frames) for name, flags in zip(SCORES, (both, either, found[:, 0], found[:, 1]), strict=True)}


def decide(scores, min_both_hands, min_any_hand=0.0):
    """Compare with the least shares of frames that show both hands, and at least one.

    Parameters
    ----------
    scores : dict
        Of `measure`.
    min_both_hands : float, 0..1
        Above 0 it rejects one-handed playing, too.
    min_any_hand : float, 0..1

    Returns
    -------
    tuple of Reason
        Empty where hands are found often enough; a video without any hand says so.
    """
    if not scores["any_hand"] > 0.0 and max(min_both_hands, min_any_hand) > 0.0:
        return (Reason.NO_HANDS,)
    enough = scores["both_hands"] >= min_both_hands and scores["any_hand"] >= min_any_hand
    return () if enough else (Reason.HANDS_RARELY_VISIBLE,)
