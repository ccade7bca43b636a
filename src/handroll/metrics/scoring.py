"""Scores of the motions that a method generates for the windows of a benchmark: all metrics, with confidence intervals over windows."""

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from handroll.hand.skeleton import HANDS
from handroll.metrics import pianomotion10m
from handroll.metrics.anticipation import MOVED_MM, anticipation
from handroll.metrics.bootstrap import estimate_to_json, mean_over_clips, statistic_over_clips
from handroll.metrics.diversity import diversity_mm, multimodality_mm
from handroll.metrics.false_presses import false_presses_per_min
from handroll.metrics.frame_press import calibrate_tip_radii, frame_press_scores
from handroll.metrics.frechet import fit_gaussian, frechet_distance, pooled
from handroll.metrics.height_press import PressHeights, Scored, calibrate_heights, height_press_scores
from handroll.metrics.joint_error import joint_error_scores
from handroll.metrics.key_press import find_presses, key_press_scores
from handroll.metrics.labelled_finger import labelled_finger_share
from handroll.metrics.mixture_wasserstein import COMPONENTS, mixture_wasserstein
from handroll.metrics.playing_frames import playing_frames
from handroll.metrics.position import AXES, axis_scores, position_scores
from handroll.metrics.smoothness import smoothness_scores
from handroll.training_data.loader import Clips
from handroll.training_data.model_frame import from_channels, motion_joints
from handroll.training_data.windows import Scales

SET_RESAMPLES = 200
"""Number of bootstrap samples for distances between sets. It is small, because each distance takes milliseconds."""

MIXTURE_STRIDE = 6
"""Step between the frames to which mixtures are fitted: 5 frames per second at 30 Hz. Neighbouring frames are similar."""

CALIBRATION_WINDOWS = 200
"""Maximum number of windows, evenly spaced, whose true motion calibrates the heights of presses. More would change them little."""

EDGE_S = 0.2
"""Time at both ends of a window in which key presses and notes are not scored (s). A stroke needs 0.1 s of motion before and after it to be
detected, and its note may be 0.1 s away."""

# Columns of a clip that scores need in addition to its motion.
_ROW_COLUMNS = ("notes", "audio_delay_s", *(f"{hand}_{name}" for hand in HANDS for name in ("bone_scale", "betas")))

_M_TO_MM = 1e3


def score_motions(motions, source, windows_path, autoencoder, released_autoencoder=None, mano=None, seed=0):
    """Score the motions of a method.

    Parameters
    ----------
    motions : dict of str to array
        Columns of `generation.motion_file.GENERATED`. A window may have several motions (samples).
    source : training_data.loader.Source
        Dataset with the ground truth.
    windows_path : path of windows.json
        Split, window length and scales of the benchmark.
    autoencoder : callable (position (window, frame, 6), pose (window, frame, 96)) -> array (window, feature)
        Function that computes the features of windows for `frechet_motion`.
    released_autoencoder : callable (pose (window, frame, 96)) -> array (window, 256), optional
        Function that computes the features of PianoMotion10M's released auto-encoder, for its FID. If None, FID is not computed.
    mano : hand.mano.ManoModel, optional
        Hand model whose joints are scored. If None, the joints are those of handroll's open hand.
    seed : int
        Random seed of the bootstrap.

    Returns
    -------
    dict of str to dict
        For each metric, the fields of `bootstrap.Estimate`. Metrics that compare sets use the first sample of each window. Other metrics
        use the mean over samples. If a metric cannot be computed, its "value" is None. If the reason is that there are too few frames or
        clips, the entry "undefined" contains an explanation. Metrics of key presses, fingers, anticipation and the axes of positions exist
        only in the keyboard frame.
    """
    chosen = json.loads(Path(windows_path).read_text(encoding="utf-8"))
    clips = Clips(source, chosen["split"])
    windows = _collect_windows(motions, clips, chosen["frames"], source, mano)
    calibration = _calibrate(windows, source) if source.frame == "keyboard" else None
    means = defaultdict(list)
    for window in windows:
        scores = [_sample_scores(window, sample, source, calibration) for sample in range(len(window["position"]))]
        for name in scores[0]:
            means[name].append([score[name] for score in scores])
        means["multimodality_mm"].append([multimodality_mm(window["joints"], window["visible"])])
    found = {name: mean_over_clips(np.array(values), seed) for name, values in means.items()}
    scales = Scales.from_dict(chosen["scales"])
    found |= _set_scores(windows, scales, autoencoder, released_autoencoder, seed)
    if calibration is not None:
        found |= _anticipation_scores(windows, source, seed)
        heights = {"press_height_white_mm": calibration.heights.white_mm, "press_height_black_mm": calibration.heights.black_mm}
        found |= {name: _without_interval(value, len(windows)) for name, value in heights.items()}
    reasons = _explain_undefined(windows)
    json_values = {name: estimate_to_json(estimate) for name, estimate in found.items()}
    return {
        name: values | ({"undefined": reasons[name]} if values["value"] is None and name in reasons else {})
        for name, values in json_values.items()
    }


