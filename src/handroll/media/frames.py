"""Reads the frames of a video in presentation order, with their times and as they are shown."""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from handroll.media.concatenation import decode, offset_of
from handroll.media.file_signatures import MediaError, open_media
from handroll.media.probe import probe
from handroll.media.streams import Clock, nominal_frame_s, showing, video_stream

VERSION = 1
"""Raised by hand when the same video gives other frames or other times."""

LOGGER = logging.getLogger("handroll")

_UNSPECIFIED_COLORSPACE = 2
"""FFmpeg's AVCOL_SPC_UNSPECIFIED."""

_HD_HEIGHT_PX = 720
"""From this height on a video that names no colour matrix is taken as BT.709, below as BT.601, as players do."""


class Frame(NamedTuple):
    """A presented frame.

    Attributes
    ----------
    index : int
        Counts the presented frames, from 0.
    time_s : float
        Presentation time since the first presented frame.
    image : uint8 array (height, width, 3)
        RGB as shown: rotation applied, square pixels.
    """

    index: int
    time_s: float
    image: np.ndarray


def read_frames(path, max_width_px=None, max_height_px=None, threads=0, indices=None) -> Iterator[Frame]:
    """Decode a video frame by frame.

    Times come from the container's presentation timestamps (see `streams.Clock` for missing and backward ones). A
    frame that cannot be decoded whole is left out, and how many were is logged as a warning at the end; where the
    file was cut off, the frames end after the last good one. Any pixel format becomes 8-bit RGB; there is no tone
    mapping of HDR. All pictures have the size of the first.

    Parameters
    ----------
    path : path of a media file
    max_width_px, max_height_px : int, optional
        Scale larger pictures down to fit, keeping their shape; sizes need not be even.
    threads : int
        Threads of the decoder; 0 for one a core.
    indices : set of int, optional
        Give these frames only; the others are decoded, since later ones may need them, but not converted.

    Yields
    ------
    Frame

    Raises
    ------
    MediaError
        The file cannot be opened, or holds no video stream.
    """
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise MediaError(f"{path}: expected a video stream, found {[s.type for s in container.streams]}", "no_video_stream")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        clock, reformatter, shown, index = Clock(nominal_frame_s(stream)), VideoReformatter(), None, 0
        faults = {"damaged": 0, "unseen": 0}
        for frame, offset_s in decode(container, stream, _Offsets(path), faults):
            if offset_s is not None:
                clock.join(offset_s)
            pts = frame.dts if frame.pts is None else frame.pts
            time_s = clock.time(None if pts is None else float(pts * stream.time_base))
            if time_s is None:
                faults["unseen"] += 1
                continue
            shown = shown or showing(stream, frame, max_width_px, max_height_px)
            if indices is None or index in indices:
                yield Frame(index, time_s, shown.orient(_rgb(frame, reformatter, shown, threads)))
            index += 1
    if any(faults.values()):
        LOGGER.warning("%s: left out %d damaged frames or packets and %d presented no later than the frame before", path, *faults.values())


class _Offsets:
    """The offset of a piece of the video by its number; None for those of the first recording, which begins with the first frame.

    Only a file of several pieces is probed as a whole, since their offsets depend on the audio, too.
    """

    def __init__(self, path):
        self._path, self._offsets_s = path, None

    def __call__(self, number):
        if number == 0:
            return None
        if self._offsets_s is None:
            self._offsets_s = probe(self._path).video_offsets_s
        offset_s = offset_of(self._offsets_s, number)
        return None if offset_s == self._offsets_s[0] else offset_s


def _rgb(frame, reformatter, shown, threads):
    """A decoded frame as uint8 RGB (height, width, 3), scaled but not yet oriented."""
    unnamed_hd = frame.colorspace == _UNSPECIFIED_COLORSPACE and frame.height >= _HD_HEIGHT_PX
    picture = reformatter.reformat(
        frame,
        width=shown.width_px,
        height=shown.height_px,
        format="rgb24",
        src_colorspace=Colorspace.ITU709 if unnamed_hd else None,
        # The mean over the area of a pixel, so that nothing aliases; accurate rounding keeps the pixels the same
        # whichever vector instructions a machine has.
        interpolation=Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT,
        threads=threads,
    )
    return picture.to_ndarray()
