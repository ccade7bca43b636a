"""What the readers of media files share: which stream is meant, how a stored picture is shown, and how pts become times."""

from dataclasses import dataclass

import numpy as np
from av.stream import Disposition

FALLBACK_RATE = 25.0
"""Frames per second where the container names no rate and no frame carries a time; FFmpeg's own default for raw streams."""

_NOT_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def video_stream(container):
    """The stream that a player would show, or None: the default one, then the largest; cover art is not video."""
    moving = [s for s in container.streams.video if not s.disposition & _NOT_VIDEO and s.codec_context is not None]
    return max(moving, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height), default=None)


def audio_stream(container):
    """The stream that a player would sound, or None: the default one, then the one with most channels."""
    sounding = [s for s in container.streams.audio if s.codec_context is not None]
    return max(sounding, key=lambda s: (bool(s.disposition & Disposition.default), s.channels), default=None)


def nominal_frame_s(stream):
    """Seconds between two frames by the container's word, used only where a frame carries no time of its own."""
    return 1.0 / float(stream.guessed_rate or stream.average_rate or FALLBACK_RATE)


class Clock:
    """Turns the pts of frames in presentation order into times since the first one.

    A frame without a pts follows its predecessor by the nominal frame duration. A frame presented no later than its
    predecessor is never seen by a viewer: it gets no time, and is left out. Where recordings are joined (`joins`), the
    reader sets another offset.

    Parameters
    ----------
    nominal_s : float
        Nominal frame duration in seconds.

    Attributes
    ----------
    start_s : float or None
        Container time in seconds of the first presented frame, once known.
    """

    def __init__(self, nominal_s):
        self.start_s = None
        self._nominal_s = nominal_s
        self._offset_s = None
        self._last_s = None

    def join(self, offset_s):
        """Take another container time as the zero of all times from here on (s); see `joins.find_offsets`."""
        self._offset_s = offset_s

    def time(self, pts_s):
        """The time in seconds since the first frame, or None for a frame that is never seen.

        Parameters
        ----------
        pts_s : float or None
            Container time of the frame in seconds.
        """
        expected_s = 0.0 if self._last_s is None else self._last_s + self._nominal_s
        if pts_s is None:
            time_s = expected_s
        else:
            if self._offset_s is None:
                self._offset_s = self.start_s = pts_s - expected_s
            time_s = pts_s - self._offset_s
            if self._last_s is not None and time_s <= self._last_s:
                return None
        self._last_s = time_s
        return time_s


@dataclass(frozen=True)
class Showing:
    """How the stored pictures of a stream are turned into shown ones: scaled to `width_px` x `height_px`, then turned.

    Attributes
    ----------
    width_px, height_px : int
        Size of the picture to scale to, before turning, with square pixels.
    quarter_turns : int
        Turns by 90 degrees counter-clockwise, 0 to 3.
    """

    width_px: int
    height_px: int
    quarter_turns: int

    @property
    def shown_size_px(self):
        """(width, height) of the picture as shown."""
        return (self.height_px, self.width_px) if self.quarter_turns % 2 else (self.width_px, self.height_px)

    def orient(self, image):
        """A stored picture (height, width, channel) as shown, contiguous in memory."""
        return np.ascontiguousarray(np.rot90(image, self.quarter_turns))


def showing(stream, frame, max_width_px=None, max_height_px=None):
    """How the frames of a stream are shown: square pixels, the container's rotation applied, within a largest size.

    A rotation that is not a multiple of 90 degrees is taken as the nearest one. A display matrix that also mirrors the
    picture counts by its rotation only: PyAV 18 gives safe access to that alone (its `Frame.side_data` frees the
    metadata of colour profiles twice).

    Parameters
    ----------
    stream : av.video.stream.VideoStream
    frame : av.VideoFrame
        Its first decoded frame; a later frame of another size is scaled to this one's.
    max_width_px, max_height_px : int, optional
        Largest size of the shown picture; smaller pictures are left as they are.

    Returns
    -------
    Showing
    """
    quarter_turns = round(frame.rotation / 90) % 4
    # As players do, a non-square pixel is made square by stretching the width.
    width, height = frame.width * float(stream.sample_aspect_ratio or 1), float(frame.height)
    limits = (max_height_px, max_width_px) if quarter_turns % 2 else (max_width_px, max_height_px)
    scale = min([1.0, *(limit / length for limit, length in zip(limits, (width, height), strict=True) if limit)])
    return Showing(max(1, round(width * scale)), max(1, round(height * scale)), quarter_turns)
