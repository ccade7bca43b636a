"""Pictures without what moves: temporal medians over parts of a video."""

import numpy as np

from handroll.editing.segments import within
from handroll.media.frames import read_frames


def median_windows(path, time_s, segments, count=48, windows=4, max_width_px=1280):
    """Medians of consecutive parts of a video, of frames spread evenly over it.

    Parameters
    ----------
    path : path
    time_s : array (frame,)
        Presentation times of all frames.
    segments : sequence of (start_s, end_s)
        Parts of the video to look at.
    count : int
        Frames that are taken, spread evenly over the segments; all of them where there are fewer.
    windows : int
        Parts of as many frames each.
    max_width_px : int
        Larger pictures are scaled down to this width.

    Returns
    -------
    list of uint8 array (height, width, 3)
        RGB, in order; fewer than `windows` where there are fewer frames, and none where no frame lies in the segments.
    """
    inside = np.flatnonzero(within(time_s, segments))
    if not len(inside):
        return []
    indices = set(inside[np.linspace(0, len(inside) - 1, min(count, len(inside))).astype(int)].tolist())
    images = [frame.image for frame in read_frames(path, max_width_px=max_width_px, indices=indices)]
    parts = np.array_split(np.arange(len(images)), min(windows, len(images)))
    return [np.median(np.stack([images[k] for k in part]), axis=0).astype(np.uint8) for part in parts]
