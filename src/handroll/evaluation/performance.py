"""Scores of one performance: what every stage of the pipeline wrote about a simulated video, against the truth of that video.

A figure is either a pair of numbers (numerator, denominator), so that performances can be added up, or a list of samples.
"""

import numpy as np
from mir_eval.transcription import match_notes

from handroll.evaluation.keyboard_scenes import errors_mm
from handroll.evaluation.textures import TEXTURES, note_textures
from handroll.hand.skeleton import HANDS, JOINTS, LANDMARK_OF_JOINT, TIPS
from handroll.metrics.alignment import procrustes
from handroll.metrics.key_press import key_press_scores
from handroll.metrics.transcription import LEAST_NOTE_S, ONSET_TOLERANCE_S, note_scores
from handroll.tables import State

PALM = JOINTS.index("index1"), JOINTS.index("pinky1")
"""Joints whose distance is the width of the palm: the knuckles of the index finger and of the little finger."""

MOSTLY = 0.5
"""A hand counts as gone while fewer than this share of its joints is visible."""

GAP_FRAMES = 30
"""Gaps of fewer frames are to be interpolated, longer ones hidden: the limit of PianoMotion10M."""


def score_detection(truth, detections):
    """Score the detected hands, in the frame as shown.

    Parameters
    ----------
    truth : synth.truth.Truth
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
    """Score the registered keyboard at the playing points of the keys in the frame.

    Parameters
    ----------
    truth : synth.truth.Truth
    registered : keyboard.registered.RegisteredKeyboard

    Returns
    -------
    (dict of str to (float, float), dict of str to list of float)
        Counts; and samples `along_mm`, `across_mm`, the 95th percentile of the error of this keyboard.
    """
    counts = {"registered": (int(not registered.problem), 1)}
    if registered.problem:
        return counts, {}
    errors = errors_mm(registered, truth.view)
    return counts, {"along_mm": [errors["along_p95_mm"]], "across_mm": [errors["across_p95_mm"]]}


def score_motion(truth, motion, by_sight):
    """Score the cleaned motion.

    Parameters
    ----------
    truth : synth.truth.Truth
    motion : dict of str to array (frame, hand 2, ...)
        `tables.MOTION` by frame.
    by_sight : dict of str to array (frame, hand 2, ...)
        `tables.POSE` by frame, as the pose engine fitted it: before notes refined it, and before cleaning.

    Returns
    -------
    dict of str to (float, float)
        Sums and counts. Those of the keyboard frame are absent where no keyboard was registered.
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
        ("tip_error_by_sight", by_sight["joints_keyboard_mm"], shown & by_sight["found"]),
    ):
        off = (joints_mm - true_mm)[chosen][:, list(TIPS)]
        if not off.size or np.isnan(off).all():
            continue
        distance_mm = np.linalg.norm(off, axis=-1)
        counts[f"{name}_mm"] = (float(distance_mm.sum()), int(distance_mm.size))
        for axis, side in enumerate(("along", "across", "height")):
            counts[f"{name}_{side}_mm"] = (float(np.abs(off[..., axis]).sum()), int(distance_mm.size))
    if np.isfinite(motion["joints_keyboard_mm"]).any():
        counts["key_press_f1"] = (key_press_scores(truth.notes, truth.time_s, motion["joints_keyboard_mm"])["key_press_f1"], 1)
    counts["key_press_f1_of_truth"] = (key_press_scores(truth.notes, truth.time_s, true_mm)["key_press_f1"], 1)
    return counts


def gap_states(visible, state):
    """Planted gaps (most of a hand's joints not visible), and how many of them have the state that they must have.

    Where a hand comes and goes it is partly visible and may be found or not, so the middle half of each gap is judged: all of it
    must be interpolated where the gap is shorter than `GAP_FRAMES`, and hidden where it is not.

    Parameters
    ----------
    visible : bool array (frame, hand 2, joint 21)
    state : array (frame, hand 2)

    Returns
    -------
    dict of str to (int, int)
        `short_gaps`, `long_gaps`: those with the right state, and all.
    """
    counts = {"short_gaps": [0, 0], "long_gaps": [0, 0]}
    gone = visible.mean(axis=2) < MOSTLY
    for side in range(len(HANDS)):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], gone[:, side], [0]])))
        for start, stop in edges.reshape(-1, 2):
            if visible[start:stop, side].any(axis=1).all():
                continue  # A hand at the edge of the frame: never wholly gone, so nothing was planted here.
            quarter = (stop - start) // 4
            kind, wanted = ("short_gaps", State.INTERPOLATED) if stop - start < GAP_FRAMES else ("long_gaps", State.HIDDEN)
            counts[kind][0] += int((state[start + quarter : stop - quarter, side] == wanted).all())
            counts[kind][1] += 1
    return {kind: tuple(pair) for kind, pair in counts.items()}


