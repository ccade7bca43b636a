"""Random composition: phrases in any key, metre and tempo, with a texture and fingering for each hand. Made for training, not listening.

A phrase has a key and a chord for each bar. Each hand has a range of the scale, a rhythm, and a texture: how notes follow each other
(along the scale or the chord, or in a figure) and which notes are struck together. Phrases are never reused, so two scores have in
common only what all music has: scales, chords, rhythms. Numbers are handroll's own choice.
"""

from dataclasses import dataclass

import numpy as np

from handroll.generation.fingering import finger
from handroll.simulator.pieces import Bar
from handroll.simulator.score import LEAD_S, TAIL_S, PlayedBar, build_score, swell

MIN_DURATION_S = 20.0
"""Minimum duration of a score: any first phrase fits."""

# Major, harmonic and natural minor.
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 11), (0, 2, 3, 5, 7, 8, 10))

_DEGREES = len(_SCALES[0])

# For the chord on each degree of the scale: the degrees of the chords that may follow it.
_NEXT_CHORD = ((1, 2, 3, 4, 5), (4, 6, 3), (5, 3, 1), (4, 1, 0, 6), (0, 5, 3), (1, 3, 4, 2), (0, 5))

# Quarters per bar; bars per phrase, upper limit exclusive.
_METRES, _BARS = (2.0, 3.0, 4.0), (2, 5)

# Rhythms, in quarters; a rest is negative.
_CELLS = (
    *((1.0,), (0.5, 0.5), (0.25,) * 4, (1 / 3,) * 3, (0.75, 0.25)),
    *((0.5, 0.25, 0.25), (0.25, 0.25, 0.5), (-0.5, 0.5), (2.0,), (1.5, 0.5)),
)

# Textures with a longer minimum stroke than this use only the slow cells, so that the other hand does not get too slow.
_SLOW_STROKE_S, _SLOW_CELLS = 0.2, tuple(cell for cell in _CELLS if min(map(abs, cell)) >= 0.5)

# Probability that a bar repeats the rhythm of the bar before.
_REPEATED_RHYTHM = 0.6

# Limits of the duration of a quarter; range of the random factor on the duration that the fastest notes need.
_QUARTER_S, _SLOWER = (0.3, 1.1), (0.9, 1.5)

# Maximum share by which a bar is slower or faster.
_RUBATO = 0.03

# MIDI pitches: between the hands, and the lowest and highest of all.
_SPLIT_PITCH, _LOWEST, _HIGHEST = (50, 68), 26, 99

# Steps of the scale: range of a hand, and distance from the left hand's highest to the right hand's lowest.
_RANGE_STEPS, _DISTANCE_STEPS = (8, 16), (2, 7)

# Probability that one hand is silent for a phrase.
_SILENT = 0.15

# Offset of the MIDI velocity; probability of staccato, and the share of its length for which a staccato note is held; probability of
# the pedal.
_LOUDNESS, _STACCATO, _STACCATO_HOLD, _PEDALLED = (-20.0, 16.0), 0.25, (0.45, 0.8), 0.35

# Silence between phrases.
_GAP_S = (0.2, 1.0)

_CHORD = "chord"


@dataclass(frozen=True)
class Texture:
    """Melodic pattern of a hand in a phrase.

    Attributes
    ----------
    min_stroke_s : float
        Approximate minimum time between two strokes.
    along_chord : bool
        Move along the notes of the chord; False: along the scale.
    turn, leap : float
        Probabilities of a change of direction, and of a skipped note.
    figure : tuple of int
        Pattern of notes above the lowest one, repeated; -1 is the highest note. Empty: a random line with `turn` and `leap`.
    voices : tuple of int, or "chord"
        Steps of the scale relative to the leading note, struck together; "chord": the leading note and the chord notes below it.
    """

    min_stroke_s: float
    along_chord: bool = False
    turn: float = 0.0
    leap: float = 0.0
    figure: tuple[int, ...] = ()
    voices: tuple[int, ...] | str = (0,)


