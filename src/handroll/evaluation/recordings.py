"""Scores of real recordings without ground truth."""

import numpy as np

from handroll.metrics.key_press import key_press_scores
from handroll.tables import State


def score_recording(detections, motion, notes, registration):
    """Score the results of the pipeline for a real recording.

    Parameters
    ----------
    detections, motion : dict of str to array (frame, hand 2, ...)
        Columns of `tables.DETECTIONS` and `tables.MOTION` by frame. For a rejected video they have no frames.
    notes : dict of str to array (note,)
        Columns of `tables.FINGERED_NOTES`, on the video clock.
    registration : dict
        Content of registration.json.

    Returns
    -------
    dict
        Scores; None for a score that cannot be measured.

        - `both_hands_found`: share of frames in which both hands are detected.
        - `observed`: share of pairs of hand and frame in which the hand is observed.
        - `keyboard`: problem or confidence of the registration, as text.
        - `notes`: number of notes.
        - `labelled`: share of notes with a fingering label.
        - `key_press_f1`: key press F1 of the motion, relative to the transcribed notes instead of the ground truth.
    """
    frames, count = len(motion["state"]), len(notes["pitch"])
    on_keys = count and np.isfinite(motion["joints_keyboard_mm"]).any()
    presses = on_keys and key_press_scores(notes, motion["time_s"][:, 0], motion["joints_keyboard_mm"])
    return {
        "both_hands_found": float(detections["found"].all(axis=1).mean()) if len(detections["found"]) else None,
        "observed": float((motion["state"] == State.OBSERVED).mean()) if frames else None,
        "keyboard": registration["problem"] or f"{100 * registration['confidence']:.0f} % of the edges",
        "notes": count,
        "labelled": float((notes["finger"] > 0).mean()) if count else None,
        "key_press_f1": float(presses["key_press_f1"]) if on_keys else None,
    }