def score_music(truth, notes, offset_s):
    """Score transcribed notes, and the offset that was found between sound and picture.

    Parameters
    ----------
    truth : synth.truth.Truth
        `about["sound_delay_s"]` says how late the sound was made.
    notes : dict of str to array (note,)
        `tables.NOTES`, in the time of the sound.
    offset_s : float
        How late the sound was found to be.

    Returns
    -------
    (dict of str to (float, float), dict of str to list of float)
        Counts; and the sample `offset_error_ms`, found minus planted.
    """
    late_s = truth.about["sound_delay_s"]
    scores = note_scores(_later(truth.notes, late_s), notes)
    counts = {"onset_f1": (scores["f1"], 1), "onset_offset_f1": (scores["f1_offset"], 1)}
    return counts, {"offset_error_ms": [1e3 * (offset_s - late_s)]}


def score_fingering(truth, notes, offset_s):
    """Score the labels of hand and finger on the notes that were both played and transcribed, by texture.

    Parameters
    ----------
    truth : synth.truth.Truth
    notes : dict of str to array (note,)
        `tables.FINGERED_NOTES`, moved to the picture's clock by the offset that was found.
    offset_s : float
        That offset: notes are paired as they were transcribed, however wrong it is.

    Returns
    -------
    (dict of str to (int, int), dict of str to list of float)
        Counts: notes labelled, labels right, hands right; for each of `textures.TEXTURES` as `labelled_<texture>` and
        `label_right_<texture>`. Samples: `label_confidence` and `label_right` of every label.
    """
    played, heard = match_rows(_later(truth.notes, truth.about["sound_delay_s"] - offset_s), notes)
    hand, finger = np.array(HANDS, dtype=object)[truth.note_hand[played]], truth.note_finger[played] + 1
    labelled = notes["finger"][heard] > 0
    hand_right = notes["hand"][heard] == hand
    right = hand_right & (notes["finger"][heard] == finger)
    counts = {"labelled": _share(labelled), "label_right": _share(right, labelled), "label_hand_right": _share(hand_right, labelled)}
    texture = note_textures(truth.notes, truth.note_hand, truth.note_finger)[played]
    for name in TEXTURES:
        counts |= {
            f"labelled_{name}": _share(labelled, texture == name),
            f"label_right_{name}": _share(right, labelled & (texture == name)),
        }
    confidence = notes["finger_confidence"][heard][labelled]
    return counts, {"label_confidence": confidence.astype(float).tolist(), "label_right": right[labelled].astype(float).tolist()}


def match_rows(reference, estimate):
    """Rows of the notes that two tables have in common: arrays (match,) of each; same pitch, onsets within 50 ms, one to one."""
    if not len(reference["pitch"]) or not len(estimate["pitch"]):
        return np.empty(0, int), np.empty(0, int)
    pairs = match_notes(*_intervals(reference), *_intervals(estimate), onset_tolerance=ONSET_TOLERANCE_S, offset_ratio=None)
    return tuple(np.array(pairs, dtype=int).reshape(-1, 2).T)


def _intervals(notes):
    onset_s = np.asarray(notes["onset_s"], dtype=np.float64)
    end_s = np.maximum(np.asarray(notes["key_offset_s"], dtype=np.float64), onset_s + LEAST_NOTE_S)
    return np.stack([onset_s, end_s], axis=1), 440.0 * 2.0 ** ((np.asarray(notes["pitch"], dtype=np.float64) - 69.0) / 12.0)


def _later(notes, seconds):
    return {**notes, "onset_s": notes["onset_s"] + seconds, "key_offset_s": notes["key_offset_s"] + seconds}


def _share(good, among=None):
    """(number that are good, number) among those chosen."""
    good = np.asarray(good, dtype=bool)
    among = np.ones_like(good) if among is None else among
    return int((good & among).sum()), int(among.sum())