_TEXTURES = (
    Texture(0.13, turn=0.35, leap=0.25),
    Texture(0.15, turn=0.25, leap=0.4),
    Texture(0.12, turn=0.06),
    Texture(0.12, turn=1.0),
    Texture(0.15, along_chord=True, turn=0.12),
    Texture(0.17, along_chord=True, turn=0.3, leap=0.2),
    Texture(0.14, along_chord=True, figure=(0, 2, 1, 2)),
    Texture(0.14, along_chord=True, figure=(0, 1, 2, 3, 2, 1)),
    Texture(0.14, along_chord=True, figure=(2, 0, 1, 0)),
    Texture(0.26, turn=0.3, leap=0.15, voices=(-2, 0)),
    Texture(0.28, turn=0.3, leap=0.15, voices=(-5, 0)),
    Texture(0.28, turn=0.3, leap=0.2, voices=(-7, 0)),
    Texture(0.32, along_chord=True, turn=0.5, voices=_CHORD),
    Texture(0.36, along_chord=True, figure=(0, -1, -1), voices=_CHORD),
    Texture(0.34, along_chord=True, figure=(0, -1), voices=_CHORD),
)


def compose_score(seed, duration_s):
    """Compose a score of random phrases.

    Parameters
    ----------
    seed : int or sequence of int
    duration_s : float
        Of the take, at least `MIN_DURATION_S`.

    Returns
    -------
    score.Score
        Without covers; a hand rests during long pauses.

    Raises
    ------
    ValueError
        The duration is too short.
    """
    if duration_s < MIN_DURATION_S:
        raise ValueError(f"expected a duration of at least {MIN_DURATION_S} s, found {duration_s}")
    rng = np.random.default_rng(seed)
    at, end, played, first = rng.uniform(*LEAD_S), duration_s - TAIL_S, [], True
    while True:
        bars, quarter_s = _phrase(rng, both=first)
        first = False
        loudness, pedalled = rng.uniform(*_LOUDNESS), rng.random() < _PEDALLED
        hold = {"hold": rng.uniform(*_STACCATO_HOLD)} if rng.random() < _STACCATO else {}
        for number, bar in enumerate(bars):
            quarter = quarter_s * np.exp(rng.uniform(-_RUBATO, _RUBATO))
            if at + quarter * bar.quarters > end:
                return build_score("Invention", "handroll's own", float(duration_s), played, rng, covers=False)
            played.append(PlayedBar(at, quarter, bar, swell(number, len(bars)), pedalled, loudness, **hold))
            at += quarter * bar.quarters
        at += rng.uniform(*_GAP_S)


def _phrase(rng, both):
    """Compose a phrase: its bars, and the duration of a quarter, seconds; `both`: no hand is silent."""
    scale, tonic = _SCALES[rng.integers(len(_SCALES))], int(rng.integers(12))
    quarters = float(rng.choice(_METRES))
    degrees = [0]
    for _ in range(int(rng.integers(*_BARS)) - 1):
        degrees.append(int(rng.choice(_NEXT_CHORD[degrees[-1]])))
    textures = [_TEXTURES[k] for k in rng.integers(len(_TEXTURES), size=2)]
    silent = rng.integers(2) if not both and rng.random() < _SILENT else None
    cells = [_SLOW_CELLS if texture.min_stroke_s > _SLOW_STROKE_S else _CELLS for texture in textures]
    rhythms = [_rhythms(rng, known, quarters, len(degrees)) for known in cells]
    shortest = [min(abs(length) for bar in bars for length in bar) for bars in rhythms]
    needed_s = max(texture.min_stroke_s / length for texture, length in zip(textures, shortest, strict=True))
    quarter_s = np.clip(needed_s * rng.uniform(*_SLOWER), *_QUARTER_S)
    notes = [[] for _ in degrees]
    for hand, (low, high) in enumerate(_ranges(rng, scale, tonic)):
        if hand == silent:
            continue
        struck = _strokes(rng, textures[hand], rhythms[hand], degrees, low, high)
        chords = [tuple(_pitch(step, scale, tonic) for step in steps) for *_, steps in struck]
        for (bar, start, length, _), chord, fingers in zip(struck, chords, finger(chords, hand), strict=True):
            notes[bar] += [(start, length, pitch, hand, number) for pitch, number in zip(chord, fingers, strict=True)]
    return [Bar(quarters, tuple(sorted(bar))) for bar in notes], quarter_s


