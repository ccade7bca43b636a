"""Scores of one performance: results of every stage of the pipeline for a simulated video, compared with the ground truth.

A score is either a pair (numerator, denominator), so that performances can be summed, or a list of samples.
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
"""A hand is absent while less than this share of its joints is visible."""

GAP_FRAMES = 30
"""Gaps of fewer frames must be interpolated, longer gaps hidden; the limit of PianoMotion10M."""


def score_detection(truth, detections):
    """Score the detected hands.

    Parameters
    ----------
    truth : simulator.truth.Truth
    detections : dict of str to array (frame, hand 2, ...)
        `tables.DETECTIONS` by frame.

    Returns
    -------
    dict of str to (float, float)
        Numerators and denominators.
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
    """Score the registered keyboard at the playing points of the visible keys.

    Parameters
    ----------
    truth : simulator.truth.Truth
    registered : keyboard.registration.RegisteredKeyboard

    Returns
    -------
    (dict of str to (float, float), dict of str to list of float)
        Counts; and samples `along_mm` and `across_mm`, 95th percentiles of the errors of this keyboard.
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
        `tables.MOTION` by frame.
    unrefined : dict of str to array (frame, hand 2, ...)
        `tables.POSE` by frame as the pose engine fitted it: before refinement with notes, and before cleaning.

    Returns
    -------
    dict of str to (float, float)
        Sums and counts. Those of the keyboard frame are absent without a registered keyboard.
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
    """Count simulated gaps, in which most joints of a hand are not visible, and those with the correct state.

    At both ends of a gap the hand is partly visible and may be detected or not. Therefore only the middle half of each gap is judged: it
    must be interpolated if the gap is shorter than `GAP_FRAMES`, and hidden otherwise.

    Parameters
    ----------
    visible : bool array (frame, hand 2, joint 21)
    state : array (frame, hand 2)

    Returns
    -------
    dict of str to (int, int)
        `short_gaps`, `long_gaps`: number with the correct state, and number.
    """
    counts = {"short_gaps": [0, 0], "long_gaps": [0, 0]}
    absent = visible.mean(axis=2) < MIN_VISIBLE_JOINTS
    for side in range(len(HANDS)):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], absent[:, side], [0]])))
        for start, stop in edges.reshape(-1, 2):
            if visible[start:stop, side].any(axis=1).all():
                continue  # The hand is at the edge of the frame and never completely absent; this is not a simulated gap.
            quarter = (stop - start) // 4
            kind, wanted = ("short_gaps", State.INTERPOLATED) if stop - start < GAP_FRAMES else ("long_gaps", State.HIDDEN)
            counts[kind][0] += int((state[start + quarter : stop - quarter, side] == wanted).all())
            counts[kind][1] += 1
    return {kind: tuple(pair) for kind, pair in counts.items()}


def score_music(truth, notes, offset_s):
    """Score transcribed notes, and the estimated delay between audio and video.

    Parameters
    ----------
    truth : simulator.truth.Truth
        `about["sound_delay_s"]` is the true delay of the audio.
    notes : dict of str to array (note,)
        `tables.NOTES`, on the audio clock.
    offset_s : float
        Estimated delay of the audio.

    Returns
    -------
    (dict of str to (float, float), dict of str to list of float)
        Counts; and the sample `offset_error_ms`, estimated minus true delay.
    """
    delay_s = truth.about["sound_delay_s"]
    scores = note_scores(_shifted(truth.notes, delay_s), notes)
    counts = {"onset_f1": (scores["f1"], 1), "onset_offset_f1": (scores["f1_offset"], 1)}
    return counts, {"offset_error_ms": [1e3 * (offset_s - delay_s)]}


def score_fingering(truth, notes, offset_s):
    """Score the labels of hand and finger of notes that were both played and transcribed, by texture.

    Parameters
    ----------
    truth : simulator.truth.Truth
    notes : dict of str to array (note,)
        `tables.FINGERED_NOTES`, moved to the video clock by the estimated delay of the audio.
    offset_s : float
        That delay. It is removed before notes are matched, so that an error of it has no effect.

    Returns
    -------
    (dict of str to (int, int), dict of str to list of float)
        Counts: labelled notes, correct labels, labels with the correct hand; for each of `textures.TEXTURES` as `labelled_<texture>` and
        `label_right_<texture>`. Samples: `label_confidence` and `label_right` of every label.
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
    """Match notes of two tables one to one, by equal pitch and onsets within 50 ms; returns rows (match,) of each table."""
    if not len(reference["pitch"]) or not len(estimate["pitch"]):
        return np.empty(0, int), np.empty(0, int)
    pairs = match_notes(*intervals_and_hz(reference), *intervals_and_hz(estimate), onset_tolerance=ONSET_TOLERANCE_S, offset_ratio=None)
    return tuple(np.array(pairs, dtype=int).reshape(-1, 2).T)


def _shifted(notes, seconds):
    return {**notes, "onset_s": notes["onset_s"] + seconds, "key_offset_s": notes["key_offset_s"] + seconds}


def _share(good, among=None):
    """Number that are good, and number, of those in `among` (bool; None: all)."""
    good = np.asarray(good, dtype=bool)
    among = np.ones_like(good) if among is None else among
    return int((good & among).sum()), int(among.sum())
