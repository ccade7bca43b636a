"""Reads the frames of a video in presentation order, with their times and as they are shown."""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from handroll.video.streams import Clock, nominal_frame_s, showing, video_stream

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


class MediaError(ValueError):
    """A file that is not a video that can be read; `handroll.video.probe` tells so beforehand, without raising."""


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
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"{path}: expected a video file, found none that can be opened: {error.strerror}") from error
    with container:
        stream = video_stream(container)
        if stream is None:
            raise MediaError(f"{path}: expected a video stream, found {[s.type for s in container.streams]}")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        clock, reformatter, shown, index = Clock(nominal_frame_s(stream)), VideoReformatter(), None, 0
        faults = {"damaged": 0, "unseen": 0}
        for frame in _decode(container, stream, faults):
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


def _decode(container, stream, faults):
    """Good frames in the order in which the decoder presents them; counts the others in `faults`."""
    packets = container.demux(stream)
    while True:
        try:
            # The demuxer's last packet is empty: decoding it drains the decoder.
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            LOGGER.warning("%s: the file breaks off: %s", container.name, error.strerror)
            packet = None
        try:
            frames = stream.decode(packet)
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            faults["damaged"] += 1
            frames = []
        for frame in frames:
            if frame.is_corrupt:
                faults["damaged"] += 1
            else:
                yield frame
        if packet is None:
            return


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
