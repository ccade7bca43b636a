"""Read and write MIDI files: notes with velocity, and the sustain pedal."""

import logging
from collections import defaultdict, deque
from dataclasses import asdict, dataclass

import mido
import numpy as np

from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.music.midi_file import MAX_BYTES, MidiError, MidiFault, read_events
from handroll.music.notes import note_table_of_strikes, pedal_table
from handroll.provenance import atomic_path

LOGGER = logging.getLogger("handroll")

VERSION = 1
"""Version of the written files, increased manually when the same notes give another MIDI file."""

SUSTAIN = 64
"""Controller number of the sustain pedal."""

PEDAL_DOWN = 64
"""Minimum value of the controller `SUSTAIN` that counts as pedal down (General MIDI)."""

TICKS_PER_BEAT = 480
"""Ticks per beat of written files."""

TEMPO_US = 500_000
"""Tempo of written files, microseconds per beat. A tick is therefore 1.04 ms."""

# Types of channel messages: the upper four bits of their status byte.
_NOTE_OFF, _NOTE_ON, _CONTROL = 8, 9, 11

# Drum channel of General MIDI: channel 10, counted from 0.
_DRUMS = 9


@dataclass(frozen=True)
class Repairs:
    """Repairs of a MIDI file: the number of notes for each kind of repair.

    Attributes
    ----------
    doubled : int
        Strikes within `notes.SAME_STRIKE_S` after a strike of the same key; merged with the earlier strike.
    lengthened : int
        Notes shorter than `notes.SAME_STRIKE_S`; extended to this duration, but at most to the next strike of their key.
    never_ended : int
        Notes without a note-off message; ended at the last note-off of their key if that is after the onset, else at the end of the file.
    outside : int
        Notes outside the piano's 88 keys; dropped.
    """

    doubled: int = 0
    lengthened: int = 0
    never_ended: int = 0
    outside: int = 0


@dataclass(frozen=True)
class Origins:
    """Origin of the notes of a MIDI file.

    Attributes
    ----------
    track, channel : array (note,), int
        Number of the track, and channel, both from 0. If several strikes were merged, those of the highest track.
    track_names : dict of int to str
    """

    track: np.ndarray
    channel: np.ndarray
    track_names: dict[int, str]


def read_midi(path):
    """Read notes and pedal of a MIDI file. See `read_and_repair`; the repairs are only logged."""
    return read_and_repair(path)[:2]


def read_and_repair(path):
    """Read notes and pedal of a MIDI file of format 0 or 1. All tracks are merged; drums (channel 10) are dropped.

    Parameters
    ----------
    path : path

    Returns
    -------
    notes, pedal : dict of str to array
        Columns of `tables.NOTES` and `tables.PEDAL`; seconds from the start of the file. Every note has a duration above 0.
    repairs : Repairs

    Raises
    ------
    MidiError
        The file is rejected; `fault` is the reason, see `midi_file.MidiFault`.
    """
    return read_with_origins(path)[:3]


