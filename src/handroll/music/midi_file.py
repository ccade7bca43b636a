"""Standard MIDI Files: decode the bytes of a file to events in seconds.

Formats 0 and 1, tempo maps, SMPTE time and running status are supported. Any input gives either events or an error with one `MidiFault`,
in limited time and memory. The library mido is not used for reading: on damaged files it can run for hours, because it does not limit
variable-length quantities, and it raises many types of exceptions.
"""

from array import array
from enum import StrEnum
from typing import NamedTuple

import numpy as np

MAX_BYTES = 8 * 1024**2
"""Maximum size of a file, bytes. Three hours of music with 100,000 notes take about 1 MB."""

MAX_DURATION_S = 24 * 3600.0
"""Maximum time of an event, seconds."""

MIN_TEMPO_US = 6_000
"""Minimum duration of a beat, microseconds: 10,000 beats a minute."""

DEFAULT_TEMPO_US = 500_000
"""Duration of a beat in files without a tempo, microseconds: 120 beats a minute."""

MAX_NAME_BYTES = 200
"""Maximum length of a track name, bytes; longer names are cut."""

# Status bytes of meta events and of system exclusive messages.
_META, _SYSEX = 0xFF, (0xF0, 0xF7)

# Types of the meta events that set the name of a track and the tempo.
_TRACK_NAME, _SET_TEMPO = 0x03, 0x51

# Number of data bytes of a channel message, by the upper four bits of its status byte.
_VOICE_BYTES = {8: 2, 9: 2, 10: 2, 11: 2, 12: 1, 13: 1, 14: 2}

# Number of data bytes of a system message, by its status byte.
_SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0}

# Frames a second of SMPTE time, by the code in the file header; 29 means 29.97.
_SMPTE_HZ = {24: 24.0, 25: 25.0, 29: 30000.0 / 1001.0, 30: 30.0}


class MidiFault(StrEnum):
    """Reasons to reject a MIDI file."""

    MISSING = "missing"
    NOT_MIDI = "not_midi"
    TOO_LARGE = "too_large"
    CUT_OFF = "cut_off"
    BROKEN = "broken"
    SEPARATE_TRACKS = "separate_tracks"
    NO_TIME = "no_time"
    BAD_TEMPO = "bad_tempo"
    TOO_LONG = "too_long"
    NO_NOTES = "no_notes"


class MidiError(ValueError):
    """A MIDI file is rejected, for the reason `fault`.

    Attributes
    ----------
    fault : MidiFault
    """

    def __init__(self, fault, message):
        super().__init__(message)
        self.fault = fault


class Events(NamedTuple):
    """Channel messages of all tracks, in order of time. Events at the same time are in the order of the tracks.

    Attributes
    ----------
    time_s : array (event,), float64
        Seconds from the file's start.
    message : uint8 array (event, 3)
        Status byte and two data bytes; a missing second data byte is 0.
    end_s : float
        Time of the last event of any kind.
    track : array (event,), int
        Number of the track from 0.
    track_names : dict of int to str
        Names of the tracks that have one.
    """

    time_s: np.ndarray
    message: np.ndarray
    end_s: float
    track: np.ndarray
    track_names: dict[int, str]


def read_events(data):
    """Decode the channel messages of all tracks.

    Parameters
    ----------
    data : bytes
        Content of a MIDI file.

    Returns
    -------
    Events

    Raises
    ------
    MidiError
        The file is rejected. The message says what was expected and found, without the name of the file.
    """
    if data[:4] != b"MThd":
        what = "an empty file" if not data else f"{data[:4]!r} at its start"
        raise MidiError(MidiFault.NOT_MIDI, f"expected a MIDI file, which starts with MThd, found {what}")
    if len(data) < 14:
        raise MidiError(MidiFault.CUT_OFF, f"expected a header of 14 bytes, found a file of {len(data)} bytes; copy the file again")
    kind, n_tracks, division = (int.from_bytes(data[at : at + 2]) for at in (8, 10, 12))
    if kind > 1:
        text = "expected a MIDI file of format 0 or 1, found "
        text += "format 2, whose tracks have no common time; export it as format 0 or 1" if kind == 2 else f"format {kind}"
        raise MidiError(MidiFault.SEPARATE_TRACKS if kind == 2 else MidiFault.BROKEN, text)
    ticks, messages, tempos, end, counts, names = array("q"), bytearray(), {}, 0, [], {}
    for number, (start, stop) in enumerate(_tracks(data, n_tracks)):
        before, track_names = len(ticks), []
        end = max(end, _read_track(data, start, stop, ticks, messages, tempos, track_names))
        counts.append(len(ticks) - before)
        if track_names:
            names[number] = track_names[0]
    seconds = _seconds_of_ticks(division, tempos)
    order = np.argsort(np.frombuffer(ticks, dtype=np.int64), kind="stable")
    time_s = seconds(np.frombuffer(ticks, dtype=np.int64)[order])
    end_s = float(seconds(np.array([end]))[0])
    if end_s > MAX_DURATION_S:
        found = f"expected at most {MAX_DURATION_S / 3600:g} hours of music, found {end_s / 3600:.0f} hours; check the tempo in the file"
        raise MidiError(MidiFault.TOO_LONG, found)
    track = np.repeat(np.arange(len(counts)), counts)[order]
    return Events(time_s, np.frombuffer(bytes(messages), dtype=np.uint8).reshape(-1, 3)[order], end_s, track, names)


