"""Scores of one simulated performance: compare the results of every step of the pipeline with the ground truth.

A score is either a pair (numerator, denominator), called a count, or a list of samples. Counts can be summed over performances.
"""

import numpy as np
from mir_eval.transcription import match_notes

from handroll.evaluation.keyboard_scenes import errors_mm
from handroll.evaluation.passage_types import TEXTURES, note_textures
from handroll.hand.skeleton import HANDS, JOINTS, LANDMARK_OF_JOINT, TIPS
from handroll.metrics.alignment import procrustes
from handroll.metrics.key_press import key_press_scores
from handroll.metrics.transcription import ONSET_TOLERANCE_S, intervals_and_hz, note_scores
from handroll.tables import State

PALM = JOINTS.index("index1"), JOINTS.index("pinky1")
"""Joints whose distance is the width of the palm: knuckles of the index finger and of the little finger."""

MIN_VISIBLE_JOINTS = 0.5
"""Minimum share of visible joints, 0..1. A hand with fewer visible joints counts as absent."""

GAP_FRAMES = 30
"""Minimum length of a gap that must be hidden, in frames; shorter gaps must be interpolated. PianoMotion10M has the same limit."""


def score_detection(truth, detections):
    """Score the detected hands.

    Parameters
    ----------
    truth : simulator.truth.Truth
    detections : dict of str to array (frame, hand 2, ...)
        Columns of `tables.DETECTIONS` by frame.

    Returns
    -------
    dict of str to (float, float)
        Numerator and denominator of each score.
    """
    visible, found = truth.visible.all(axis=2), detections["found"]
    both, judged = visible.all(axis=1), visible & found
    landmarks = detections["landmarks_px"][:, :, LANDMARK_OF_JOINT]
    palm_px = np.linalg.norm(truth.joints_px[:, :, PALM[0]] - truth.joints_px[:, :, PALM[1]], axis=-1)
    error, swapped = (np.linalg.norm(landmarks - joints, axis=-1).mean(axis=-1) for joints in (truth.joints_px, truth.joints_px[:, ::-1]))
    wrong_side = (swapped < error) & visible[:, ::-1]
    return {
        "both_hands_found": _share(found.all(axis=1), both),
        "hands_lost": _share(~found, visible),
        "right_side": _share(~wrong_side, judged),
        "landmark_error": (float((error / palm_px)[judged].sum()), int(judged.sum())),
    }


def score_registration(truth, registered):
    """Score the registered keyboard at the playing points in the frame.

    Parameters
    ----------
    truth : simulator.truth.Truth
    registered : keyboard.registration.RegisteredKeyboard

    Returns
    -------
    (dict of str to (float, float), dict of str to list of float)
        Counts, and samples. The samples `along_mm` and `across_mm` are the 95th percentiles of the errors of this keyboard.
    """
    counts = {"registered": (int(not registered.problem), 1)}
    if registered.problem:
        return counts, {}
    errors = errors_mm(registered, truth.view)
    return counts, {"along_mm": [errors["along_p95_mm"]], "across_mm": [errors["across_p95_mm"]]}


def score_motion(truth, motion, unrefined):
    """Score the cleaned motion.

    Parameters
    ----------
    truth : simulator.truth.Truth
    motion : dict of str to array (frame, hand 2, ...)
        Columns of `tables.MOTION` by frame.
    unrefined : dict of str to array (frame, hand 2, ...)
        Columns of `tables.POSE` by frame, as fitted by the pose engine: neither refined with the notes nor cleaned.

    Returns
    -------
    dict of str to (float, float)
        Numerator and denominator of each score. Without a registered keyboard, scores in the keyboard frame are absent.
    """
    visible = truth.visible.all(axis=2)
    shown = visible & (motion["state"] == State.OBSERVED)
    counts = {"observed": _share(motion["state"] == State.OBSERVED, visible), **gap_states(truth.visible, motion["state"])}
    if shown.any():
        aligned = procrustes(motion["joints_m"][shown], truth.joints_m[shown]).points
        distance_mm = 1e3 * np.linalg.norm(aligned - truth.joints_m[shown], axis=-1)
        counts["joint_error_mm"] = (float(distance_mm.sum()), int(distance_mm.size))
    true_mm = 1e3 * (truth.joints_m @ truth.view.rotation + np.array(truth.view.position_m))
    for name, joints_mm, chosen in (
        ("tip_error", motion["joints_keyboard_mm"], shown),
        ("tip_error_by_sight", unrefined["joints_keyboard_mm"], shown & unrefined["found"]),
    ):
        offset = (joints_mm - true_mm)[chosen][:, list(TIPS)]
        if not offset.size or np.isnan(offset).all():
            continue
        distance_mm = np.linalg.norm(offset, axis=-1)
        counts[f"{name}_mm"] = (float(distance_mm.sum()), int(distance_mm.size))
        for axis, side in enumerate(("along", "across", "height")):
            counts[f"{name}_{side}_mm"] = (float(np.abs(offset[..., axis]).sum()), int(distance_mm.size))
    if np.isfinite(motion["joints_keyboard_mm"]).any():
        counts["key_press_f1"] = (key_press_scores(truth.notes, truth.time_s, motion["joints_keyboard_mm"])["key_press_f1"], 1)
    counts["key_press_f1_of_truth"] = (key_press_scores(truth.notes, truth.time_s, true_mm)["key_press_f1"], 1)
    return counts


