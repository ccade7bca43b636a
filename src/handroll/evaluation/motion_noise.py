"""Measure the errors of handroll's own motion on simulated performances, as parameters of a noise model (`training_data.motion_noise`)."""

from pathlib import Path

import numpy as np

from handroll.camera import extrinsics_from_metadata
from handroll.evaluation.videos import SUBJECT, VIDEO_PATTERN
from handroll.hand.rotations import compose
from handroll.keyboard.geometry import STANDARD
from handroll.mask_runs import runs
from handroll.pose.temporal_noise import ROBUST, jitter
from handroll.simulator.corpus import view_extrinsics
from handroll.simulator.truth import read_truth
from handroll.storage import read_table
from handroll.tables import MOTION, State, by_frame
from handroll.training_data.model_frame import clip_motion, table_row
from handroll.training_data.motion_noise import MotionNoise, attenuated

MOTION_PATTERN = f"results/motion/{SUBJECT}/{{video}}/motion.parquet"
"""Path of the motion of a simulated video, relative to the working directory."""

LAG_S = 0.25
"""Time (s) between the errors whose correlation gives the time constant of drifts."""

MAX_DRIFT_S = 30.0
"""Maximum time constant of drifts (s). Windows are shorter, so a longer drift looks the same: like a constant error."""

PARTS = ("wrist", "palm", "finger")
"""Parts of a pose whose errors are measured separately: position of the wrist, global rotation, and rotations of the finger joints."""

# Percentiles of the wrist's speed that separate slow and fast frames.
_SLOW, _FAST = 50, 90


def read_pairs(folder):
    """Read truth and motion of every simulated performance in a project folder.

    Parameters
    ----------
    folder : path
        Folder in which the target `evaluation` has run.

    Yields
    ------
    truth : simulator.truth.Truth
    motion : dict of str to array (frame, hand 2, ...)
        Columns of `tables.MOTION` by frame.
    extrinsics : handroll.camera.Extrinsics
        Registered keyboard. Performances without one are left out.

    Raises
    ------
    FileNotFoundError
        The folder contains no truth with its motion.
    """
    truths = sorted((Path(folder) / VIDEO_PATTERN).parent.glob("*.truth.npz"))
    found = [(path, Path(folder) / MOTION_PATTERN.format(video=path.name.removesuffix(".truth.npz"))) for path in truths]
    found = [pair for pair in found if pair[1].is_file()]
    if not found:
        raise FileNotFoundError(
            f"{folder}: expected simulated performances ({VIDEO_PATTERN}) and their motion ({MOTION_PATTERN}), found none; "
            "run `snakemake evaluation` in this folder first"
        )
    for truth_path, motion_path in found:
        columns, facts = read_table(motion_path, MOTION)
        extrinsics = extrinsics_from_metadata(facts)
        if extrinsics is not None:
            yield read_truth(truth_path), by_frame(columns), extrinsics


