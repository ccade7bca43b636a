"""Motions that no model makes: what every table shows beside the models' own."""

import numpy as np

HOP_S = 1.0
"""Training windows are looked through at starts so far apart."""

BLOCK_FRAMES = 4
"""Features are compared as means over so many frames: nearer in time than a tenth of a second nothing is asked for."""


def mean_motion(scales, windows, frames):
    """The mean of the training motion, in every frame.

    Parameters
    ----------
    scales : dataset.windows.Scales
    windows, frames : int

    Returns
    -------
    place : array (window, frame, 6), float32
    pose : array (window, frame, 96), float32
    """
    return tuple(
        np.broadcast_to(np.array(mean, dtype=np.float32), (windows, frames, len(mean))) for mean in (scales.place_mean, scales.pose_mean)
    )


def nearest_motion(train_clips, features, frames):
    """The training motion whose sound is most like that of each window: nearest neighbour by features.

    Parameters
    ----------
    train_clips : dataset.loader.Clips
        With features.
    features : array (window, frame, feature)
    frames : int

    Returns
    -------
    place : array (window, frame, 6), float32
    pose : array (window, frame, 96), float32
    nearest : list of (clip number, first frame)
        Where each is from.
    """
    asked = _blocks(features)
    squared = (asked**2).sum(axis=1)
    least, nearest = np.full(len(asked), np.inf), [(0, 0)] * len(asked)
    hop = max(1, round(HOP_S * train_clips.source.rate_hz))
    for number in range(len(train_clips)):
        starts = range(0, int(train_clips.frames[number]) - frames + 1, hop)
        if not starts:
            continue
        heard = train_clips[number].features
        known = _blocks(np.stack([heard[first : first + frames] for first in starts]))
        distance = squared[:, None] + (known**2).sum(axis=1) - 2.0 * asked @ known.T
        best = distance.argmin(axis=1)
        for window in np.flatnonzero(distance.min(axis=1) < least):
            least[window], nearest[window] = distance[window, best[window]], (number, starts[best[window]])
    parts = [(train_clips[number], first) for number, first in nearest]
    place, pose = (np.stack([getattr(clip, kind)[first : first + frames] for clip, first in parts]) for kind in ("place", "pose"))
    return place, pose, nearest


def _blocks(features):
    """Means over blocks of frames, flat: (window, block * feature), float64."""
    windows, frames, width = features.shape
    whole = frames - frames % BLOCK_FRAMES
    return features[:, :whole].astype(np.float64).reshape(windows, -1, BLOCK_FRAMES, width).mean(axis=2).reshape(windows, -1)