def _explain_undefined(windows):
    """Return, by name of the metric, the reason why a metric may have no value: too few windows or frames."""
    frames = int(sum(window["visible"].all(axis=1).sum() for window in windows))
    mixed = int(sum(window["visible"].all(axis=1)[::MIXTURE_STRIDE].sum() for window in windows))
    samples = max(len(window["position"]) for window in windows)
    few = f"both hands are visible in {frames} frames"
    reasons = dict.fromkeys(("frechet_pose_rad2", "frechet_joints_mm2"), f"{few}; the metric needs 1")
    reasons["mixture_wasserstein"] = (
        f"both hands are visible in {mixed} of the frames used (one frame in {MIXTURE_STRIDE}); the metric needs {COMPONENTS}"
    )
    pairs = f"no two of {len(windows)} windows show the same hand in the same frame"
    reasons |= dict.fromkeys(("diversity_mm", "true_diversity_mm"), pairs)
    reasons["multimodality_mm"] = f"the metric needs 2 motions per window with a visible hand, found {samples}"
    hidden = "no window shows a hand"
    reasons |= {name: hidden for name in ("position_error_mm", "mpjpe_mm", "root_mpjpe_mm", "procrustes_mpjpe_mm")}
    unlabelled = "no window has notes with a label of hand and finger whose hand is visible"
    reasons["labelled_finger_share"] = unlabelled
    reasons |= {f"playing_position_{axis}_error_mm": unlabelled for axis in AXES}
    moves = f"no visible hand moves by {MOVED_MM:g} mm between two labelled notes"
    reasons |= dict.fromkeys(("anticipation_ms", "anticipation_difference_ms"), moves)
    return reasons | {name: "no window shows a hand in enough consecutive frames" for name in ("acceleration_ratio", "jerk_ratio")}


def _collect_windows(motions, clips, frames, source, mano):
    """Collect ground truth, generated motions and notes of each window: list of dicts of arrays.

    Joints and visibility have hands in the order of `HANDS`. Positions and poses are channels, right hand first.
    """
    rows = defaultdict(list)
    for row in range(len(motions["clip"])):
        rows[motions["subject"][row], motions["video"][row], int(motions["clip"][row]), int(motions["first_frame"][row])].append(row)
    number_of = {name: number for number, name in enumerate(clips.names)}
    windows = []
    for (subject, video, clip, first), samples in sorted(rows.items()):
        number = number_of[subject, video, clip]
        truth, about = clips[number], clips.rows(number, _ROW_COLUMNS)
        part = slice(first, first + frames)
        scale = np.array([about[f"{hand}_bone_scale"] for hand in HANDS], dtype=np.float64)
        scale = np.where(np.isfinite(scale), scale, 1.0)
        betas = np.stack([about[f"{hand}_betas"] for hand in HANDS])
        to_joints = partial(motion_joints, frame=source.frame, bone_scale=scale, betas=betas, mano=mano)
        unit = 1.0 if source.frame == "keyboard" else _M_TO_MM
        window = {
            "true_position": truth.position[part],
            "true_pose": truth.pose[part],
            "visible": truth.visible[part][:, ::-1],
            "position": np.stack([motions["position"][row] for row in samples]),
            "pose": np.stack([motions["pose"][row] for row in samples]),
            "bone_scale": scale,
            "notes": _note_arrays(about["notes"]),
            "start_s": first / source.rate_hz,
            "delay_s": float(about["audio_delay_s"]),
        }
        window["true_joints"] = unit * to_joints(*from_channels(window["true_position"], window["true_pose"]))
        window["joints"] = unit * to_joints(*from_channels(window["position"], window["pose"]))
        windows.append(window)
    return windows


def _note_arrays(rows):
    """Convert the notes of a clip from a list of dicts to arrays."""
    numbers = {name: np.array([note[name] for note in rows], dtype=np.float64) for name in ("onset_s", "key_offset_s", "pitch", "finger")}
    return numbers | {"hand": np.array([note["hand"] for note in rows], dtype=object)}


