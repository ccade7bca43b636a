"""Are the hands in the picture, and found?"""

import numpy as np

from handroll.screen.reasons import Reason

SCORES = ("both_hands", "any_hand", "left_hand", "right_hand")


def measure(found):
    """Shares of the frames in which hands were found.

    Parameters
    ----------
    found : bool array (frame, hand 2)
        `found` of `schema.DETECTIONS`.

    Returns
    -------
    dict
        `both_hands`, `any_hand`, `left_hand`, `right_hand`: shares of the frames, 0..1; 0 where there is no frame.
    """
    found = np.asarray(found, dtype=bool).reshape(-1, 2)
    frames = max(len(found), 1)
    both, either = found.all(axis=1), found.any(axis=1)
    return {name: float(flags.sum() / frames) for name, flags in zip(SCORES, (both, either, found[:, 0], found[:, 1]), strict=True)}


def decide(scores, min_both_hands):
    """Compare with the least share of frames that show both hands.

    Returns
    -------
    tuple of Reason
        Empty where both hands are found often enough; a video without any hand says so.
    """
    if scores["both_hands"] >= min_both_hands:
        return ()
    return (Reason.HANDS_RARELY_VISIBLE,) if scores["any_hand"] > 0.0 else (Reason.NO_HANDS,)
