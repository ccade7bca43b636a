"""What can be measured on a real recording without knowing the truth."""

import numpy as np

from handroll.metrics.key_press import key_press_scores
from handroll.tables import State


def score_recording(detections, motion, notes, registration):
    """Score what the pipeline wrote about a real recording.

    Parameters
    ----------
    detections, motion : dict of str to array (frame, hand 2, ...)
        `tables.DETECTIONS` and `tables.MOTION` by frame; no frame where the video was rejected.
    notes : dict of str to array (note,)
        `tables.FINGERED_NOTES`, on the picture's clock.
    registration : dict
        registration.json.

    Returns
    -------
    dict
        `both_hands_found` (share of frames), `observed` (share of hands and frames), `keyboard` (words), `notes` (number),
        `labelled` (share of notes), `key_press_f1`; None where there is nothing to measure it on. The F1 compares with the notes
        that were found, which are not the truth.
    """
    frames, heard = len(motion["state"]), len(notes["pitch"])
    on_keys = heard and np.isfinite(motion["joints_keyboard_mm"]).any()
    presses = on_keys and key_press_scores(notes, motion["time_s"][:, 0], motion["joints_keyboard_mm"])
    return {
        "both_hands_found": float(detections["found"].all(axis=1).mean()) if len(detections["found"]) else None,
        "observed": float((motion["state"] == State.OBSERVED).mean()) if frames else None,
        "keyboard": registration["problem"] or f"{100 * registration['confidence']:.0f} % of the edges",
        "notes": heard,
        "labelled": float((notes["finger"] > 0).mean()) if heard else None,
        "key_press_f1": float(presses["key_press_f1"]) if on_keys else None,
    }