def measure_noise(pairs, by_axis=False):
    """Measure the parameters of a `MotionNoise`.

    Parameters
    ----------
    pairs : iterable
        Result of `read_pairs`.
    by_axis : bool
        Whether gains and errors of rotations are measured for each axis; otherwise one value holds for all axes.

    Returns
    -------
    noise : MotionNoise
        Confusion of fingers is not measured and has the rate 0.
    joint_frames : int
        Number of observed (frame, hand) pairs from which the errors were measured.

    Raises
    ------
    ValueError
        No hand is observed.
    """
    videos = [_Video(*pair) for pair in pairs]
    observed = sum(int(video.observed.sum()) for video in videos)
    if not observed:
        raise ValueError("expected performances in which a hand is observed, found none; check the registered keyboards and the motion")
    gains = [_gain([video.fast(part) for video in videos], by_axis) for part in PARTS]
    over_joints = (lambda values: values.reshape(-1, 3).mean(axis=0)) if by_axis else np.mean
    for video in videos:
        video.set_gains(*gains)
    errors = {name: _pooled([video.errors()[name] for video in videos]) for name in PARTS}
    groups = {name: _pooled([video.groups()[name] for video in videos]) for name in PARTS}
    speed = _pooled([video.group_speed() for video in videos])
    independent = {name: _jitter(values) for name, values in groups.items()}
    total = {name: ROBUST * np.median(np.abs(values), axis=0) for name, values in errors.items()}
    drift = {name: np.sqrt(np.maximum(total[name] ** 2 - independent[name] ** 2, 0.0)) for name in total}
    slow, fast = (speed <= np.percentile(speed, _SLOW), speed >= np.percentile(speed, _FAST))
    error_slow, error_fast = (float(np.median(np.abs(groups["wrist"][chosen]))) for chosen in (slow, fast))
    growth = max((error_fast / max(error_slow, 1e-6) - 1.0) / max(speed[fast].mean() - speed[slow].mean(), 1e-6), 0.0)
    # The growth applies to all frames. Therefore the parameters are the errors of a hand at rest.
    rest = 1.0 / (1.0 + growth * speed.mean())
    independent, drift = ({name: rest * values for name, values in part.items()} for part in (independent, drift))
    products = np.sum([video.lagged() for video in videos], axis=0)
    correlation = np.clip(products[0] / max(products[1], 1e-12), 0.01, np.exp(-LAG_S / MAX_DRIFT_S))
    swaps, gaps = (np.concatenate([getattr(video, name)() for video in videos]) for name in ("swaps_s", "gaps_s"))
    minutes = sum(video.seconds for video in videos) / 60.0
    return MotionNoise(
        **{f"{name}_gain": _rounded(gain) for name, gain in zip(PARTS, gains, strict=True)},
        wrist_mm=_rounded(independent["wrist"]),
        wrist_drift_mm=_rounded(drift["wrist"]),
        **{
            f"{name}_{kind}": _rounded(over_joints(errors[name]))
            for name in ("palm", "finger")
            for kind, errors in (("rad", independent), ("drift_rad", drift))
        },
        drift_s=_rounded(-LAG_S / np.log(correlation)),
        blur_per_m_s=_rounded(growth),
        hand_swaps_per_min=_rounded(len(swaps) / minutes),
        swap_s=_rounded([swaps.min(), swaps.max()]) if len(swaps) else MotionNoise.swap_s,
        gaps_per_min=_rounded(len(gaps) / (2.0 * minutes)),
        gap_s=_rounded(np.quantile(gaps, np.linspace(0.0, 1.0, 5))) if len(gaps) else MotionNoise.gap_s,
    ), observed


