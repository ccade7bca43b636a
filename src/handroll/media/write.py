"""Write frames and audio as an MP4 that any browser plays; the same input gives the same bytes."""

from contextlib import ExitStack
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numba import njit

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

# Weights of red, green and blue in the three components of YUV, in units of 2^-15: ITU-R BT.709 with the limited range 16..235 (Y) and
# 16..240 (U, V), rounded as in FFmpeg's libswscale (fill_rgb2yuv_table).
_Y_WEIGHTS = (5983, 20127, 2032)
_U_WEIGHTS = (-3298, -11094, 14392)
_V_WEIGHTS = (14392, -13073, -1320)


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
        frame = av.VideoFrame(width, height, "yuv420p")
        frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
        planes = (np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size) for plane in frame.planes)
        rgb_to_yuv(image[:height, :width], *planes)
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


@njit(cache=True, nogil=True)
def rgb_to_yuv(image, luma, blue, red):
    """Convert an RGB image to YUV 4:2:0, ITU-R BT.709, limited range.

    For images of at least 8 rows, the result is the same, bit for bit, as that of libswscale with the flags BILINEAR, ACCURATE_RND and
    BITEXACT, in a quarter of its time.
    U and V are averaged over pairs of columns, and weighted by 1/8, 3/8, 3/8, 1/8 over four rows.

    Parameters
    ----------
    image : array (y, x, rgb 3), uint8
        Height and width are even.
    luma, blue, red : arrays (y, x), uint8
        The planes Y (at least as wide as the image), U and V (at least half as wide). The result is written into them.
    """
    height, width = image.shape[0], image.shape[1]
    # U and V of the last four rows. U and V of a row of the result need one row above, two rows, and one row below.
    rows = np.empty((2, 4, width // 2), np.int32)
    for y in range(height + 1):
        if y < height:
            _convert_row(image[y], luma[y], rows[0, y & 3], rows[1, y & 3])
        if y >= 2 and y % 2 == 0:
            above, below = max(y - 3, 0) & 3, min(y, height - 1) & 3
            for part, plane in ((rows[0], blue), (rows[1], red)):
                _average_rows(part[above], part[(y - 2) & 3], part[(y - 1) & 3], part[below], plane[y // 2 - 1])


@njit(nogil=True)
def _weigh(weights, r, g, b, offset, bits):
    """Return a weighted sum of integers plus `offset`, shifted right by `bits`; in 32 bits, so that processors compute many at once."""
    return np.int32(np.int32(r * weights[0] + g * weights[1] + b * weights[2] + offset) >> bits)


@njit(nogil=True)
def _convert_row(pixels, luma, blue, red):
    """Convert a row of pixels (x, rgb 3) to Y (x,), 8 bits, and to U and V (x / 2,), in units of 1/64."""
    for x in range(np.uintp(len(blue))):
        left = x * np.uintp(2)
        right = left + np.uintp(1)
        r0, g0, b0 = np.int32(pixels[left, 0]), np.int32(pixels[left, 1]), np.int32(pixels[left, 2])
        r1, g1, b1 = np.int32(pixels[right, 0]), np.int32(pixels[right, 1]), np.int32(pixels[right, 2])
        luma[left] = (_weigh(_Y_WEIGHTS, r0, g0, b0, (32 << 14) + (1 << 8), 9) + 32) >> 6
        luma[right] = (_weigh(_Y_WEIGHTS, r1, g1, b1, (32 << 14) + (1 << 8), 9) + 32) >> 6
        r, g, b = np.int32(r0 + r1), np.int32(g0 + g1), np.int32(b0 + b1)
        blue[x] = _weigh(_U_WEIGHTS, r, g, b, (256 << 15) + (1 << 9), 10)
        red[x] = _weigh(_V_WEIGHTS, r, g, b, (256 << 15) + (1 << 9), 10)


@njit(nogil=True)
def _average_rows(first, second, third, fourth, out):
    """Average four rows (x,) of U or V, in units of 1/64, with the weights 1/8, 3/8, 3/8, 1/8, and round to 8 bits."""
    for x in range(np.uintp(len(first))):
        total = np.int32(first[x] + fourth[x] + 3 * (second[x] + third[x]))
        out[x] = np.int32(total + 256) >> 9


def _planar(audio):
    """Convert an `audio` argument to (float32 samples (channel, sample), rate in Hz); (None, None) without audio."""
    if audio is None:
        return None, None
    samples, rate_hz = audio
    samples = np.atleast_2d(np.asarray(samples, dtype=np.float32).T)
    if samples.ndim != 2 or len(samples) not in (1, 2):
        raise ValueError(f"expected audio samples of shape (sample,) or (sample, channel 1 or 2), found shape {np.shape(audio[0])}")
    return samples, int(rate_hz)
