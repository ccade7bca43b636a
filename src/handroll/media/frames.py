"""Read the frames of a video in presentation order, as they are displayed, with their times."""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from handroll.media.concatenation import decode, piece_offset
from handroll.media.probe import probe
from handroll.media.safe_open import MediaError, open_media
from handroll.media.streams import TimestampConverter, display_transform, nominal_frame_s, video_stream

VERSION = 1
"""Version of the results of this module, increased manually when the same video gives other frames or other times."""

LOGGER = logging.getLogger("handroll")

# Value of a frame's colour matrix if the video declares none (FFmpeg's AVCOL_SPC_UNSPECIFIED).
_UNSPECIFIED_COLORSPACE = 2

# Minimum height (px) from which a video without a declared colour matrix counts as BT.709. Smaller ones count as BT.601, as in players.
_HD_HEIGHT_PX = 720


class Frame(NamedTuple):
    """A presented frame.

    Attributes
    ----------
    index : int
        Number of the presented frame, from 0.
    time_s : float
        Presentation time since the first presented frame.
    image : uint8 array (height, width, 3)
        RGB as displayed: rotation applied, square pixels.
    """

    index: int
    time_s: float
    image: np.ndarray


def read_frames(path, max_width_px=None, max_height_px=None, threads=0, indices=None) -> Iterator[Frame]:
    """Decode a video frame by frame.

    Times come from the container's presentation timestamps (`streams.TimestampConverter` handles missing and backward ones).
    Frames that cannot be decoded completely are left out; a warning at the end reports their number. The frames of a cut-off
    file end after the last undamaged one. Any pixel format becomes 8-bit RGB; HDR is not tone-mapped. All images have the size
    of the first.

    Parameters
    ----------
    path : path of a media file
    max_width_px, max_height_px : int, optional
        Scale larger frames down to this size, keeping the aspect ratio; sizes may be odd.
    threads : int
        Number of decoder threads; 0 for one per core.
    indices : set of int, optional
        Yield only these frames. The others are decoded, since later frames may need them, but not converted.

    Yields
    ------
    Frame

    Raises
    ------
    MediaError
        The file cannot be opened, or contains no video stream.
    """
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            kinds = ", ".join(s.type for s in container.streams)
            raise MediaError(
                f"{path}: expected a video stream, found {f'only {kinds}' if kinds else 'no stream at all'}", "no_video_stream"
            )
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        times, reformatter, transform, index = TimestampConverter(nominal_frame_s(stream)), VideoReformatter(), None, 0
        faults = {"damaged": 0, "not_later": 0}
        for frame, offset_s in decode(container, stream, _Offsets(path), faults):
            if offset_s is not None:
                times.set_offset(offset_s)
            pts = frame.dts if frame.pts is None else frame.pts
            time_s = times.time_s(None if pts is None else float(pts * stream.time_base))
            if time_s is None:
                faults["not_later"] += 1
                continue
            transform = transform or display_transform(stream, frame, max_width_px, max_height_px)
            if indices is None or index in indices:
                yield Frame(index, time_s, transform.rotate(_rgb(frame, reformatter, transform, threads)))
            index += 1
    if any(faults.values()):
        message = "%s: left out %d damaged frames or packets, and %d frames whose time is not later than that of the frame before"
        LOGGER.warning(message, path, *faults.values())


class _Offsets:
    """Callable that returns the time offset (s) of a video piece by its number.

    The offset is None in the first recording, where the first frame sets it. Offsets of later recordings depend on the audio, too. They
    come from a probe of the whole file, which runs when the second piece begins.
    """

    def __init__(self, path):
        self._path, self._offsets_s = path, None

    def __call__(self, number):
        if number == 0:
            return None
        if self._offsets_s is None:
            self._offsets_s = probe(self._path).video_offsets_s
        offset_s = piece_offset(self._offsets_s, number)
        return None if offset_s == self._offsets_s[0] else offset_s


def _rgb(frame, reformatter, transform, threads):
    """Convert a decoded frame to uint8 RGB (height, width, 3), scaled to the size of the DisplayTransform, but not yet rotated."""
    undeclared_hd = frame.colorspace == _UNSPECIFIED_COLORSPACE and frame.height >= _HD_HEIGHT_PX
    image = reformatter.reformat(
        frame,
        width=transform.width_px,
        height=transform.height_px,
        format="rgb24",
        src_colorspace=Colorspace.ITU709 if undeclared_hd else None,
        # AREA averages over the area of a pixel, which avoids aliasing. With accurate rounding, the result does not depend on the
        # vector instructions of the processor.
        interpolation=Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT,
        threads=threads,
    )
    return image.to_ndarray()
