"""Compute background images: medians over parts of a video, in which moving objects disappear."""

import numpy as np

from handroll.editing.segments import within
from handroll.media.frames import read_frames


def background_images(path, time_s, segments, count=48, windows=4, max_width_px=1280):
    """Compute the background of consecutive parts of a video: each pixel's median over evenly spaced frames.

    Parameters
    ----------
    path : path
        The video.
    time_s : array (frame,)
        Presentation times of all frames.
    segments : sequence of (start_s, end_s)
        Usable segments of the video; other frames are ignored.
    count : int
        Total number of frames to use, evenly spaced over the segments; all frames if there are fewer.
    windows : int
        Number of parts. Each has about the same number of used frames.
    max_width_px : int
        Larger frames are scaled down to this width.

    Returns
    -------
    list of uint8 array (height, width, 3)
        One RGB image for each part, in order of time. The list is shorter if there are fewer frames than `windows`. It is empty if no
        frame is in the segments.
    """
    inside = np.flatnonzero(within(time_s, segments))
    if not len(inside):
        return []
    indices = set(inside[np.linspace(0, len(inside) - 1, min(count, len(inside))).astype(int)].tolist())
    images = [frame.image for frame in read_frames(path, max_width_px=max_width_px, indices=indices)]
    parts = np.array_split(np.arange(len(images)), min(windows, len(images)))
    return [np.median(np.stack([images[k] for k in part]), axis=0).astype(np.uint8) for part in parts]