@dataclass(frozen=True)
class _Calibration:
    """Values that are calibrated on the ground truth of all windows.

    Attributes
    ----------
    heights : PressHeights
    tip_radii_mm : array (finger 5,)
        Result of `calibrate_tip_radii`.
    """

    heights: PressHeights
    tip_radii_mm: np.ndarray


def _calibrate(windows, source):
    """Calibrate the heights of presses on the ground truth of at most `CALIBRATION_WINDOWS` windows."""
    step = -(-len(windows) // CALIBRATION_WINDOWS)
    chosen = windows[::step]
    truths = [_scored(window, window["true_joints"], source) for window in chosen]
    return _Calibration(calibrate_heights(truths), calibrate_tip_radii(truths, [window["bone_scale"] for window in chosen]))


def _scored(window, joints, source):
    """Return a motion of a window, with joints (frame, hand, joint, xyz), as the input of key press metrics.

    Hands that are hidden in the ground truth are excluded, so that the ground truth and generated motions are scored on the same frames.
    """
    time_s = window["start_s"] + np.arange(len(joints)) / source.rate_hz
    shown = np.where(window["visible"][:, :, None, None], joints, np.nan)
    end_s = time_s[-1] + 1.0 / source.rate_hz
    return Scored(window["notes"], time_s, shown, time_s[0] + EDGE_S, end_s - EDGE_S, window["delay_s"])


def _playing_scores(window, sample, source, calibration):
    """Score how one motion of a window plays the notes. Keyboard frame."""
    motion = _scored(window, window["joints"][sample], source)
    span = motion.start_s, motion.end_s, motion.delay_s
    presses = find_presses(motion.time_s, motion.joints_keyboard_mm)
    scores = key_press_scores(motion.notes, motion.time_s, motion.joints_keyboard_mm, *span, presses)
    scores |= height_press_scores(motion, calibration.heights)
    scores |= frame_press_scores(motion, window["bone_scale"][:, None] * calibration.tip_radii_mm)
    scores["labelled_finger_share"] = labelled_finger_share(motion.notes, presses, *span)
    scores["false_presses_per_min"] = false_presses_per_min(motion.notes, presses, motion.time_s, motion.joints_keyboard_mm, *span)
    wrists = window["joints"][sample][:, :, 0], window["true_joints"][:, :, 0]
    return scores | axis_scores(*wrists, window["visible"], *playing_frames(motion.notes, motion.time_s, motion.delay_s))


def _anticipation_scores(windows, source, seed):
    """Estimate medians over the onsets of all windows: anticipation of the motions, and its difference from the truth."""
    pairs = []
    for window in windows:
        truth = _scored(window, window["true_joints"], source)
        true_wrists = truth.joints_keyboard_mm[:, :, 0]
        for joints in window["joints"]:
            wrists = _scored(window, joints, source).joints_keyboard_mm[:, :, 0]
            pairs.append(np.stack(anticipation(truth.notes, truth.time_s, wrists, true_wrists, truth.delay_s)))
    pairs = [1e3 * pair for pair in pairs if pair.shape[1]]
    statistics = {
        "anticipation_ms": lambda chosen: np.median(np.concatenate(chosen, axis=1)[0]),
        "anticipation_difference_ms": lambda chosen: np.median(np.subtract(*np.concatenate(chosen, axis=1))),
    }
    return {name: statistic_over_clips(pairs, statistic, seed, SET_RESAMPLES) for name, statistic in statistics.items()}


def _sample_scores(window, sample, source, calibration):
    """Score one motion of a window against the ground truth. `calibration` is None in the camera frame."""
    visible, joints, truth = window["visible"], window["joints"][sample], window["true_joints"]
    wrist = joints[:, :, 0], truth[:, :, 0]
    scores = position_scores(*wrist, visible) | joint_error_scores(joints, truth, visible)
    scores |= smoothness_scores(joints / _M_TO_MM, truth / _M_TO_MM, source.rate_hz, visible)
    if calibration is not None:
        scores |= _playing_scores(window, sample, source, calibration)
    return scores | _released_scores(window, sample, source)


def _released_scores(window, sample, source):
    """Compute PianoMotion10M's metrics of a window, for each hand and as the mean of both hands."""
    position, rotation = from_channels(window["position"][sample], window["pose"][sample])
    true_position, true_rotation = from_channels(window["true_position"], window["true_pose"])
    unit = 1.0 if source.frame == "camera" else 1.0 / _M_TO_MM
    scores = {}
    for side, hand in enumerate(HANDS):
        poses = (rotation[:, side].reshape(len(rotation), -1), true_rotation[:, side].reshape(len(rotation), -1))
        scores |= {
            f"released_{hand}_fgd": pianomotion10m.gesture_distance(*poses),
            f"released_{hand}_wgd": pianomotion10m.mixture_distance(*poses),
            f"released_{hand}_pd": pianomotion10m.position_distance(unit * position[:, side], unit * true_position[:, side]),
            f"released_{hand}_smooth": pianomotion10m.smoothness_difference(*poses),
        }
    for name in ("fgd", "wgd", "pd", "smooth"):
        scores[f"released_{name}"] = np.mean([scores[f"released_{hand}_{name}"] for hand in HANDS])
    return scores


def _set_scores(windows, scales, autoencoder, released_autoencoder, seed):
    """Compute the metrics that compare the motions of all windows with the ground truth as sets."""
    position, pose = (np.stack([window[name][0] for window in windows]) for name in ("position", "pose"))
    true_position, true_pose = (np.stack([window[name] for window in windows]) for name in ("true_position", "true_pose"))
    both = [window["visible"].all(axis=1) for window in windows]
    joints = [(window["joints"][0], window["true_joints"]) for window in windows]
    found = {
        "frechet_pose_rad2": _frechet_of_frames(zip(pose, true_pose, strict=True), both, seed),
        "frechet_joints_mm2": _frechet_of_frames(joints, both, seed),
        "frechet_motion": _frechet_of_windows(autoencoder(position, pose), autoencoder(true_position, true_pose), seed),
    }
    if released_autoencoder is not None:
        features = released_autoencoder(pose), released_autoencoder(true_pose)
        found["released_fid"] = statistic_over_clips(
            list(np.stack(features, axis=1)), lambda rows: pianomotion10m.feature_distance(*np.stack(rows, axis=1)), seed, SET_RESAMPLES
        )
    shown = np.stack(both)[:, ::MIXTURE_STRIDE]
    mixtures = [scales.scaled("pose", poses[:, ::MIXTURE_STRIDE])[shown] for poses in (pose, true_pose)]
    # Too few frames are not an error, because both hands are rarely visible in some datasets.
    enough = len(mixtures[0]) >= COMPONENTS
    found["mixture_wasserstein"] = _without_interval(mixture_wasserstein(*mixtures) if enough else np.nan, len(windows))
    visible = [window["visible"] for window in windows]
    found["diversity_mm"] = _without_interval(diversity_mm([made for made, _ in joints], visible, seed), len(windows))
    found["true_diversity_mm"] = _without_interval(diversity_mm([truth for _, truth in joints], visible, seed), len(windows))
    return found


def _frechet_of_frames(pairs, visible, seed):
    """Estimate the Fréchet distance between generated and true motions, over the frames in which both hands are visible.

    `pairs` contains the generated and the true motion (frame, ...) of each window. `visible` contains, for each window, a bool array
    (frame,).
    """
    pairs = [
        tuple(fit_gaussian(part[shown].reshape(shown.sum(), -1)) for part in pair)
        for pair, shown in zip(pairs, visible, strict=True)
        if shown.any()
    ]

    def distance(numbers):
        return frechet_distance(*(pooled(pairs[int(number)][side] for number in numbers) for side in range(2)))

    return statistic_over_clips(np.arange(len(pairs)), distance, seed, SET_RESAMPLES)


def _frechet_of_windows(features, truth, seed):
    """Estimate the Fréchet distance between features (window, feature) of generated and true motions."""
    # Projection on the subspace that all features span does not change distances. With few windows, this subspace has fewer dimensions than
    # the features, which saves time.
    axes, _ = np.linalg.qr(np.concatenate([features, truth]).T.astype(np.float64))
    features, truth = features @ axes, truth @ axes

    def distance(numbers):
        chosen = np.asarray(numbers, dtype=np.int64)
        return frechet_distance(fit_gaussian(features[chosen]), fit_gaussian(truth[chosen]))

    return statistic_over_clips(np.arange(len(features)), distance, seed, SET_RESAMPLES)


def _without_interval(value, clips):
    """Return the fields of an `Estimate` that has a value but no interval."""
    return {"value": value, "low": np.nan, "high": np.nan, "clips": clips, "left_out": 0}
