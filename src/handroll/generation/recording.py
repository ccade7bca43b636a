"""A recording of one's own, as models hear it: a sound file, a video's sound, or a MIDI file becomes features for the whole of it."""

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
"""What transcribes; see `music.transcribe.ENGINES`."""

SOUND_RATE_HZ = 44_100
"""Of the sound that is transcribed and played: what Transkun hears, and AAC takes."""

LEAST_S = 1.0
"""A shorter recording is none."""

PIECE_S = 30.0
"""Sound is encoded in pieces as long as the dataset's clips, which models were trained on."""

_RING_S = 1.0
# Music of a MIDI file goes on for so long after its last note.
_MIDI_HEAD = b"MThd"
# First bytes of a Standard MIDI File.


class RecordingError(ValueError):
    """A file that is not a recording that can be played."""


@dataclass(frozen=True)
class Recording:
    """A recording.

    Attributes
    ----------
    duration_s : float
    sound : path or None
        A FLAC file, mono, as `media.audio.extract_audio` writes it; None where only notes are given.
    notes, pedal : dict of str to array or None
        `tables.NOTES` and `tables.PEDAL`, seconds since the recording's start; None where they are not known.
    transcriber : str
        Where the notes came from; empty where there are none.
    """

    duration_s: float
    sound: Path | None = None
    notes: dict | None = None
    pedal: dict | None = None
    transcriber: str = ""


def open_recording(path, folder, midi_path=None):
    """Open a recording.

    Parameters
    ----------
    path : path
        A sound file, a video with sound, or a MIDI file.
    folder : path
        Where its sound is unpacked: as long as the recording is used, nobody may remove or reuse it.
    midi_path : path, optional
        Its notes, on the sound's clock.

    Returns
    -------
    Recording
        With notes where a MIDI file tells them.

    Raises
    ------
    RecordingError
        There is no such file, it is neither sound nor MIDI, or it is shorter than `LEAST_S`.
    """
    path = Path(path)
    if not path.is_file():
        raise RecordingError(f"{path}: expected a recording, found no such file")
    with open(path, "rb") as file:
        is_midi = file.read(len(_MIDI_HEAD)) == _MIDI_HEAD
    if is_midi and midi_path:
        raise RecordingError(f"{path}: expected a recording of sound beside the notes of {midi_path}, found a MIDI file; give one of them")
    recording = _of_midi(path) if is_midi else _of_sound(path, Path(folder) / "sound.flac")
    if recording.duration_s < LEAST_S:
        raise RecordingError(f"{path}: expected at least {LEAST_S:g} s, found {recording.duration_s:.2f} s")
    if midi_path:
        notes, pedal = _read_midi(midi_path)
        recording = replace(recording, notes=notes, pedal=pedal, transcriber="midi")
    return recording


def _read_midi(path):
    try:
        return read_midi(path)
    except MidiError as error:
        raise RecordingError(str(error)) from error


def _of_midi(path):
    notes, pedal = _read_midi(path)
    if not len(notes["onset_s"]):
        raise RecordingError(f"{path}: expected a MIDI file with notes of a piano, found none")
    return Recording(float(notes["sounding_offset_s"].max()) + _RING_S, None, notes, pedal, "midi")


def _of_sound(path, flac):
    found = probe(path)
    if not found.has_audio:
        raise RecordingError(f"{path}: expected a sound file, a video with sound, or a MIDI file, found none that can be read")
    # Audio is enough here: a file without video is read, too.
    return Recording(extract_audio(path, flac, replace(found, readable=True)), flac)


def transcribed(recording, threads=1, device="cpu"):
    """The recording with the notes of its sound, as `ENGINE` hears them; threads of the processor, and device that it runs on."""
    samples, rate_hz = load_audio(recording.sound, SOUND_RATE_HZ)
    notes, pedal, info = transcribe(samples, rate_hz, ENGINE, {"threads": threads, "device": device})
    by = " ".join(str(info[name]) for name in ("engine", "engine_version") if name in info)
    return replace(recording, notes=notes, pedal=pedal, transcriber=by)


def hear(recording, encoder, rate_hz, frames):
    """Features of a recording, as of the dataset's clips.

    Parameters
    ----------
    recording : Recording
        With what the encoder hears: notes, or sound.
    encoder : models.features.FeatureEncoder
    rate_hz : float
        Frames a second.
    frames : int
        How many; behind the recording's end it is silent.

    Returns
    -------
    array (frame, feature), float32
        Of sound longer than `PIECE_S` each frame is told by the piece of whose ends it is farther away.
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
            row["audio"] = {"bytes": cut_flac(recording.sound, start_s, end_s)}
        heard = encoder.encode(row)
        if features is None:
            features = np.empty((starts[-1] + piece, heard.shape[1]), dtype=np.float32)
        # Pieces overlap by half: the later one begins to count in the middle of that.
        skip = piece // 4 if first else 0
        features[first + skip : first + piece] = heard[skip:]
    return features[:frames]
