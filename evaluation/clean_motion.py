"""Compare the speed of `clean_motion` with the same steps in common packages, which process one channel at a time.

    python evaluation/clean_motion.py --frames 20000

The comparison applies the PyPI package `hampel`, pandas' interpolation and scipy's `savgol_filter` to each of the 51 channels of each hand,
then the same forward kinematics. Both programs must give the same translations where they classify the same frames as observed. They do not
classify all frames alike, because `hampel` does not support missing samples, and does not classify samples within half a window of a gap.
The script requires the extra `dev`.
"""

import argparse
import time

import numpy as np
import pandas as pd
from hampel import hampel
from scipy.ndimage import binary_dilation, gaussian_filter1d
from scipy.signal import savgol_filter

from handroll.hand.kinematics import hand_joints
from handroll.hand.skeleton import HANDS, N_JOINTS
from handroll.mask_runs import runs
from handroll.motion.clean import CleanSettings, clean_motion
from handroll.motion.outliers import translation_floors
from handroll.tables import State, frame_keys

RATE_HZ = 30.0

CORPUS_FRAMES = 10_527_167
"""Number of annotated frames in PianoMotion10M."""

CORES = 2
"""Number of CPU cores for which the time of a whole dataset is printed."""

SEED = 1

TOLERANCE_M = 1e-5
"""Maximum accepted difference between the translations of `clean_motion` and of the common packages (m)."""