def _pitch(step, scale, tonic):
    """MIDI pitch of a step of the scale; step 0 is the tonic above MIDI pitch 0."""
    return tonic + 12 * (step // _DEGREES) + scale[step % _DEGREES]


def _ranges(rng, scale, tonic):
    """Draw the lowest and highest step of the left and of the right hand."""
    steps = [step for step in range(12 * _DEGREES) if _LOWEST <= _pitch(step, scale, tonic) <= _HIGHEST]
    split = rng.uniform(*_SPLIT_PITCH)
    left_high = max(step for step in steps if _pitch(step, scale, tonic) <= split)
    right_low = left_high + int(rng.integers(*_DISTANCE_STEPS))
    left_low, right_high = left_high - int(rng.integers(*_RANGE_STEPS)), right_low + int(rng.integers(*_RANGE_STEPS))
    return (max(left_low, steps[0]), left_high), (right_low, min(right_high, steps[-1]))


def _rhythms(rng, known, quarters, n_bars):
    """Draw the note lengths of each bar, in quarters, rests negative, from three of the known cells."""
    cells = [known[k] for k in rng.choice(len(known), size=3, replace=False)]
    bars = []
    for _ in range(n_bars):
        if bars and rng.random() < _REPEATED_RHYTHM:
            bars.append(bars[-1])
            continue
        lengths, left = [], quarters
        while left > 0.0:
            fitting = [cell for cell in cells if sum(map(abs, cell)) <= left] or [_CELLS[0]]
            cell = fitting[rng.integers(len(fitting))]
            lengths += cell
            left -= round(sum(map(abs, cell)))
        bars.append(lengths)
    return bars


def _strokes(rng, texture, rhythms, degrees, low, high):
    """Compose the strokes of one hand: (bar, start in quarters, length in quarters, rising steps of the scale)."""
    # The leading note leaves room for the voices below it, except in figures, which have single bass notes.
    reserved = 0 if texture.figure else -min(texture.voices) if texture.voices != _CHORD else 4
    lead_low = min(low + reserved, high)
    at, direction, strokes = int(rng.integers(lead_low, high + 1)), 1, []
    for bar, (degree, lengths) in enumerate(zip(degrees, rhythms, strict=True)):
        tones = [step for step in range(low, high + 1) if (step - degree) % _DEGREES in (0, 2, 4)]
        ladder = [step for step in (tones if texture.along_chord else range(low, high + 1)) if step >= lead_low] or [high]
        # Each bar begins at the note nearest to the last one.
        index = int(np.abs(np.array(ladder) - at).argmin())
        root = min(index, max(len(ladder) - 1 - max(texture.figure, default=0), 0))
        start = 0.0
        for count, length in enumerate(lengths):
            if length > 0.0:
                if texture.figure:
                    turn = texture.figure[count % len(texture.figure)]
                    at = ladder[-1] if turn < 0 else ladder[min(root + turn, len(ladder) - 1)]
                else:
                    at = ladder[index]
                    direction = -direction if rng.random() < texture.turn else direction
                    following = index + direction * (1 + (rng.random() < texture.leap))
                    direction = direction if 0 <= following < len(ladder) else -direction
                    index = following if 0 <= following < len(ladder) else min(max(index + direction, 0), len(ladder) - 1)
                strokes.append((bar, start, length, _voiced(at, texture, tones, low)))
            start += abs(length)
    return strokes


def _voiced(lead, texture, tones, low):
    """Steps (rising) that are struck together with a leading note, which is included."""
    if texture.voices == _CHORD:
        below = [tone for tone in tones if lead - _DEGREES <= tone < lead]
        return (*below[-2:], lead)
    return tuple(lead + voice for voice in texture.voices if lead + voice >= low)
