"""Random music of eleven kinds that are hard to play, for the measurement of planned motion (`planned_motion.py`).

The kinds follow the difficulties of piano playing: wide range, crossing lines, trills, repeated notes, octaves, leaps, chords of ten notes,
clusters, polyrhythms, dense chords, and hands in one range. The music is not meant for listening. Part of it cannot be played completely.
"""

import numpy as np

from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.music.notes import note_table_of_strikes, pedal_table

_LEAD_S, _TAIL_S = 1.0, 1.0


def random_notes(kind, seed, duration_s):
    """Compose random notes of a kind.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    seed : int
        Random seed.
    duration_s : float

    Returns
    -------
    notes, pedal : dict of str to array
        Columns of `tables.NOTES` and `tables.PEDAL`.
    """
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    rows, at_s = [], _LEAD_S
    while at_s < duration_s - _TAIL_S:
        part, length_s = KINDS[kind](rng)
        rows += [(at_s + start, at_s + end, pitch) for start, end, pitch in part]
        at_s += length_s
    kept = [row for row in rows if row[1] < duration_s - 0.5 * _TAIL_S and LOWEST_PITCH <= row[2] <= HIGHEST_PITCH]
    pedal = pedal_table([], [])
    strikes = [(float(start), float(end), int(pitch), int(rng.integers(30, 110)), 0) for start, end, pitch in kept]
    return note_table_of_strikes(strikes, pedal)[0], pedal


def _line(onsets, pitches, hold=0.9):
    """Return rows (start, end, pitch) of a line of single notes; `onsets` has one time more than `pitches`."""
    return [(start, start + hold * (end - start), pitch) for start, end, pitch in zip(onsets[:-1], onsets[1:], pitches, strict=True)]


def _beats(step_s, number):
    """Return `number` + 1 times in equal steps."""
    return step_s * np.arange(number + 1)


def _wide(rng):
    """Chords of one to four notes anywhere on the keyboard."""
    rows, length = [], rng.exponential(0.3) + 0.05
    for pitch in rng.choice(np.arange(LOWEST_PITCH, HIGHEST_PITCH + 1), rng.integers(1, 5), replace=False):
        rows.append((0.0, 0.1 + rng.exponential(0.4), pitch))
    return rows, length


def _crossing(rng):
    """Two lines whose pitches cross."""
    step, number, middle = rng.uniform(0.15, 0.3), 24, rng.integers(52, 74)
    wave = np.rint(14.0 * np.cos(np.linspace(0.0, 2.0 * np.pi, number))).astype(int)
    times = _beats(step, number)
    return _line(times, middle + wave) + _line(times, middle - wave + 1), step * number + 0.5


def _trill(rng):
    """A trill, with slow notes far from it."""
    step, number, low = 1.0 / rng.uniform(8.0, 14.0), int(rng.integers(12, 40)), int(rng.integers(30, 100))
    interval = int(rng.integers(1, 4))
    rows = _line(_beats(step, number), [low + interval * (k % 2) for k in range(number)])
    other = low + 30 if low < 64 else low - 30
    slow = max(number * step / 4, 0.3)
    return rows + _line(_beats(slow, 4), other + rng.integers(-7, 8, 4)), max(number * step, 4 * slow) + 0.3


def _repeated(rng):
    """A note that is repeated 5 to 12 times a second, with chords below it."""
    step, number, pitch = 1.0 / rng.uniform(5.0, 12.0), int(rng.integers(8, 32)), int(rng.integers(60, 96))
    rows = _line(_beats(step, number), [pitch] * number, 0.6)
    for start in np.arange(0.0, step * number, 0.5):
        rows += [(start, start + 0.4, pitch - 24 + rng.integers(-3, 4) + third) for third in (0, 4, 7)]
    return rows, step * number + 0.3


def _octaves(rng):
    """A run in octaves, in one hand or in both."""
    step, number, low = 1.0 / rng.uniform(3.0, 7.0), int(rng.integers(8, 20)), int(rng.integers(33, 84))
    pitches = low + np.cumsum(rng.choice([-2, -1, 1, 2], number))
    rows = _line(_beats(step, number), pitches) + _line(_beats(step, number), pitches + 12)
    if rng.random() < 0.5:
        other = pitches + (36 if low < 60 else -36)
        rows += _line(_beats(step, number), other) + _line(_beats(step, number), other + 12)
    return rows, step * number + 0.4


def _leaps(rng):
    """A bass note and a chord in turn, far apart, with a leaping upper line."""
    step, number = rng.uniform(0.22, 0.45), 16
    bass, rows = int(rng.integers(28, 44)), []
    for k in range(number):
        low = bass + rng.integers(-4, 5) + (0 if k % 2 == 0 else int(rng.integers(16, 28)))
        rows += [(k * step, (k + 0.8) * step, low + third) for third in ((0,) if k % 2 == 0 else (0, 4, 7))]
        rows.append((k * step, (k + 0.8) * step, 78 + rng.integers(-12, 25)))
    return rows, step * number + 0.4


def _tens(rng):
    """Chords of ten notes: five for each hand, within an octave."""
    length, rows = rng.uniform(0.4, 1.2), []
    for low in (int(rng.integers(28, 48)), int(rng.integers(58, 84))):
        inner = np.sort(rng.choice(np.arange(2, 11), 3, replace=False))
        rows += [(0.0, 0.85 * length, low + step) for step in (0, *inner, 12)]
    return rows, length


def _clusters(rng):
    """Three to eight neighbouring keys at once."""
    length, low, size = rng.uniform(0.25, 0.8), int(rng.integers(24, 98)), int(rng.integers(3, 9))
    return [(0.0, 0.8 * length, low + step) for step in range(size)], length


def _polyrhythm(rng):
    """Two lines with different numbers of notes in the same time."""
    first, second = rng.choice([2, 3, 4, 5, 7], 2, replace=False)
    bar_s, bars, rows = max(first, second) * rng.uniform(0.12, 0.25), 6, []
    for number, low in ((first, rng.integers(36, 56)), (second, rng.integers(62, 84))):
        count = int(number * bars)
        rows += _line(_beats(bar_s / number, count), low + np.cumsum(rng.integers(-2, 3, count)))
    return rows, bar_s * bars + 0.3


def _dense(rng):
    """Chords of one to six notes in the middle of the keyboard, with long notes."""
    pitches = sorted(set(rng.integers(48, 78, rng.integers(1, 7)).tolist()))
    return [(0.0, 0.1 + rng.exponential(0.4), pitch) for pitch in pitches], rng.exponential(0.25)


def _shared(rng):
    """Two lines that alternate in one range."""
    step, number, low = rng.uniform(0.1, 0.25), 24, int(rng.integers(48, 76))
    return _line(_beats(step, number), low + rng.integers(0, 8, number)), step * number + 0.3


KINDS = {
    "wide": _wide,
    "crossing": _crossing,
    "trills": _trill,
    "repeated": _repeated,
    "octaves": _octaves,
    "leaps": _leaps,
    "ten-note chords": _tens,
    "clusters": _clusters,
    "polyrhythm": _polyrhythm,
    "dense": _dense,
    "one range": _shared,
}
"""Kinds of random music: functions that return rows (start, end, pitch) of a part, in seconds, and the length of the part."""