def read_with_origins(path):
    """Read notes, pedal, repairs and the origins (`Origins`) of the notes of a MIDI file. See `read_and_repair`."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise MidiError(MidiFault.MISSING, f"{path}: expected a MIDI file, but the file cannot be opened ({error.strerror})") from error
    try:
        if len(data) > MAX_BYTES:
            text = f"expected a MIDI file of at most {MAX_BYTES / 1e6:.0f} MB, found a larger file; export only the notes of this video"
            raise MidiError(MidiFault.TOO_LARGE, text)
        events = read_events(data)
        rows, presses, never_ended = _pair_ends(events)
    except MidiError as error:
        raise MidiError(error.fault, f"{path}: {error}") from None
    kept = [row for row in rows if LOWEST_PITCH <= row[2] <= HIGHEST_PITCH]
    pedal = pedal_table(*zip(*presses, strict=True)) if presses else pedal_table([], [])
    notes, labels, brief = note_table_of_strikes(kept, pedal)
    repairs = Repairs(len(kept) - len(labels), brief, never_ended, len(rows) - len(kept))
    if any(asdict(repairs).values()):
        LOGGER.warning("%s: repaired notes: %s", path, ", ".join(f"{number} {name}" for name, number in asdict(repairs).items() if number))
    track, channel = np.array(labels, dtype=int).reshape(-1, 2).T
    return notes, pedal, repairs, Origins(track, channel, events.track_names)


def _pair_ends(events):
    """Pair each strike with its note-off, and each pedal press with its release.

    Parameters
    ----------
    events : midi_file.Events

    Returns
    -------
    rows : list of (onset_s, key_offset_s, pitch, velocity, (track, channel))
        The track is that of the strike. Tracks with the same channel share its keys.
    presses : list of (onset_s, offset_s)
        Presses of the sustain pedal.
    never_ended : int
        Number of notes without a note-off.
    """
    down, ended_s, rows, presses, pressed_s = defaultdict(deque), {}, [], [], {}
    columns = (events.time_s.tolist(), events.message.tolist(), events.track.tolist())
    for now_s, (status, first, second), track in zip(*columns, strict=True):
        kind, channel = status >> 4, status & 0x0F
        if channel == _DRUMS:
            continue
        if kind == _NOTE_ON and second > 0:
            down[channel, first].append((now_s, second, track))
        elif kind in (_NOTE_ON, _NOTE_OFF):
            ended_s[channel, first] = now_s
            # If a key was struck several times without a note-off, the note-off ends the oldest strike.
            if down[channel, first]:
                onset_s, velocity, origin = down[channel, first].popleft()
                rows.append((onset_s, now_s, first, velocity, (origin, channel)))
        elif kind == _CONTROL and first == SUSTAIN:
            if second >= PEDAL_DOWN:
                pressed_s.setdefault(channel, now_s)
            elif channel in pressed_s:
                presses.append((pressed_s.pop(channel), now_s))
    left = [
        (onset_s, ended_s.get((channel, pitch), 0.0), pitch, velocity, (track, channel))
        for (channel, pitch), held in down.items()
        for onset_s, velocity, track in held
    ]
    # Some instruments send a single note-off for a key that was struck twice, so strikes can remain without an end.
    rows += [(onset_s, last_s if last_s > onset_s else events.end_s, *rest) for onset_s, last_s, *rest in left]
    presses += [(since_s, events.end_s) for since_s in pressed_s.values()]
    return rows, presses, len(left)


def write_midi(path, notes, pedal, tempo_track=False):
    """Write notes and pedal as a MIDI file; the same input gives the same bytes.

    Parameters
    ----------
    path : path
    notes, pedal : dict of str to array
        Columns of `tables.NOTES` and `tables.PEDAL`. Notes end at the key release; the pedal is written as controller 64. Times before
        0 become 0.
    tempo_track : bool
        True: write two tracks (format 1), the first with only the tempo, because some readers require it. False: one track (format 0).
    """
    events = []
    for onset_s, release_s, pitch, velocity in zip(*(notes[n] for n in ("onset_s", "key_offset_s", "pitch", "velocity")), strict=True):
        start = _ticks(onset_s)
        # At equal times, note-offs come before note-ons, so that a repeated note is not ended immediately. A note lasts at least a tick.
        events.append((start, 2, mido.Message("note_on", note=int(pitch), velocity=int(velocity))))
        events.append((max(_ticks(release_s), start + 1), 0, mido.Message("note_off", note=int(pitch), velocity=0)))
    for onset_s, offset_s in zip(pedal["onset_s"], pedal["offset_s"], strict=True):
        events.append((_ticks(onset_s), 1, mido.Message("control_change", control=SUSTAIN, value=127)))
        events.append((_ticks(offset_s), 0, mido.Message("control_change", control=SUSTAIN, value=0)))
    events.sort(key=lambda event: (event[0], event[1], event[2].bytes()))
    tempo, end = mido.MetaMessage("set_tempo", tempo=TEMPO_US), mido.MetaMessage("end_of_track")
    track, past = mido.MidiTrack(), 0
    for tick, _, message in events:
        track.append(message.copy(time=tick - past))
        past = tick
    track.append(end)
    tracks = [mido.MidiTrack([tempo, end]), track] if tempo_track else [mido.MidiTrack([tempo, *track])]
    with atomic_path(path) as temporary:
        mido.MidiFile(type=int(tempo_track), ticks_per_beat=TICKS_PER_BEAT, tracks=tracks).save(temporary)


def _ticks(time_s):
    """Convert seconds to ticks of written files, at least 0."""
    return max(0, round(float(time_s) * 1e6 / TEMPO_US * TICKS_PER_BEAT))