def _tracks(data, n_tracks):
    """Return the byte range (start, stop) of each track; chunks of other types are skipped."""
    at, found = 8 + int.from_bytes(data[4:8]), []
    while len(found) < n_tracks:
        stop = at + 8 + int.from_bytes(data[at + 4 : at + 8])
        if len(data) < at + 8 or stop > len(data):
            text = f"expected {n_tracks} tracks, found the end of the file within track {len(found) + 1}; copy or export the file again"
            raise MidiError(MidiFault.CUT_OFF, text)
        if data[at : at + 4] == b"MTrk":
            found.append((at + 8, stop))
        at = stop
    return found


def _read_track(data, at, stop, ticks, messages, tempos, names):
    """Decode the events of the track in the bytes `at` to `stop` of `data`. Return the tick of the track's end.

    Each channel message is appended to `messages` (3 bytes), and its tick to `ticks`. Tempos are added to `tempos`, a dict of tick to
    microseconds per beat, and names of the track to the list `names`.
    """
    tick, status = 0, None
    while at < stop:
        delta, at = _quantity(data, at, stop)
        tick += delta
        if at < stop and data[at] >= 0x80:
            event, at = data[at], at + 1
        else:
            event = status
        if event is None:
            raise _broken(at, "a status byte", data, stop)
        if event == _META:
            meta = data[at] if at < stop else None
            length, at = _quantity(data, at + 1, stop)
            if at + length > stop:
                raise _broken(at, f"{length} bytes of a meta event", data, stop)
            if meta == _SET_TEMPO:
                # A tempo has three bytes. For other lengths the message gives the length, because Python refuses to print an integer of
                # thousands of bytes.
                tempo_us = int.from_bytes(data[at : at + 3])
                if length != 3 or tempo_us < MIN_TEMPO_US:
                    found = f"{length} bytes" if length != 3 else f"{tempo_us} microseconds"
                    text = f"expected a tempo of at least {MIN_TEMPO_US} microseconds per beat, in 3 bytes, found {found}"
                    raise MidiError(MidiFault.BAD_TEMPO, text)
                tempos[tick] = tempo_us
            elif meta == _TRACK_NAME:
                names.append(data[at : at + min(length, MAX_NAME_BYTES)].decode("utf-8", errors="replace"))
            at += length
        elif event in _SYSEX:
            length, at = _quantity(data, at, stop)
            if at + length > stop:
                raise _broken(at, f"{length} bytes of a system message", data, stop)
            at += length
        else:
            length = _VOICE_BYTES.get(event >> 4, _SYSTEM_BYTES.get(event))
            values = data[at : min(at + (length or 0), stop)]
            if length is None or len(values) < length or max(values, default=0) > 0x7F:
                raise _broken(at, "a MIDI message", data, stop)
            at += length
            if event < 0xF0:
                status = event
                ticks.append(tick)
                messages += bytes((event, *values, 0))[:3]
    return tick


def _quantity(data, at, stop):
    """Decode the variable-length quantity (at most four bytes) at byte `at`, in a track that ends at byte `stop`.

    Return the quantity and the index of the next byte.
    """
    value = 0
    for n in range(4):
        if at + n >= stop:
            break
        value = value << 7 | data[at + n] & 0x7F
        if data[at + n] < 0x80:
            return value, at + n + 1
    raise _broken(at, "a variable-length quantity of 1 to 4 bytes", data, stop)


def _broken(at, expected, data, stop):
    """Build the `MidiError` for byte `at` of `data`, where the format requires `expected`, in a track that ends at byte `stop`."""
    found = f"0x{data[at]:02x}" if at < stop else "the end of the track"
    return MidiError(MidiFault.BROKEN, f"expected {expected} at byte {at}, found {found}; export the file again")


def _seconds_of_ticks(division, tempos):
    """Return a function that converts ticks (n,) to seconds.

    `division` is the time division in the file header; `tempos` is a dict of tick to microseconds per beat.
    """
    if division & 0x8000:
        frames_hz, ticks_a_frame = _SMPTE_HZ.get(256 - (division >> 8)), division & 0xFF
        if frames_hz is None or not ticks_a_frame:
            raise MidiError(
                MidiFault.NO_TIME,
                f"expected SMPTE time of 24, 25, 29 or 30 frames a second, found the time division 0x{division:04x}; export the file again",
            )
        return lambda ticks: ticks / (frames_hz * ticks_a_frame)
    if not division:
        raise MidiError(MidiFault.NO_TIME, "expected at least one tick per beat (division of the header), found 0; export the file again")
    changes = sorted({0: DEFAULT_TEMPO_US, **tempos}.items())
    tick, tempo_us = (np.array(column, dtype=np.float64) for column in zip(*changes, strict=True))
    tick_s = 1e-6 * tempo_us / division
    start_s = np.concatenate([[0.0], np.cumsum(np.diff(tick) * tick_s[:-1])])

    def seconds(ticks):
        change = np.searchsorted(tick, ticks, side="right") - 1
        return start_s[change] + (ticks - tick[change]) * tick_s[change]

    return seconds
