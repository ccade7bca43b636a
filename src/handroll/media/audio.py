"""Extract the audio of a video as a FLAC file aligned with its frames, read audio files, and encode MP3."""

import io
import logging
from functools import partial
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from handroll.logs import progress
from handroll.media.concatenation import decode, piece_offset
from handroll.media.probe import probe as probe_video
from handroll.media.safe_open import open_media
from handroll.media.streams import audio_stream
from handroll.provenance import atomic_path

VERSION = 1
"""Version of the results of this module, increased manually when the same file gives other samples."""

LOGGER = logging.getLogger("handroll")

GAP_S = 0.01
"""Maximum gap or overlap (s) between consecutive audio blocks that is ignored, so that the blocks are joined directly. Containers that
round times to milliseconds cause such differences. The gap of a missing block is longer (at least 10.7 ms, for AAC at 96 kHz)."""

SILENT_RATE_HZ = 44_100
"""Sampling rate (Hz) reported for a file without samples."""

SILENCE_PEAK = 1e-4
"""Peak amplitude (of full scale, 0..1) below which a recording counts as silent: -80 dB."""

MP3_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Sampling rates (Hz) that MP3 supports (MPEG-1, 2 and 2.5 Layer III)."""

MAX_RATE_HZ = 192_000
"""Maximum sampling rate (Hz) of the extracted FLAC file. FLAC allows up to 655 kHz, but no microphone needs more than 192 kHz."""

DISK_TEST_BYTES = 1 << 20
"""Number of bytes written to test whether the disk is full: more than any file buffer holds, so that they reach the disk."""


def extract_audio(video_path, out_path, probe=None):
    """Write the audio of a video as mono FLAC, 16 bit; sample 0 is at the time of the first frame.

    The sampling rate is the video's own, at most `MAX_RATE_HZ`. Channels are averaged. Audio before the first frame is cut off.
    A late start, gaps, and blocks that cannot be decoded become silence. A video without audio gives an empty file (zero bytes),
    because not every reader accepts a FLAC file without samples. `load_audio` reads such a file as an array without samples.

    Parameters
    ----------
    video_path : path of a media file
    out_path : path of the FLAC file to write
    probe : handroll.media.probe.Probe, optional
        Probe of the video; computed if not given.

    Returns
    -------
    float
        Duration of the written audio in seconds, from the first frame on.
    """
    probe = probe or probe_video(video_path)
    with atomic_path(out_path) as temporary:
        samples, rate_hz = 0, SILENT_RATE_HZ
        if probe.readable and probe.has_audio:
            try:
                samples, rate_hz = _extract(video_path, temporary, probe)
            except soundfile.LibsndfileError:
                _raise_if_disk_full(temporary)
                raise
        if samples == 0:
            temporary.write_bytes(b"")
    return samples / rate_hz


def _extract(video_path, out_path, probe):
    """Decode the audio stream of a video into the FLAC file `out_path`; return (number of samples, sampling rate in Hz).

    `probe`: Probe of the video, which has audio.
    """
    rate_hz, written = min(probe.audio_rate_hz, MAX_RATE_HZ), 0
    with (
        open_media(video_path) as container,
        soundfile.SoundFile(out_path, "w", rate_hz, 1, "PCM_16", format="FLAC") as file,
    ):
        stream = audio_stream(container)
        for block, start_s in _mono_blocks(container, stream, rate_hz, probe.audio_offsets_s):
            start = written if start_s is None else round(start_s * rate_hz)
            if written and abs(start - written) < GAP_S * rate_hz:
                start = written
            if start > written:
                file.write(np.zeros(start - written, np.float32))
                written = start
            block = block[max(0, written - start) :]
            file.write(block)
            written += len(block)
    return written, rate_hz


def _raise_if_disk_full(path):
    """Raise the system's OSError if the disk is full, by appending bytes to the file. libsndfile reports only "System error"."""
    with path.open("ab") as file:
        file.write(bytes(DISK_TEST_BYTES))


def _mono_blocks(container, stream, rate_hz, offsets_s):
    """Yield (samples, start_s) of the decoded audio blocks.

    `samples` is float32 (sample,). `start_s` is the time of the block's first sample, relative to the video's first frame; None for a
    block that directly follows the previous one. `offsets_s`: `Probe.audio_offsets_s`.
    """
    resampler, block_format, faults = None, None, {"damaged": 0}
    blocks = decode(container, stream, partial(piece_offset, offsets_s), faults)
    for frame, offset_s in progress(blocks, None, "blocks of audio"):
        start_s = None if frame.pts is None else float(frame.pts * stream.time_base) - offset_s
        if block_format != (frame.format.name, frame.layout.name, frame.sample_rate):
            block_format = frame.format.name, frame.layout.name, frame.sample_rate
            # The samples are interleaved, because PyAV crashes on planar audio of more than eight channels.
            resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=rate_hz)
        for block in resampler.resample(frame):
            # The channels are averaged here. FFmpeg would divide their sum by sqrt(2), which would clip.
            yield block.to_ndarray().reshape(-1, block.layout.nb_channels).mean(axis=1), start_s
            start_s = None
    if faults["damaged"]:
        LOGGER.warning("%s: %d audio blocks cannot be decoded and are replaced by silence", container.name, faults["damaged"])


def load_audio(path, rate_hz=None):
    """Read an audio file (FLAC, WAV, MP3, ...) as mono; channels are averaged.

    Parameters
    ----------
    path : path of an audio file; an empty file gives no samples (see `extract_audio`)
    rate_hz : int, optional
        Resample to this rate (soxr, high quality).

    Returns
    -------
    samples : float32 array (sample,), -1..1
    rate_hz : int
        Sampling rate of the samples.
    """
    path = Path(path)
    if path.stat().st_size == 0:
        return np.zeros(0, np.float32), rate_hz or SILENT_RATE_HZ
    samples, found_hz = soundfile.read(path, dtype="float32", always_2d=True)
    samples = samples.mean(axis=1)
    if rate_hz and rate_hz != found_hz:
        samples = soxr.resample(samples, found_hz, rate_hz).astype(np.float32, copy=False)
    return samples, rate_hz or found_hz


def is_mp3(data):
    """Return whether bytes start like an MP3 file: with an ID3v2 tag or the sync word of a Layer III frame."""
    return data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2)


def as_mp3(data):
    """Encode an audio file as MP3, with the same length and no time shift.

    Parameters
    ----------
    data : bytes
        Content of an audio file (FLAC, WAV, MP3, ...).

    Returns
    -------
    bytes
        Content of an MP3 file. `data` that is MP3 already is returned unchanged. Otherwise, the MP3 has all channels of the input and
        the lowest of `MP3_RATES_HZ` that is not below the input's rate. An input above 48 kHz is reduced to 48 kHz.
    """
    if is_mp3(data):
        return data
    samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32")
    mp3_rate_hz = next((rate for rate in MP3_RATES_HZ if rate >= rate_hz), MP3_RATES_HZ[-1])
    if mp3_rate_hz != rate_hz:
        samples = soxr.resample(samples, rate_hz, mp3_rate_hz)
    target = io.BytesIO()
    soundfile.write(target, samples, mp3_rate_hz, format="MP3")
    return target.getvalue()
