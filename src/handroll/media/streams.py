"""Choose the video and audio stream of a file, convert timestamps to times, and describe how stored frames are displayed."""

from dataclasses import dataclass

import numpy as np
from av.stream import Disposition

FALLBACK_RATE = 25.0
"""Assumed frames per second of a file whose container declares no rate: FFmpeg's default for raw streams. Only the times of frames without
a timestamp depend on it."""

# Streams with one of these flags contain still images, such as cover art.
_NOT_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def video_stream(container):
    """Return the video stream that players show (the default stream, else the largest), or None. Cover art is not video."""
    candidates = [s for s in container.streams.video if not s.disposition & _NOT_VIDEO and s.codec_context is not None]
    return max(candidates, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height), default=None)


def audio_stream(container):
    """Return the audio stream that players play (the default stream, else the one with the most channels), or None."""
    candidates = [s for s in container.streams.audio if s.codec_context is not None]
    return max(candidates, key=lambda s: (bool(s.disposition & Disposition.default), s.channels), default=None)


def nominal_frame_s(stream):
    """Return the frame duration (s) that the container declares; used only for frames without a timestamp."""
    return 1.0 / float(stream.guessed_rate or stream.average_rate or FALLBACK_RATE)


class TimestampConverter:
    """Convert the container times of frames, in presentation order, to times since the first frame.

    A frame without a timestamp follows the previous one by the nominal frame duration. A frame presented no later than the
    previous one is never visible, so it gets no time and is left out. At a join of concatenated recordings the reader sets a new
    offset.

    Parameters
    ----------
    nominal_s : float
        Nominal frame duration in seconds.
    """

    def __init__(self, nominal_s):
        self._nominal_s = nominal_s
        self._offset_s = None
        self._last_s = None

    def set_offset(self, offset_s):
        """Set the container time (s) that corresponds to time 0 from here on; see `concatenation.find_offsets`."""
        self._offset_s = offset_s

    def time_s(self, pts_s):
        """Return the time in seconds since the first frame, or None for a frame that is never visible.

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
                self._offset_s = pts_s - expected_s
            time_s = pts_s - self._offset_s
            if self._last_s is not None and time_s <= self._last_s:
                return None
        self._last_s = time_s
        return time_s


@dataclass(frozen=True)
class DisplayTransform:
    """Transform from stored to displayed frames: scale to `width_px` x `height_px`, then rotate.

    Attributes
    ----------
    width_px, height_px : int
        Size to scale to, before the rotation, with square pixels.
    quarter_turns : int
        Rotations by 90 degrees counter-clockwise, 0 to 3.
    """

    width_px: int
    height_px: int
    quarter_turns: int

    @property
    def display_size_px(self):
        """Size of the displayed frame as (width, height)."""
        return (self.height_px, self.width_px) if self.quarter_turns % 2 else (self.width_px, self.height_px)

    def rotate(self, image):
        """Rotate a scaled frame (height, width, channel); the result is contiguous in memory."""
        return np.ascontiguousarray(np.rot90(image, self.quarter_turns))


def display_transform(stream, frame, max_width_px=None, max_height_px=None):
    """Return the transform from stored to displayed frames of a stream: square pixels, the container's rotation, and a maximum size.

    A rotation that is not a multiple of 90 degrees is rounded to the nearest one. If a display matrix also mirrors, only its
    rotation is applied, because PyAV 18 cannot read the mirroring safely (`Frame.side_data` frees the metadata of colour profiles
    twice).

    Parameters
    ----------
    stream : av.video.stream.VideoStream
    frame : av.VideoFrame
        The first decoded frame. Later frames are scaled to its size.
    max_width_px, max_height_px : int, optional
        Maximum size of the displayed frame; smaller frames keep their size.

    Returns
    -------
    DisplayTransform
    """
    quarter_turns = round(frame.rotation / 90) % 4
    # Non-square pixels become square by scaling the width, as in video players.
    width, height = frame.width * float(stream.sample_aspect_ratio or 1), float(frame.height)
    limits = (max_height_px, max_width_px) if quarter_turns % 2 else (max_width_px, max_height_px)
    scale = min([1.0, *(limit / length for limit, length in zip(limits, (width, height), strict=True) if limit)])
    return DisplayTransform(max(1, round(width * scale)), max(1, round(height * scale)), quarter_turns)
