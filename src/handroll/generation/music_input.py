"""Input of `handroll generate`: an audio file, a video with audio, or a MIDI file, and its features for a model."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from handroll.dataset.clip_content import cut_flac, cut_music
from handroll.logs import progress
from handroll.media.audio import extract_audio, load_audio
from handroll.media.probe import probe
from handroll.models.two_stage import window_starts
from handroll.music.midi import read_midi
from handroll.music.midi_file import MidiError
from handroll.music.transcribe import transcribe

ENGINE = "transkun"
"""Transcription engine; see `music.transcribe.ENGINES`."""

AUDIO_RATE_HZ = 44_100
"""Sampling rate of audio for transcription and for the video: the rate of Transkun, and supported by AAC."""

MIN_DURATION_S = 1.0
"""Minimum duration of a recording."""

PIECE_S = 30.0
"""Audio is encoded in pieces of this length, that of the dataset's clips, on which models are trained."""

_TAIL_S = 1.0
# Time after the last note of a MIDI file.
_MIDI_HEAD = b"MThd"
# First bytes of a Standard MIDI File.


class RecordingError(ValueError):
    """A file that cannot be used as a recording."""


@dataclass(frozen=True)
class Recording:
    """Audio, notes, or both of a recording.

    Attributes
    ----------
    duration_s : float
    audio : path or None
        Mono FLAC file, as `media.audio.extract_audio` writes it; None for a MIDI file.
    notes, pedal : dict of str to array or None
        `tables.NOTES` and `tables.PEDAL`, seconds since the recording's start; None if unknown.
    transcriber : str
        Origin of the notes; empty without notes.
    """

    duration_s: float
    audio: Path | None = None
    notes: dict | None = None
    pedal: dict | None = None
    transcriber: str = ""


def open_recording(path, folder, midi_path=None):
    """Open a recording.

    Parameters
    ----------
    path : path
        An audio file, a video with audio, or a MIDI file.
    folder : path
        Folder for the extracted audio. It must exist as long as the recording is used.
    midi_path : path, optional
        Notes of an audio recording, synchronous with its audio.

    Returns
    -------
    Recording
        With notes if a MIDI file is given.

    Raises
    ------
    RecordingError
        The file is missing, is neither audio nor MIDI, or is shorter than `LEAST_S`.
    """
    path = Path(path)
    if not path.is_file():
        raise RecordingError(f"{path}: expected a recording, found no such file")
    with open(path, "rb") as file:
        is_midi = file.read(len(_MIDI_HEAD)) == _MIDI_HEAD
    if is_midi and midi_path:
        raise RecordingError(f"{path}: expected an audio file for the notes of {midi_path}, found a MIDI file; give only one MIDI file")
    recording = _open_midi(path) if is_midi else _open_audio(path, Path(folder) / "audio.flac")
    if recording.duration_s < MIN_DURATION_S:
        raise RecordingError(f"{path}: expected at least {MIN_DURATION_S:g} s, found {recording.duration_s:.2f} s")
    if midi_path:
        notes, pedal = _read_midi(midi_path)
        recording = replace(recording, notes=notes, pedal=pedal, transcriber="midi")
    return recording


def _read_midi(path):
    try:
        return read_midi(path)
    except MidiError as error:
        raise RecordingError(str(error)) from error


def _open_midi(path):
    notes, pedal = _read_midi(path)
    if not len(notes["onset_s"]):
        raise RecordingError(f"{path}: expected a MIDI file with piano notes, found no notes")
    return Recording(float(notes["sounding_offset_s"].max()) + _TAIL_S, None, notes, pedal, "midi")


def _open_audio(path, flac):
    found = probe(path)
    if not found.has_audio:
        raise RecordingError(f"{path}: expected an audio file, a video with audio, or a MIDI file, found no readable audio")
    # `readable` refers to the video, which is not needed here.
    return Recording(extract_audio(path, flac, replace(found, readable=True)), flac)


def transcribe_recording(recording, threads=1, device="cpu"):
    """Return the recording with notes transcribed by `ENGINE`, which runs on a device with a number of CPU threads."""
    samples, rate_hz = load_audio(recording.audio, AUDIO_RATE_HZ)
    notes, pedal, info = transcribe(samples, rate_hz, ENGINE, {"threads": threads, "device": device})
    transcriber = " ".join(str(info[name]) for name in ("engine", "engine_version") if name in info)
    return replace(recording, notes=notes, pedal=pedal, transcriber=transcriber)


def encode_recording(recording, encoder, rate_hz, frames):
    """Compute features of a recording, in the same way as for clips of the dataset.

    Parameters
    ----------
    recording : Recording
        With the input of the encoder: notes or audio.
    encoder : models.audio_features.FeatureEncoder
    rate_hz : float
        Frame rate of the features.
    frames : int
        Number of frames; the recording is followed by silence.

    Returns
    -------
    array (frame, feature), float32
        Audio longer than `PIECE_S` is encoded in pieces that overlap by half. A frame is taken from the piece in which it is farther from
        the ends.
    """
    by_notes = "notes" in encoder.columns
    piece = frames if by_notes else min(frames, round(PIECE_S * rate_hz))
    starts = window_starts(frames, piece)
    features = None
    for first in progress(starts, len(starts), "pieces encoded"):
        start_s, end_s = first / rate_hz, (first + piece) / rate_hz
        row = {"start_s": start_s, "end_s": end_s, "audio_delay_s": 0.0}
        if by_notes:
            row |= cut_music(recording.notes, recording.pedal, start_s, end_s)
        else:
            row["audio"] = {"bytes": cut_flac(recording.audio, start_s, end_s)}
        encoded = encoder.encode(row)
        if features is None:
            features = np.empty((starts[-1] + piece, encoded.shape[1]), dtype=np.float32)
        # The later piece replaces the earlier one from the middle of their overlap.
        skip = piece // 4 if first else 0
        features[first + skip : first + piece] = encoded[skip:]
    return features[:frames]
