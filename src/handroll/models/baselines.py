"""Baselines without a trained model: the mean of the training motion, and the training motion with the most similar features."""

import numpy as np

HOP_S = 1.0
"""Step between the starts of the training windows that `nearest_motion` searches (s)."""

BLOCK_FRAMES = 4
"""Number of frames over which features are averaged before they are compared: 4 frames are 0.13 s at 30 Hz."""


def mean_motion(scales, windows, frames):
    """Repeat the mean of the training motion in every frame.

    Parameters
    ----------
    scales : training_data.windows.Scales
        Contains the mean of the training motion.
    windows, frames : int
        Number of windows, and of frames in each window.

    Returns
    -------
    position : array (window, frame, 6), float32
    pose : array (window, frame, 96), float32
    """
    return tuple(
        np.broadcast_to(np.array(mean, dtype=np.float32), (windows, frames, len(mean))) for mean in (scales.position_mean, scales.pose_mean)
    )


def nearest_motion(train_clips, features, frames):
    """Find the training motion with the most similar features for each window (nearest neighbour).

    Similarity is the Euclidean distance between features averaged over blocks of `BLOCK_FRAMES` frames.

    Parameters
    ----------
    train_clips : training_data.loader.Clips
        Training clips with features.
    features : array (window, frame, feature)
        Features of the windows for which motion is needed.
    frames : int
        Number of frames of a window.

    Returns
    -------
    position : array (window, frame, 6), float32
    pose : array (window, frame, 96), float32
    nearest : list of (clip number, first frame)
        Training clip of each motion, and its first frame in that clip.
    """
    queries = _block_means(features)
    squared = (queries**2).sum(axis=1)
    smallest, nearest = np.full(len(queries), np.inf), [(0, 0)] * len(queries)
    hop = max(1, round(HOP_S * train_clips.source.rate_hz))
    for number in range(len(train_clips)):
        starts = range(0, int(train_clips.frames[number]) - frames + 1, hop)
        if not starts:
            continue
        of_clip = train_clips[number].features
        candidates = _block_means(np.stack([of_clip[first : first + frames] for first in starts]))
        distance = squared[:, None] + (candidates**2).sum(axis=1) - 2.0 * queries @ candidates.T
        best = distance.argmin(axis=1)
        for window in np.flatnonzero(distance.min(axis=1) < smallest):
            smallest[window], nearest[window] = distance[window, best[window]], (number, starts[best[window]])
    parts = [(train_clips[number], first) for number, first in nearest]
    position, pose = (np.stack([getattr(clip, kind)[first : first + frames] for clip, first in parts]) for kind in ("position", "pose"))
    return position, pose, nearest


def _block_means(features):
    """Average features over blocks of `BLOCK_FRAMES` frames. Return an array (window, block * feature), float64."""
    windows, frames, width = features.shape
    whole = frames - frames % BLOCK_FRAMES
    return features[:, :whole].astype(np.float64).reshape(windows, -1, BLOCK_FRAMES, width).mean(axis=2).reshape(windows, -1)
