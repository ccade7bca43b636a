"""The sound of a video as a FLAC file on the video's clock; reading such files, and MP3 for those who want it."""

import io
import logging
from functools import partial
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from handroll.logs import progress
from handroll.media.concatenation import decode, offset_of
from handroll.media.file_signatures import open_media
from handroll.media.probe import probe as probe_video
from handroll.media.streams import audio_stream
from handroll.provenance import atomic_path

VERSION = 1
"""Raised by hand when the same file gives other samples."""

LOGGER = logging.getLogger("handroll")

GAP_S = 0.01
"""Blocks of sound whose times leave less than this between them lie seamlessly: containers round times to milliseconds,
and the shortest block that can be missing is longer (AAC at 96 kHz: 10.7 ms)."""

SILENT_RATE_HZ = 44_100
"""The rate that a file without samples is said to have."""

SILENCE_PEAK = 1e-4
"""A recording whose loudest sample stays below this (-80 dB of full scale) holds no music."""

MP3_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""The sampling rates that MP3 knows (MPEG-1, 2 and 2.5 Layer III)."""


MAX_RATE_HZ = 192_000
"""Highest sampling rate that is written; FLAC has none above 655 kHz, and no microphone needs more than this."""

GROWTH_BYTES = 1 << 20
"""No buffer of a file is as large."""


def extract_audio(video_path, out_path, probe=None):
    """Write the sound of a video as mono FLAC, 16 bit; sample 0 sounds when the first frame is shown.

    The sampling rate is the video's own, at most `MAX_RATE_HZ`. Channels are averaged. Sound from before the first frame is cut
    off, a late start and gaps are filled with silence, and blocks that cannot be decoded are silent. Where there is no sound, an
    empty file (zero bytes) is written: FLAC has no valid form without samples that all readers take. `load_audio` reads it as no
    samples.

    Parameters
    ----------
    video_path : path of a media file
    out_path : path of the FLAC file to write
    probe : handroll.media.probe.Probe, optional
        What is known of the video; looked up where not given.

    Returns
    -------
    float
        Seconds of sound written, from the first frame on.
    """
    probe = probe or probe_video(video_path)
    with atomic_path(out_path) as temporary:
        samples, rate_hz = 0, SILENT_RATE_HZ
        if probe.readable and probe.has_audio:
            try:
                samples, rate_hz = _extract(video_path, temporary, probe)
            except soundfile.LibsndfileError:
                _grow(temporary)
                raise
        if samples == 0:
            temporary.write_bytes(b"")
    return samples / rate_hz


def _extract(video_path, out_path, probe):
    """Decode into a FLAC file; (samples written, rate)."""
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


def _grow(path):
    """Fail as the system does where a file cannot grow: libsndfile calls a full disk a "System error", and no more."""
    with path.open("ab") as file:
        file.write(bytes(GROWTH_BYTES))


def _mono_blocks(container, stream, rate_hz, offsets_s):
    """Decoded blocks (sample,) float32 with the time in seconds, since the first frame, of their first sample, or None."""
    resampler, form, faults = None, None, {"damaged": 0}
    blocks = decode(container, stream, partial(offset_of, offsets_s), faults)
    for frame, offset_s in progress(blocks, None, "blocks of audio"):
        start_s = None if frame.pts is None else float(frame.pts * stream.time_base) - offset_s
        if form != (frame.format.name, frame.layout.name, frame.sample_rate):
            form = frame.format.name, frame.layout.name, frame.sample_rate
            # Not one plane a channel: of more than eight, PyAV reads beyond the end of a list, and the process dies.
            resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=rate_hz)
        for block in resampler.resample(frame):
            # FFmpeg's own mix of floats to mono is their sum over the root of two, which would be clipped.
            yield block.to_ndarray().reshape(-1, block.layout.nb_channels).mean(axis=1), start_s
            start_s = None
    if faults["damaged"]:
        LOGGER.warning("%s: %d blocks of sound could not be decoded and are silent", container.name, faults["damaged"])


def load_audio(path, rate_hz=None, mono=True):
    """Read a sound file (FLAC, WAV, MP3, ...).

    Parameters
    ----------
    path : path of a sound file; an empty one, as `extract_audio` writes it, has no samples
    rate_hz : int, optional
        Resample to this rate (soxr, high quality).
    mono : bool
        Average the channels.

    Returns
    -------
    samples : float32 array (sample,), or (sample, channel) where not mono; -1..1
    rate_hz : int
    """
    path = Path(path)
    if path.stat().st_size == 0:
        return np.zeros(0 if mono else (0, 1), np.float32), rate_hz or SILENT_RATE_HZ
    samples, found_hz = soundfile.read(path, dtype="float32", always_2d=True)
    if mono:
        samples = samples.mean(axis=1)
    if rate_hz and rate_hz != found_hz:
        samples = soxr.resample(samples, found_hz, rate_hz).astype(np.float32, copy=False)
    return samples, rate_hz or found_hz


def is_mp3(data):
    """Whether bytes begin as an MP3 file does: with an ID3v2 tag or the sync word of a Layer III frame."""
    return data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2)


def as_mp3(data):
    """A sound file as an MP3 file of the same length, without a shift in time.

    Parameters
    ----------
    data : bytes
        Of a sound file (FLAC, WAV, MP3, ...).

    Returns
    -------
    bytes
        MP3 files as they are. Others encoded, all channels, at their own rate, or the next higher one that MP3 knows.
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
