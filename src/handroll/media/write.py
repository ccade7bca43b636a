"""Write frames and audio as an MP4 that any browser plays; the same input gives the same bytes."""

from contextlib import ExitStack
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from handroll.provenance import atomic_path

TIME_BASE = Fraction(1, 90_000)
"""Seconds per tick of the video timestamps: MPEG's 90 kHz clock. At all usual frame rates, including 30000/1001, a frame lasts a whole
number of ticks."""

AAC_BLOCK = 1024
"""Number of samples in a block of AAC-LC (ISO/IEC 14496-3)."""

AUDIO_BIT_RATE = 192_000
"""Bit rate of the audio (bits per second): transparent, without audible loss, for stereo music in AAC-LC."""

ENCODER_THREADS = 2
"""Number of threads of x264. It is fixed because x264 divides its work by the number of threads, which changes the bytes of the file."""

CONVERSION = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
"""Options of the conversion from RGB to YUV. With accurate rounding the pixels are the same on all processors."""


class VideoWriter:
    """Context manager that writes H.264 (yuv420p) and AAC into an MP4 with its index at the front.

    The file appears at `path` when the block ends without an error. After an error there is no file.

    Parameters
    ----------
    path : path of the file to write, ending in .mp4
    width_px, height_px : int
        Size of the frames. An odd last column or row is cut off, because yuv420p needs even sizes.
    rate : float or Fraction
        Nominal frames per second: sets the duration of the last frame and the rate control of the encoder.
    crf : int
        x264's constant rate factor, 0 (lossless) to 51.
    preset : str
        x264's preset.
    audio : tuple (samples, rate_hz), optional
        float32 samples (sample,) or (sample, channel 1 or 2), -1..1; sample 0 is at time 0. AAC supports the
        usual rates from 8000 to 96000 Hz.
    """

    def __init__(self, path, width_px, height_px, rate, crf=23, preset="veryfast", audio=None):
        self._path = path
        self._size = width_px // 2 * 2, height_px // 2 * 2
        self._shape = height_px, width_px, 3
        self._rate = Fraction(rate).limit_denominator(1001 * 60)
        self._x264 = {"crf": str(crf), "preset": preset, "threads": str(ENCODER_THREADS)}
        self._samples, self._audio_rate = _planar(audio)
        self._encoded_samples = 0
        self._last_tick = None

    def __enter__(self):
        """Open the file."""
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._path))
            options = {"movflags": "+faststart", "fflags": "+bitexact"}
            self._container = stack.enter_context(av.open(str(temporary), "w", format="mp4", options=options))
            self._video = self._container.add_stream("libx264", rate=self._rate, options=self._x264)
            self._video.width, self._video.height = self._size
            self._video.pix_fmt = "yuv420p"
            self._video.codec_context.colorspace = Colorspace.ITU709
            self._video.codec_context.color_range = ColorRange.MPEG
            self._video.codec_context.time_base = self._video.time_base = TIME_BASE
            self._audio = None
            if self._samples is not None:
                layout = "mono" if len(self._samples) == 1 else "stereo"
                self._audio = self._container.add_stream("aac", rate=self._audio_rate, layout=layout)
                self._audio.bit_rate = AUDIO_BIT_RATE
            for stream in self._container.streams:
                stream.codec_context.flags |= int(av.codec.context.Flags.bitexact)
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind, error, trace):
        """Drain the encoders, close the file and rename it to `path`; after an error, remove it."""
        return self._stack.__exit__(kind, error, trace)

    def _finish(self, kind, error, trace):
        """Encode the remaining audio and drain both encoders, unless the block raised an exception."""
        if kind is not None:
            return
        if self._last_tick is None:
            raise ValueError(f"{self._path}: expected at least one frame, none was written")
        if self._audio is not None:
            self._encode_audio_until(None)
            self._container.mux(self._audio.encode(None))
        self._container.mux(self._video.encode(None))

    def write(self, image, time_s):
        """Add a frame.

        Parameters
        ----------
        image : uint8 array (height, width, 3)
            RGB, of the size that was given to the constructor.
        time_s : float
            Presentation time in seconds, at least 0 and later than that of the previous frame.

        Raises
        ------
        ValueError
            The size or type of the frame is wrong, or its time is negative, or less than a tick (1/90000 s) after the previous frame.
        """
        image = np.asarray(image)
        if image.shape != self._shape or image.dtype != np.uint8:
            raise ValueError(f"{self._path}: expected a uint8 frame of shape {self._shape}, found {image.dtype} of shape {image.shape}")
        tick = round(time_s / TIME_BASE)
        if tick < 0 or (self._last_tick is not None and tick <= self._last_tick):
            previous = "" if self._last_tick is None else f" after a frame at {float(self._last_tick * TIME_BASE):.6f} s"
            raise ValueError(f"{self._path}: expected increasing times from 0 s, found a frame at {time_s} s{previous}")
        self._last_tick = tick
        if self._audio is not None:
            self._encode_audio_until(time_s)
        width, height = self._size
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, interpolation=CONVERSION, threads=1
        )
        frame.pts, frame.time_base = tick, TIME_BASE
        frame.duration = round(1 / self._rate / TIME_BASE)
        self._container.mux(self._video.encode(frame))

    def _encode_audio_until(self, time_s):
        """Encode the audio up to a time, or to its end for None, so that both streams are interleaved in the file."""
        length = self._samples.shape[1]
        until = length if time_s is None else min(length, int(time_s * self._audio_rate))
        while self._encoded_samples < until:
            block = self._samples[:, self._encoded_samples : self._encoded_samples + AAC_BLOCK]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=self._audio.layout)
            frame.sample_rate, frame.time_base, frame.pts = self._audio_rate, Fraction(1, self._audio_rate), self._encoded_samples
            self._encoded_samples += block.shape[1]
            self._container.mux(self._audio.encode(frame))


def _planar(audio):
    """Convert an `audio` argument to (float32 samples (channel, sample), rate in Hz); (None, None) without audio."""
    if audio is None:
        return None, None
    samples, rate_hz = audio
    samples = np.atleast_2d(np.asarray(samples, dtype=np.float32).T)
    if samples.ndim != 2 or len(samples) not in (1, 2):
        raise ValueError(f"expected audio samples of shape (sample,) or (sample, channel 1 or 2), found shape {np.shape(audio[0])}")
    return samples, int(rate_hz)
