"""Measure in how many frames of the usable segments hands are detected."""

import numpy as np

from handroll.editing.segments import within


def measure_visibility(found, time_s=None, segments=None):
    """Measure the shares of frames with detected hands.

    Parameters
    ----------
    found : bool array (frame, hand 2)
        Column `found` of `tables.DETECTIONS`.
    time_s : array (frame,), optional
        Presentation times, s, increasing; required with `segments`.
    segments : sequence of (start_s, end_s), optional
        Usable segments, s: only frames within them count. Default: all frames count.

    Returns
    -------
    dict
        Shares of the frames in which `both_hands`, `any_hand`, `left_hand`, `right_hand` are detected, 0..1; 0 without frames.

    Raises
    ------
    ValueError
        Segments are given without times, or the numbers of times and frames differ.
    """
    found = np.asarray(found, dtype=bool).reshape(-1, 2)
    if segments is not None:
        if time_s is None or len(time_s) != len(found):
            times = "none" if time_s is None else len(time_s)
            raise ValueError(f"segments need the time of each frame: expected {len(found)} times, found {times}")
        found = found[within(time_s, segments)]
    frames = max(len(found), 1)
    shares = {"both_hands": found.all(axis=1), "any_hand": found.any(axis=1), "left_hand": found[:, 0], "right_hand": found[:, 1]}
    return {name: float(flags.sum() / frames) for name, flags in shares.items()}