def gap_states(visible, state):
    """Count simulated gaps, and the gaps for which the motion has the correct state.

    In a gap, less than `MIN_VISIBLE_JOINTS` of the joints are visible. At both ends of a gap the hand is partly visible and may be detected
    or not. Therefore only the middle half of each gap is judged. This half must be interpolated if the gap has fewer than
    `GAP_FRAMES` frames, and hidden otherwise.

    Parameters
    ----------
    visible : bool array (frame, hand 2, joint 21)
    state : array (frame, hand 2)
        Values of `tables.State`.

    Returns
    -------
    dict of str to (int, int)
        `short_gaps` and `long_gaps`: number of gaps with the correct state, and number of gaps.
    """
    counts = {"short_gaps": [0, 0], "long_gaps": [0, 0]}
    absent = visible.mean(axis=2) < MIN_VISIBLE_JOINTS
    for side in range(len(HANDS)):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], absent[:, side], [0]])))
        for start, stop in edges.reshape(-1, 2):
            if visible[start:stop, side].any(axis=1).all():
                continue  # Not a simulated gap: the hand is at the edge of the frame and never completely absent.
            quarter = (stop - start) // 4
            kind, wanted = ("short_gaps", State.INTERPOLATED) if stop - start < GAP_FRAMES else ("long_gaps", State.HIDDEN)
            counts[kind][0] += int((state[start + quarter : stop - quarter, side] == wanted).all())
            counts[kind][1] += 1
    return {kind: tuple(pair) for kind, pair in counts.items()}


def score_music(truth, notes, offset_s):
    """Score the transcribed notes, and the estimated delay of the audio relative to the video.

    Parameters
    ----------
    truth : simulator.truth.Truth
        `about["sound_delay_s"]` is the true delay of the audio.
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`, on the audio clock.
    offset_s : float
        Estimated delay of the audio.

    Returns
    -------
    (dict of str to (float, float), dict of str to list of float)
        Counts, and samples. The sample `offset_error_ms` is the estimated minus the true delay.
    """
    delay_s = truth.about["sound_delay_s"]
    scores = note_scores(_shifted(truth.notes, delay_s), notes)
    counts = {"onset_f1": (scores["f1"], 1), "onset_offset_f1": (scores["f1_offset"], 1)}
    return counts, {"offset_error_ms": [1e3 * (offset_s - delay_s)]}


def score_fingering(truth, notes, offset_s):
    """Score the fingering labels of notes that were both played and transcribed, in total and by texture.

    Parameters
    ----------
    truth : simulator.truth.Truth
    notes : dict of str to array (note,)
        Columns of `tables.FINGERED_NOTES`, on the video clock: the estimated delay of the audio was subtracted.
    offset_s : float
        The estimated delay of the audio. It is added again before notes are matched, so that an error of the estimate has no effect.

    Returns
    -------
    (dict of str to (int, int), dict of str to list of float)
        Counts, and samples. Counts are `labelled` (labelled notes), `label_right` (correct labels), `label_hand_right` (labels with the
        correct hand), and for each of `passage_types.TEXTURES` `labelled_<texture>` and `label_right_<texture>`. Samples are
        `label_confidence` and `label_right` of every label.
    """
    played, transcribed = match_rows(_shifted(truth.notes, truth.about["sound_delay_s"] - offset_s), notes)
    hand, finger = np.array(HANDS, dtype=object)[truth.note_hand[played]], truth.note_finger[played] + 1
    labelled = notes["finger"][transcribed] > 0
    hand_right = notes["hand"][transcribed] == hand
    right = hand_right & (notes["finger"][transcribed] == finger)
    counts = {"labelled": _share(labelled), "label_right": _share(right, labelled), "label_hand_right": _share(hand_right, labelled)}
    texture = note_textures(truth.notes, truth.note_hand, truth.note_finger)[played]
    for name in TEXTURES:
        counts |= {
            f"labelled_{name}": _share(labelled, texture == name),
            f"label_right_{name}": _share(right, labelled & (texture == name)),
        }
    confidence = notes["finger_confidence"][transcribed][labelled]
    return counts, {"label_confidence": confidence.astype(float).tolist(), "label_right": right[labelled].astype(float).tolist()}


def match_rows(reference, estimate):
    """Match the notes of two tables one to one, by equal pitch and onsets within 50 ms. Return the rows (match,) of each table."""
    if not len(reference["pitch"]) or not len(estimate["pitch"]):
        return np.empty(0, int), np.empty(0, int)
    pairs = match_notes(*intervals_and_hz(reference), *intervals_and_hz(estimate), onset_tolerance=ONSET_TOLERANCE_S, offset_ratio=None)
    return tuple(np.array(pairs, dtype=int).reshape(-1, 2).T)


def _shifted(notes, seconds):
    """Return the notes (dict of arrays) with onsets and key releases that are later by a number of seconds."""
    return {**notes, "onset_s": notes["onset_s"] + seconds, "key_offset_s": notes["key_offset_s"] + seconds}


def _share(good, among=None):
    """Return the pair (numerator, denominator) of the share of `good` in `among`, two bool arrays of the same shape.

    The numerator is the number of elements that are true in both, the denominator the number that are true in `among`. None for `among`
    selects all elements.
    """
    good = np.asarray(good, dtype=bool)
    among = np.ones_like(good) if among is None else among
    return int((good & among).sum()), int(among.sum())
