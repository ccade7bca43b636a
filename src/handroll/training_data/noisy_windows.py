"""Batches of true windows and of their noisy versions at a lower frame rate, for models that correct motion."""

import numpy as np

from handroll.hand.skeleton import HANDS
from handroll.training_data.loader import cut_windows
from handroll.training_data.model_frame import RIGHT_FIRST
from handroll.training_data.motion_noise import add_noise


def bone_scales(clips):
    """Read the bone scales of all clips of a split: array (clip, hand 2), float32, right hand first. A hidden hand has scale 1."""
    columns = [f"{HANDS[side]}_bone_scale" for side in RIGHT_FIRST]
    scales = [[row[name] for name in columns] for row in (clips.rows(number, tuple(columns)) for number in range(len(clips)))]
    scales = np.array(scales, dtype=np.float32).reshape(-1, len(HANDS))
    return np.where(np.isfinite(scales), scales, np.float32(1.0))


def noisy_batch(clips, windows, scales, frames, every, noise, rng):
    """Cut windows, and add noise to every `every`-th frame.

    Parameters
    ----------
    clips : loader.Clips
        Clips in the keyboard frame, with features.
    windows : sequence of (clip number, first frame)
    scales : array (clip, hand 2)
        Result of `bone_scales`.
    frames : int
        Number of frames of a window.
    every : int
        Number of frames of the window for each input frame.
    noise : MotionNoise
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to array
        The result of `loader.cut_windows`; scale (window, hand 2); and the noisy input of `models.correction_input`: noisy_position
        (window, input frame, 6), noisy_pose (window, input frame, 96), observed (window, input frame, hand 2).
    """
    batch = cut_windows(clips, windows, frames)
    given = (batch[name][:, ::every] for name in ("position", "pose", "visible"))
    position, pose, observed = add_noise(noise, *given, clips.source.rate_hz / every, rng)
    scale = scales[[clip for clip, _ in windows]]
    return batch | {"scale": scale, "noisy_position": position, "noisy_pose": pose, "observed": observed}


class NoisyWindows:
    """Batches of random windows with noise. Windows and noise of a batch depend only on the seed and the number of the batch.

    Parameters
    ----------
    windows : loader.Windows
        Its clips have features.
    every : int
        See `noisy_batch`.
    noise : sequence of MotionNoise
        Each batch has one of these kinds of noise, in turn.
    seed : int
        Random seed of the noise.

    Attributes
    ----------
    batch, share
        See `loader.Windows`.
    clips : loader.Clips
    """

    share = (0, 1)

    def __init__(self, windows, every, noise, seed):
        self.batch, self.clips = windows.batch, windows.clips
        self._windows, self._every, self._noise, self._seed = windows, every, tuple(noise), seed
        self._scales = bone_scales(windows.clips)

    def __getitem__(self, step):
        """Read this process's part of batch `step`: a dict of arrays, as returned by `noisy_batch`."""
        process, processes = self.share
        drawn = self._windows.draw(step)[process::processes]
        rng = np.random.default_rng([self._seed, 2, step, process])
        noise = self._noise[step % len(self._noise)]
        return noisy_batch(self.clips, drawn, self._scales, self._windows.frames, self._every, noise, rng)
