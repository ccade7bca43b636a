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
"""Name of the transcription engine that is used; see `music.transcribe.ENGINES`."""

AUDIO_RATE_HZ = 44_100
"""Sampling rate of the audio for transcription and for the video (Hz). Transkun requires this rate, and AAC supports it."""

MIN_DURATION_S = 1.0
"""Minimum duration of a recording (s)."""

PIECE_S = 30.0
"""Length of the pieces in which audio is encoded (s). It equals the length of the clips on which models are trained."""

# Duration of the silence after the last note of a MIDI file (s).
_TAIL_S = 1.0

# First bytes of a Standard MIDI File.
_MIDI_HEAD = b"MThd"


class RecordingError(ValueError):
    """Error for a file that cannot be used as a recording."""


@dataclass(frozen=True)
class Recording:
    """A recording: its audio, its notes, or both.

    Attributes
    ----------
    duration_s : float
    audio : path or None
        Mono FLAC file, as written by `media.audio.extract_audio`. None for a MIDI file.
    notes, pedal : dict of str to array or None
        Columns of `tables.NOTES` and `tables.PEDAL`, in seconds since the start of the recording. None if unknown.
    transcriber : str
        Origin of the notes; empty without notes.
    """

    duration_s: float
    audio: Path | None = None
    notes: dict | None = None
    pedal: dict | None = None
    transcriber: str = ""


def open_recording(path, folder, midi_path=None):
    """Open an audio file, a video with audio, or a MIDI file.

    Parameters
    ----------
    path : path
        An audio file, a video with audio, or a MIDI file.
    folder : path
        Folder for the extracted audio. Do not delete it while the recording is in use.
    midi_path : path, optional
        MIDI file with the notes of an audio recording. It must be synchronous with the audio.

    Returns
    -------
    Recording
        It contains notes if a MIDI file is given, and audio if `path` is not a MIDI file.

    Raises
    ------
    RecordingError
        The file is missing, is neither audio nor MIDI, or is shorter than `MIN_DURATION_S`.
    """
    path = Path(path)
    if not path.is_file():
        raise RecordingError(f"{path}: expected a recording, found no such file")
    with open(path, "rb") as file:
        is_midi = file.read(len(_MIDI_HEAD)) == _MIDI_HEAD
    if is_midi and midi_path:
        raise RecordingError(f"{path}: expected audio or video for the notes of {midi_path}, found a MIDI file; give a single MIDI file")
    recording = _open_midi(path) if is_midi else _open_audio(path, Path(folder) / "audio.flac")
    if recording.duration_s < MIN_DURATION_S:
        raise RecordingError(f"{path}: expected a recording of at least {MIN_DURATION_S:g} s, found {recording.duration_s:.2f} s")
    if midi_path:
        notes, pedal = _read_midi(midi_path)
        recording = replace(recording, notes=notes, pedal=pedal, transcriber="midi")
    return recording


def _read_midi(path):
    """Read notes and pedal of a MIDI file; errors become RecordingErrors."""
    try:
        return read_midi(path)
    except MidiError as error:
        raise RecordingError(str(error)) from error


def _open_midi(path):
    """Open a MIDI file as a recording without audio."""
    notes, pedal = _read_midi(path)
    if not len(notes["onset_s"]):
        raise RecordingError(f"{path}: expected a MIDI file with piano notes, found no notes")
    return Recording(float(notes["sounding_offset_s"].max()) + _TAIL_S, None, notes, pedal, "midi")


def _open_audio(path, flac):
    """Extract the audio of an audio file or a video to the file `flac`, and return a recording without notes."""
    found = probe(path)
    if not found.has_audio:
        raise RecordingError(f"{path}: expected an audio file, a video with audio, or a MIDI file, found no readable audio")
    # `readable` is false for an audio file, because it refers to the video stream. Here only the audio is needed.
    return Recording(extract_audio(path, flac, replace(found, readable=True)), flac)


def transcribe_recording(recording, threads=1, device="cpu"):
    """Transcribe the audio of a recording with `ENGINE`, and return the recording with its notes.

    The engine runs on `device`, with `threads` CPU threads.
    """
    samples, rate_hz = load_audio(recording.audio, AUDIO_RATE_HZ)
    notes, pedal, info = transcribe(samples, rate_hz, ENGINE, {"threads": threads, "device": device})
    transcriber = " ".join(str(info[name]) for name in ("engine", "engine_version") if name in info)
    return replace(recording, notes=notes, pedal=pedal, transcriber=transcriber)


def encode_recording(recording, encoder, rate_hz, frames):
    """Compute the features of a recording in the same way as for clips of the dataset.

    Parameters
    ----------
    recording : Recording
        Recording that contains the input of the encoder: notes or audio.
    encoder : models.audio_features.FeatureEncoder
    rate_hz : float
        Frame rate of the features.
    frames : int
        Number of frames of the result. The recording is padded with silence.

    Returns
    -------
    array (frame, feature), float32
        Audio that is longer than `PIECE_S` is encoded in pieces that overlap by half. The features of a frame come from the piece in
        which the frame is farther from the ends.
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
