"""MIDI files in and out: notes with velocity, and the sustain pedal. Reading and tempo maps are mido's."""

import logging
from collections import defaultdict

import mido

from handroll.music.notes import HIGHEST_PITCH, LOWEST_PITCH, note_table, pedal_table
from handroll.provenance import atomic_path

LOGGER = logging.getLogger("handroll")

VERSION = 1
"""Raised by hand when the same notes give another MIDI file."""

SUSTAIN = 64
"""Controller number of the sustain pedal."""

PEDAL_DOWN = 64
"""Least controller value that counts as down (General MIDI)."""

TICKS_PER_BEAT = 480
TEMPO_US = 500_000
"""Tempo of written files, microseconds a beat: with 480 ticks a beat, a tick is 1.04 ms."""


class MidiError(ValueError):
    """A file that is not a MIDI file that can be read."""


def read_midi(path):
    """Notes and pedal of a MIDI file of any format, all tracks together; drums (channel 10) are left out.

    Parameters
    ----------
    path : path

    Returns
    -------
    notes, pedal : dict of str to array
        `schema.NOTES` and `schema.PEDAL`; seconds from the file's start. A note that is never ended is ended with the
        file. Notes outside the piano's 88 keys are left out and counted in the log.

    Raises
    ------
    MidiError
        Missing, empty, cut off, or not MIDI.
    """
    try:
        file = mido.MidiFile(path)
        if file.ticks_per_beat <= 0:
            raise ValueError("it counts time in SMPTE frames; save it with ticks a beat")
        messages = list(file)
    except Exception as error:
        # mido raises whatever it stumbles over in a broken file: EOFError, KeyError, TypeError, errors of its own.
        raise MidiError(f"{path}: expected a MIDI file, found none that can be read: {error or type(error).__name__}") from error
    now_s, down, rows, presses, pressed_s = 0.0, defaultdict(list), [], [], {}
    for message in messages:
        now_s += message.time
        if message.is_meta or not hasattr(message, "channel") or message.channel == 9:
            continue
        if message.type == "note_on" and message.velocity > 0:
            down[message.channel, message.note].append((now_s, message.velocity))
        elif message.type in ("note_on", "note_off"):
            # Of several strikes of one key, an end belongs to the oldest.
            if down[message.channel, message.note]:
                onset_s, velocity = down[message.channel, message.note].pop(0)
                rows.append((onset_s, now_s, message.note, velocity))
        elif message.type == "control_change" and message.control == SUSTAIN:
            if message.value >= PEDAL_DOWN:
                pressed_s.setdefault(message.channel, now_s)
            elif message.channel in pressed_s:
                presses.append((pressed_s.pop(message.channel), now_s))
    rows += [(onset_s, now_s, note, velocity) for (_, note), held in down.items() for onset_s, velocity in held]
    presses += [(since_s, now_s) for since_s in pressed_s.values()]
    kept = [row for row in rows if LOWEST_PITCH <= row[2] <= HIGHEST_PITCH]
    if len(kept) < len(rows):
        LOGGER.warning("%s: left out %d notes outside MIDI pitches %d to %d", path, len(rows) - len(kept), LOWEST_PITCH, HIGHEST_PITCH)
    pedal = pedal_table(*zip(*presses, strict=True)) if presses else pedal_table([], [])
    columns = zip(*kept, strict=True) if kept else ([], [], [], [])
    return note_table(*columns, pedal), pedal


def write_midi(path, notes, pedal, tempo_track=False):
    """Write notes and pedal as a MIDI file; the same input gives the same bytes.

    Parameters
    ----------
    path : path
    notes, pedal : dict of str to array
        `schema.NOTES` and `schema.PEDAL`. Notes end where the key is released, the pedal is written as controller 64;
        times before 0 become 0.
    tempo_track : bool
        Two tracks (format 1), the first with the tempo alone, as some readers demand; else all in one track (format 0).
    """
    events = []
    for onset_s, release_s, pitch, velocity in zip(*(notes[n] for n in ("onset_s", "key_offset_s", "pitch", "velocity")), strict=True):
        start = _ticks(onset_s)
        # At one time ends come before starts, so that a repeated note is not ended at once; a note lasts at least a tick.
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
    return max(0, round(float(time_s) * 1e6 / TEMPO_US * TICKS_PER_BEAT))