def make_pose(frames, seed):
    """Simulate the columns of `tables.POSE` by frame: smooth motion with jitter, spikes, missing frames, short gaps and long gaps."""
    rng = np.random.default_rng(seed)

    def wander(shape, width, spread):
        return gaussian_filter1d(rng.normal(size=(frames, 2, *shape)), width, axis=0) * spread * np.sqrt(2 * width * np.sqrt(np.pi))

    rotation = wander((16, 3), 8, 0.3) + rng.normal(0, 0.02, (frames, 2, 16, 3))
    rotation[:, :, 0] = rotation[:, :, 0] * 0.3 + np.array([1.2, -1.2, 1.2])  # palm down, seen from above
    translation = wander((3,), 20, 0.1) + np.array([0.0, 0.1, 0.9]) + rng.normal(0, 0.001, (frames, 2, 3))
    spikes = rng.random((frames, 2)) < 0.01
    translation[spikes] += rng.normal(0, 0.2, (spikes.sum(), 3))
    found = rng.random((frames, 2)) > 0.01
    for start, length in zip(rng.integers(0, frames, frames // 500), rng.integers(5, 120, frames // 500), strict=True):
        found[start : start + length, rng.integers(2)] = False
    pose = frame_keys(np.arange(frames) / RATE_HZ) | {
        "found": found,
        "rotation_rad": rotation,
        "translation_m": translation,
        "betas": np.zeros((frames, 2, 10)),
        "bone_scale": np.ones((frames, 2)),
        "joints_m": np.zeros((frames, 2, N_JOINTS, 3)),
        "residual_px": np.ones((frames, 2)),
    }
    for name in ("rotation_rad", "translation_m", "betas", "bone_scale", "joints_m", "residual_px"):
        pose[name] = pose[name].astype(np.float32)
        pose[name][~found] = np.nan
    return pose


def clean_by_channel(pose, settings):
    """Clean one channel after the other, including forward kinematics. Return translation (frame, hand, 3) and observed (frame, hand)."""
    time_s = pose["time_s"][:, 0]
    half = settings.hampel_window // 2
    translations, observations = [], []
    for h, hand in enumerate(HANDS):
        channels = np.concatenate([pose["translation_m"][:, h], pose["rotation_rad"][:, h].reshape(len(time_s), 48)], axis=1)
        found = pose["found"][:, h]
        floors = translation_floors(pose["translation_m"][:, h], settings.hampel_floor_m, settings.hampel_floor_depth)
        floors = np.concatenate([floors, np.zeros(48)])
        outlier = np.zeros(channels.shape, dtype=bool)
        for start, stop in zip(*runs(found), strict=True):
            for c in range(channels.shape[1]) if stop - start > 2 * half else ():
                series = channels[start:stop, c]
                judged = hampel(series, window_size=settings.hampel_window, n_sigma=settings.hampel_n_sigma)
                inside = slice(half, stop - start - half)  # the package does not initialise values outside of this range
                scale = np.maximum(1.4826 * judged.median_absolute_deviations[inside], floors[c])
                outlier[start:stop, c][inside] = np.abs(series - judged.medians)[inside] > settings.hampel_n_sigma * scale
        observed = found & ~outlier[:, :3].any(axis=1)
        visible = np.ones(len(time_s), dtype=bool)
        start, stop = runs(~observed)
        for a, b in zip(start, stop, strict=True):
            visible[a:b] = b - a < settings.gap_shorter_than and a > 0 and b < len(time_s)
        for a, b in zip(*runs(visible), strict=True):
            visible[a:b] = b - a >= settings.run_shorter_than
        clean = np.full(channels.shape, np.nan)
        for c in range(channels.shape[1]):
            series = pd.Series(np.where(observed, channels[:, c].astype(np.float64), np.nan), index=time_s)
            series = series.interpolate(method="index", limit_area="inside").to_numpy()
            for a, b in zip(*runs(visible), strict=True):
                clean[a:b, c] = savgol_filter(series[a:b], settings.savgol_window, settings.savgol_order)
        hand_joints(clean[:, 3:], clean[:, :3], 1.0, hand)
        translations.append(clean[:, :3])
        observations.append(observed)
    return np.stack(translations, axis=1), np.stack(observations, axis=1)


def timed(function, *arguments):
    """Call a function. Return (result, wall seconds, CPU seconds)."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return result, time.perf_counter() - wall, time.process_time() - cpu


def main():
    """Compare speed and results, and print a table. Exit with an error if the results differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000, help="number of frames, each with both hands (default: %(default)s)")
    parser.add_argument("--compared", type=int, default=1_000, help="frames that the common packages process (default: %(default)s)")
    arguments = parser.parse_args()
    settings = CleanSettings()

    pose = make_pose(arguments.frames, SEED)
    part = {name: values[: arguments.compared] for name, values in pose.items()}
    (ours, _), *_ = timed(clean_motion, part, settings)  # compiles before the measurement
    _, wall_s, cpu_s = timed(clean_motion, pose, settings)
    (theirs_m, theirs_observed), their_wall_s, their_cpu_s = timed(clean_by_channel, part, settings)

    same_class = (ours["state"] == State.OBSERVED) == (theirs_observed & np.isfinite(theirs_m).all(axis=-1))
    reach = settings.gap_shorter_than + settings.run_shorter_than + settings.savgol_window
    excluded = binary_dilation(~same_class, np.ones((2 * reach + 1, 1)))
    both = ~excluded & (ours["state"] != State.HIDDEN) & np.isfinite(theirs_m).all(axis=-1)
    difference_m = np.abs(ours["translation_m"] - theirs_m)[both].max()
    rate, their_rate = arguments.frames / cpu_s, arguments.compared / their_cpu_s
    print(f"{'frames with both hands':30}{'frames':>8}{'wall s':>9}{'CPU s':>9}{'frames/s':>10}")
    print(f"{'hampel + pandas + savgol':30}{arguments.compared:8}{their_wall_s:9.2f}{their_cpu_s:9.2f}{their_rate:10.0f}")
    print(f"{'handroll.motion.clean':30}{arguments.frames:8}{wall_s:9.2f}{cpu_s:9.2f}{rate:10.0f}")
    print(f"faster by {rate / their_rate:.0f} times; frames/s are per core, from CPU time")
    print(f"{CORPUS_FRAMES:,} frames on {CORES} cores: {CORPUS_FRAMES / rate / CORES / 60:.1f} min")
    print(f"maximum difference in translation: {difference_m:.1e} m over the {both.mean():.0%} of frames that both classify alike")
    if not difference_m <= TOLERANCE_M:
        raise SystemExit(f"expected translations to agree within {TOLERANCE_M} m, found {difference_m} m")


if __name__ == "__main__":
    main()
