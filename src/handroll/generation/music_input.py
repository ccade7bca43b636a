"""Input of `handroll generate`: an audio file, a video with audio, or a file with notes.

Files with notes are MIDI files, MusicXML scores and PIG fingering files. They may give the hands and fingers of their notes.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from handroll.exchange.fingering_files import PIG_MARK, read_pig
from handroll.generation.fingering import UNPLAYED
from handroll.generation.hand_assignment import UNKNOWN
from handroll.generation.recording import Recording
from handroll.hand.skeleton import HANDS
from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.logs import LOGGER
from handroll.media.audio import extract_audio, load_audio
from handroll.media.probe import probe
from handroll.music.midi import read_with_origins
from handroll.music.midi_file import MAX_BYTES, MAX_DURATION_S
from handroll.music.midi_hands import hands_of_tracks
from handroll.music.musicxml import read_musicxml
from handroll.music.notes import note_table_of_strikes, pedal_table
from handroll.music.transcribe import transcribe
from handroll.tables import NOTES

ENGINE = "transkun"
"""Name of the transcription engine that is used; see `music.transcribe.ENGINES`."""

AUDIO_RATE_HZ = 44_100
"""Sampling rate of the audio for transcription and for the video (Hz). Transkun requires this rate, and AAC supports it."""

MIN_DURATION_S = 1.0
"""Minimum duration of a recording (s)."""

GIVEN_HANDS = ("auto", "tracks", "ignore")
"""Uses of the hands and fingers that a file gives. auto: they are kept; the tracks of a MIDI file are taken as hands only if this is clear
(`music.midi_hands`). tracks: both tracks of a MIDI file are hands. ignore: they are not used."""

MIN_TEMPO, MAX_TEMPO = 0.1, 10.0
"""Range of the factor by which the tempo of a file with notes can be changed."""

# Duration of the silence after the last note of a file without audio (s).
_TAIL_S = 1.0

# First bytes of a Standard MIDI File, of a ZIP archive, and of XML after white space and byte order mark.
_MIDI_HEAD, _ZIP_HEAD, _XML_HEADS = b"MThd", b"PK\x03\x04", (b"<?xml", b"<!DOCTYPE", b"<score-")

# Suffixes of MusicXML files. XML in UTF-16 does not start with the bytes above.
_MUSICXML_SUFFIXES = (".musicxml", ".mxl", ".xml")

# Number of bytes from which the type of a file is recognised.
_HEAD_BYTES = 256


class RecordingError(ValueError):
    """Error for a file that cannot be used as a recording."""


def open_recording(path, folder, midi_path=None, tempo=1.0, hands="auto"):
    """Open an audio file, a video with audio, or a file with notes: MIDI, MusicXML or PIG.

    Parameters
    ----------
    path : path
        An audio file, a video with audio, or a file with notes.
    folder : path
        Folder for the extracted audio. Do not delete it while the recording is in use.
    midi_path : path, optional
        MIDI file with the notes of an audio recording. It must be synchronous with the audio.
    tempo : float
        Factor of the tempo of a file with notes, `MIN_TEMPO` to `MAX_TEMPO`: 2 plays it twice as fast.
    hands : str
        Use of given hands and fingers, one of `GIVEN_HANDS`.

    Returns
    -------
    Recording
        It contains notes if a file with notes is given, and audio if `path` is not a file with notes.

    Raises
    ------
    RecordingError
        The file is missing or of another type, has no notes on the piano's keys, or is shorter than `MIN_DURATION_S`; an option has an
        invalid value, or does not apply to the file.
    """
    path = Path(path)
    if hands not in GIVEN_HANDS:
        raise RecordingError(f"hands: expected one of {', '.join(GIVEN_HANDS)}, found {hands!r}")
    if not MIN_TEMPO <= tempo <= MAX_TEMPO:
        raise RecordingError(f"tempo: expected a factor of {MIN_TEMPO:g} to {MAX_TEMPO:g}, found {tempo:g}")
    if not path.is_file():
        raise RecordingError(f"{path}: expected a recording, found no such file")
    kind = _kind_of(path)
    if kind and midi_path:
        name = {"midi": "MIDI", "musicxml": "MusicXML", "pig": "PIG"}[kind]
        raise RecordingError(
            f"{path}: expected audio or video for the notes of {midi_path}, found a {name} file; give a single {name} file"
        )
    if hands == "tracks" and kind != "midi" and not midi_path:
        raise RecordingError(f"{path}: expected a MIDI file, because hands is 'tracks', found a file of another type")
    if not kind and tempo != 1.0:
        raise RecordingError(f"{path}: expected a file with notes, because the tempo is changed, found audio; leave out the tempo")
    recording = _at_tempo(_open_notes(path, kind, hands), tempo) if kind else _open_audio(path, Path(folder) / "audio.flac")
    if recording.duration_s < MIN_DURATION_S:
        raise RecordingError(f"{path}: expected a recording of at least {MIN_DURATION_S:g} s, found {recording.duration_s:.2f} s")
    if midi_path:
        given = _read_notes(midi_path, "midi", hands)
        recording = replace(recording, transcriber="midi", **given)
    return recording


def _kind_of(path):
    """Return the type of a file with notes: "midi", "musicxml" or "pig"; empty for other files."""
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(_MIDI_HEAD):
        return "midi"
    if head.startswith(_ZIP_HEAD) or text.startswith(_XML_HEADS) or path.suffix.lower() in _MUSICXML_SUFFIXES:
        return "musicxml"
    return "pig" if text.startswith(PIG_MARK.encode()) else ""


def _open_notes(path, kind, hands):
    """Open a file with notes as a recording without audio."""
    given = _read_notes(path, kind, hands)
    if not len(given["notes"]["onset_s"]):
        raise RecordingError(f"{path}: expected a file with piano notes, found no notes on the piano's 88 keys")
    return Recording(float(given["notes"]["sounding_offset_s"].max()) + _TAIL_S, transcriber=kind, **given)


def _read_notes(path, kind, hands):
    """Read a file with notes; its errors become RecordingErrors. Returns the fields notes, pedal, hand and finger of a `Recording`."""
    try:
        notes, pedal = _READERS[kind](path, hands)
    except ValueError as error:
        raise RecordingError(str(error)) from error
    hand, finger = np.full(len(notes["onset_s"]), UNKNOWN), np.full(len(notes["onset_s"]), UNPLAYED)
    if hands != "ignore":
        for index, side in enumerate(HANDS):
            hand[notes["hand"] == side] = index
        finger = np.where(notes["finger"] > 0, notes["finger"].astype(int) - 1, UNPLAYED)
        LOGGER.info("%s: %d notes; %d have a hand, %d a finger", path, len(hand), (hand != UNKNOWN).sum(), (finger != UNPLAYED).sum())
    return {"notes": {column: notes[column] for column in NOTES.empty()}, "pedal": pedal, "hand": hand, "finger": finger}


def _read_midi(path, hands):
    """Read notes, with `hand` and `finger` as in `tables.FINGERED_NOTES`, and pedal of a MIDI file; see `open_recording`."""
    notes, pedal, _, origins = read_with_origins(path)
    hand = np.full(len(notes["onset_s"]), "", dtype=object)
    if len(hand) and hands != "ignore":
        hand = hands_of_tracks(notes, origins, path, hands == "tracks")
    return notes | {"hand": hand, "finger": np.zeros(len(hand), dtype=np.int8)}, pedal


def _read_pig(path, _):
    """Read notes, with `hand` and `finger`, of a PIG fingering file. It has no pedal."""
    if path.stat().st_size > MAX_BYTES:
        raise RecordingError(f"{path}: expected a PIG file of at most {MAX_BYTES / 1e6:.0f} MB, found a larger file")
    read, pedal = read_pig(path), pedal_table([], [])
    kept = (read["pitch"] >= LOWEST_PITCH) & (read["pitch"] <= HIGHEST_PITCH)
    if not kept.all():
        LOGGER.warning("%s: %d notes outside the piano's 88 keys were dropped", path, (~kept).sum())
    if (read["key_offset_s"] > MAX_DURATION_S).any():
        raise RecordingError(f"{path}: expected at most {MAX_DURATION_S / 3600:g} hours of music, found a later note")
    onset_s, release_s, pitch, velocity, hand, finger = (
        read[name][kept].tolist() for name in ("onset_s", "key_offset_s", "pitch", "velocity", "hand", "finger")
    )
    rows = list(zip(onset_s, release_s, pitch, velocity, zip(hand, finger, strict=True), strict=True))
    notes, labels, _ = note_table_of_strikes(rows, pedal)
    hand = np.array([hand for hand, _ in labels], dtype=object)
    return notes | {"hand": hand, "finger": np.array([finger for _, finger in labels], dtype=np.int8)}, pedal


# Reader of each type of file with notes.
_READERS = {"midi": _read_midi, "musicxml": lambda path, _: read_musicxml(path), "pig": _read_pig}


def _at_tempo(recording, tempo):
    """Return a recording without audio that is played `tempo` times as fast."""
    notes = {name: values / tempo if name.endswith("_s") else values for name, values in recording.notes.items()}
    pedal = {name: values / tempo for name, values in recording.pedal.items()}
    return replace(recording, duration_s=(recording.duration_s - _TAIL_S) / tempo + _TAIL_S, notes=notes, pedal=pedal)


def _open_audio(path, flac):
    """Extract the audio of an audio file or a video to the file `flac`, and return a recording without notes."""
    found = probe(path)
    if not found.has_audio:
        expected = "an audio file, a video with audio, or a file with notes (MIDI, MusicXML, PIG)"
        raise RecordingError(f"{path}: expected {expected}, found no readable audio")
    # `readable` is false for an audio file, because it refers to the video stream. Here only the audio is needed.
    return Recording(extract_audio(path, flac, replace(found, readable=True)), flac)


def transcribe_recording(recording, threads=1, device="cpu"):
    """Transcribe the audio of a recording with `ENGINE`, and return the recording with its notes.

    The engine runs on `device`, with `threads` CPU threads.
    """
    samples, rate_hz = load_audio(recording.audio, AUDIO_RATE_HZ)
    notes, pedal, info = transcribe(samples, rate_hz, ENGINE, {"threads": threads, "device": device})
    transcriber = " ".join(str(info[name]) for name in ("engine", "engine_version") if name in info)
    unknown = {"hand": np.full(len(notes["onset_s"]), UNKNOWN), "finger": np.full(len(notes["onset_s"]), UNPLAYED)}
    return replace(recording, notes=notes, pedal=pedal, transcriber=transcriber, **unknown)