class _Video:
    """True and estimated motion of a video in the models' convention. Arrays have the axes frame and hand 2."""

    def __init__(self, truth, motion, extrinsics):
        self.rate_hz = 1.0 / float(np.median(np.diff(truth.time_s)))
        self.seconds = len(truth.time_s) / self.rate_hz
        true_mm = 1e3 * (truth.joints_m @ truth.view.rotation + np.array(truth.view.position_m))
        state = np.where(truth.present, State.OBSERVED, State.HIDDEN)
        columns = {"time_s": motion["time_s"], "rotation_rad": truth.rotation_rad, "joints_keyboard_mm": true_mm, "state": state}
        true, estimated = (
            clip_motion(table_row(given, over), self.rate_hz, "keyboard")
            for given, over in ((columns, view_extrinsics(truth.view)), (motion, extrinsics))
        )
        frames = len(true.position)
        self.true, self.estimated = ((m.position.astype(np.float64), m.rotation_rad.astype(np.float64)) for m in (true, estimated))
        self.present = truth.present[:frames]
        self.state = motion["state"][:frames]
        swapped = self._swapped()
        self.observed = self.present & (self.state == State.OBSERVED) & ~swapped

    def _swapped(self):
        """Return in which frames an estimated hand is nearer to the other true hand: bool array (frame, hand)."""
        own, other = (np.linalg.norm(self.estimated[0] - _keyboard_side(self.true[0], exchange), axis=-1) for exchange in (False, True))
        return (other < own) & self.present.all(axis=1, keepdims=True) & (self.state == State.OBSERVED)

    def fast(self, part):
        """Return the fast movements of a part (`PARTS`) in observed frames: those of the truth and of the estimate, arrays (n, ...)."""
        fast = []
        for wrist, turn in (self.true, self.estimated):
            values = {"wrist": wrist, "palm": turn[:, :, 0], "finger": turn[:, :, 1:]}[part]
            fast.append((values - attenuated(values, 0.0, self.rate_hz, 0))[self.observed])
        return fast

    def set_gains(self, wrist, palm, finger):
        """Set the gains of `PARTS`, and compute the errors of the estimate relative to the attenuated truth."""
        gains = np.tile(finger, (self.true[1].shape[2], 1))
        gains[0] = palm
        self.wrist_error = self.estimated[0] - attenuated(self.true[0], wrist, self.rate_hz, 0)
        self.turn_error = compose(-attenuated(self.true[1], gains, self.rate_hz, 0), self.estimated[1])

    def errors(self):
        """Return the errors of observed hands: wrist (n, 3), mm; palm (n, 3) and finger (n, joint 15, 3), rad."""
        wrist, turn = self.wrist_error[self.observed], self.turn_error[self.observed]
        return {"wrist": wrist, "palm": turn[:, 0], "finger": turn[:, 1:]}

    def _steady(self):
        """List first frame and hand of all groups of 4 consecutive observed frames."""
        seen = self.observed
        return np.nonzero(seen[:-3] & seen[1:-2] & seen[2:-1] & seen[3:])

    def groups(self):
        """Return the errors of groups of 4 consecutive observed frames: wrist (n, 4, 3), palm (n, 4, 3), finger (n, 4, joint 15, 3)."""
        first, hand = self._steady()
        four = first[:, None] + np.arange(4), hand[:, None]
        wrist, turn = self.wrist_error[four], self.turn_error[four]
        return {"wrist": wrist, "palm": turn[:, :, 0], "finger": turn[:, :, 1:]}

    def group_speed(self):
        """Return the mean true speed of the wrist in each group (n,), m/s."""
        first, hand = self._steady()
        four = self.true[0][first[:, None] + np.arange(4), hand[:, None]]
        return 1e-3 * self.rate_hz * np.linalg.norm(np.diff(four, axis=1), axis=-1).mean(axis=1)

    def lagged(self):
        """Return the sums of products of wrist errors `LAG_S` apart, and of their squares."""
        lag, wrist = round(LAG_S * self.rate_hz), self.wrist_error
        both = self.observed[lag:] & self.observed[:-lag]
        return float((wrist[lag:] * wrist[:-lag])[both].sum()), float((wrist[:-lag] ** 2)[both].sum())

    def swaps_s(self):
        """Return the durations of confusions of the hands (s)."""
        start, stop = runs(self._swapped().all(axis=1))
        return (stop - start) / self.rate_hz

    def gaps_s(self):
        """Return the durations of gaps: a hand is in the scene and not observed (s)."""
        edges = [runs(self.present[:, hand] & (self.state[:, hand] != State.OBSERVED)) for hand in range(self.present.shape[1])]
        return np.concatenate([(stop - start) / self.rate_hz for start, stop in edges])


def _keyboard_side(position, exchange):
    """Return the positions (frame, hand 2, 3); if `exchange`, those of the other hand, in the mirror image of this one."""
    if not exchange:
        return position
    other = position[:, ::-1].copy()
    other[..., 0] = STANDARD.width_mm - other[..., 0]
    return other


def _gain(pairs, by_axis=False):
    """Fit the gain of fast movements by least squares, 0 to 1. `pairs` contains true and estimated fast movements of each video."""
    true, estimated = (np.concatenate([pair[k].reshape(-1, 3) for pair in pairs]) for k in (0, 1))
    axis = 0 if by_axis else None
    return np.clip((true * estimated).sum(axis=axis) / np.maximum((true**2).sum(axis=axis), 1e-12), 0.0, 1.0)


def _pooled(parts):
    """Concatenate the arrays of all videos."""
    return np.concatenate(list(parts))


def _jitter(groups):
    """Estimate the standard deviation of errors that are independent in every frame, from groups (n, 4, ...)."""
    index = np.arange(len(groups))[:, None] * 4 + np.arange(4)
    return jitter(groups.reshape(-1, *groups.shape[2:]), index)


def _rounded(values):
    """Round to three digits: a float, or a tuple of floats."""
    rounded = [float(f"{value:.3g}") for value in np.atleast_1d(values)]
    return tuple(rounded) if np.ndim(values) else rounded[0]
