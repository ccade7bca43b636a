"""Random scores for training data: phrases in any key, metre and tempo, with a texture and a fingering for each hand.

A phrase has a key, and a chord for each bar. Each hand has a range of the scale, a rhythm and a texture. The texture determines how notes
follow each other (along the scale, along the chord, or in a repeated figure) and which notes are struck together. Phrases are never
reused, so two scores share no melodies, only scales, chords and rhythms. Constants without a source were chosen for variety; the music
is not meant for listening.
"""

from dataclasses import dataclass

import numpy as np

from handroll.generation.fingering import DEFAULT_COSTS, finger, grips_of
from handroll.hand.skeleton import HANDS
from handroll.simulator.pieces import Bar
from handroll.simulator.score import LEAD_S, TAIL_S, PlayedBar, build_score, swell

MIN_DURATION_S = 20.0
"""Minimum duration of a score, seconds. It is long enough for any first phrase."""

# Scales as semitones above the tonic: major, harmonic minor, natural minor.
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 11), (0, 2, 3, 5, 7, 8, 10))

# Number of degrees of a scale.
_DEGREES = len(_SCALES[0])

# For the chord on each degree of the scale (0 = tonic): degrees of the chords that can follow it.
_NEXT_CHORD = ((1, 2, 3, 4, 5), (4, 6, 3), (5, 3, 1), (4, 1, 0, 6), (0, 5, 3), (1, 3, 4, 2), (0, 5))

# Metres: quarters per bar.
_METRES = (2.0, 3.0, 4.0)

# Range of the number of bars per phrase; the upper limit is exclusive.
_BARS = (2, 5)

# Rhythmic cells: lengths of successive notes, in quarters; a negative length is a rest.
_CELLS = (
    *((1.0,), (0.5, 0.5), (0.25,) * 4, (1 / 3,) * 3, (0.75, 0.25)),
    *((0.5, 0.25, 0.25), (0.25, 0.25, 0.5), (-0.5, 0.5), (2.0,), (1.5, 0.5)),
)

# Textures with a `min_stroke_s` above this limit use only `_SLOW_CELLS`, which have no notes shorter than an eighth. With shorter notes,
# the tempo of both hands would be too slow.
_SLOW_STROKE_S = 0.2
_SLOW_CELLS = tuple(cell for cell in _CELLS if min(map(abs, cell)) >= 0.5)

# Probability that a bar repeats the rhythm of the bar before.
_REPEATED_RHYTHM = 0.6

# Minimum and maximum duration of a quarter.
_QUARTER_S = (0.3, 1.1)

# Range of the random ratio of the duration of a quarter to the duration that the fastest notes need.
_SLOWER = (0.9, 1.5)

# Maximum random change of the tempo of a bar, as a natural logarithm (0.03 is about 3 %).
_RUBATO = 0.03

# Range of the MIDI pitch that separates the hands.
_SPLIT_PITCH = (50, 68)

# Lowest and highest MIDI pitch.
_LOWEST, _HIGHEST = 26, 99

# Range of a hand, in steps of the scale: minimum and maximum (exclusive).
_RANGE_STEPS = (8, 16)

# Distance from the left hand's highest to the right hand's lowest note, in steps of the scale: minimum and maximum (exclusive).
_DISTANCE_STEPS = (2, 7)

# Probability that one hand is silent for a phrase.
_SILENT = 0.15

# Range of the loudness of a phrase, which is added to the MIDI velocity.
_LOUDNESS = (-20.0, 16.0)

# Probability that a phrase is staccato, and range of the time for which a staccato note is held, as a share of its written length.
_STACCATO, _STACCATO_HOLD = 0.25, (0.45, 0.8)

# Probability that a phrase is played with the pedal.
_PEDALLED = 0.35

# Minimum and maximum silence between phrases.
_GAP_S = (0.2, 1.0)


# Value of `Texture.voices` for chords: several notes of the chord are struck together.
_CHORD = "chord"


@dataclass(frozen=True)
class Texture:
    """Pattern of the notes of one hand in a phrase.

    Attributes
    ----------
    min_stroke_s : float
        Approximate minimum time between two strokes.
    along_chord : bool
        True: the melody moves along the notes of the chord. False: along the scale.
    turn, leap : float
        Probability that the melody changes its direction, and probability that it skips a note.
    figure : tuple of int
        Repeated pattern of notes: 0 is the lowest note of the pattern, 1 the next higher note, and so on; -1 is the highest note of the
        hand's range. Empty: a random melody with `turn` and `leap`.
    voices : tuple of int, or "chord"
        Notes that are struck together, as steps of the scale relative to the melody note. "chord": the melody note and chord notes
        below it.
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


def compose_score(seed, duration_s, costs=(DEFAULT_COSTS, DEFAULT_COSTS), hand_size=1.0):
    """Compose a score of random phrases, and choose its fingers.

    Parameters
    ----------
    seed : int or sequence of int
        Random seed.
    duration_s : float
        Duration of the score, at least `MIN_DURATION_S`.
    costs : (FingeringCosts, FingeringCosts)
        Costs of the fingering of the left and of the right hand.
    hand_size : float
        Bone scale of the hands for which the music is written. A chord has no notes that such a hand cannot reach.

    Returns
    -------
    score.Score
        A score in which no object covers a hand (`Score.covers` is empty). In long pauses a hand leaves the keys (`Score.rests`).

    Raises
    ------
    ValueError
        The duration is too short.
    """
    if duration_s < MIN_DURATION_S:
        raise ValueError(f"expected a duration of at least {MIN_DURATION_S} s, found {duration_s} s")
    rng = np.random.default_rng(seed)
    at, end, played, first = rng.uniform(*LEAD_S), duration_s - TAIL_S, [], True
    while True:
        bars, quarter_s = _phrase(rng, first, costs, hand_size)
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


def _phrase(rng, both, costs, hand_size):
    """Compose a phrase. Return its bars, and the duration of a quarter in seconds; `both` requires that both hands play."""
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
        chords = [_within_reach(tuple(_pitch(step, scale, tonic) for step in steps), hand, hand_size) for *_, steps in struck]
        for (bar, start, length, _), chord, fingers in zip(struck, chords, finger(chords, hand, costs[hand], hand_size), strict=True):
            notes[bar] += [(start, length, pitch, hand, number) for pitch, number in zip(chord, fingers, strict=True)]
    return [Bar(quarters, tuple(sorted(bar))) for bar in notes], quarter_s


def _within_reach(chord, hand, hand_size):
    """Return the notes of a chord (MIDI pitches, lowest first) from the highest to the lowest note that the hand reaches with it."""
    mirror = -1 if HANDS[hand] == "left" else 1
    while not grips_of(chord, mirror, hand_size).reachable.any():
        chord = chord[1:]
    return chord


def _pitch(step, scale, tonic):
    """Return the MIDI pitch of a step of the scale. Step 0 is the MIDI pitch `tonic` (0..11)."""
    return tonic + 12 * (step // _DEGREES) + scale[step % _DEGREES]


def _ranges(rng, scale, tonic):
    """Choose the range of each hand at random: (lowest, highest) step of the scale, for the left and the right hand."""
    steps = [step for step in range(12 * _DEGREES) if _LOWEST <= _pitch(step, scale, tonic) <= _HIGHEST]
    split = rng.uniform(*_SPLIT_PITCH)
    left_high = max(step for step in steps if _pitch(step, scale, tonic) <= split)
    right_low = left_high + int(rng.integers(*_DISTANCE_STEPS))
    left_low, right_high = left_high - int(rng.integers(*_RANGE_STEPS)), right_low + int(rng.integers(*_RANGE_STEPS))
    return (max(left_low, steps[0]), left_high), (right_low, min(right_high, steps[-1]))


def _rhythms(rng, known, quarters, n_bars):
    """Choose the note lengths of each bar at random from three of the rhythmic cells `known`; in quarters, negative for rests."""
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
    """Compose the strokes of one hand in a phrase.

    Returns
    -------
    list of (bar, start, length, steps)
        Start and length in quarters; steps of the scale that are struck together, lowest first.
    """
    # The range of the melody note leaves room for the voices below it. Figures need no room, because they have single bass notes.
    reserved = 0 if texture.figure else -min(texture.voices) if texture.voices != _CHORD else 4
    lead_low = min(low + reserved, high)
    at, direction, strokes = int(rng.integers(lead_low, high + 1)), 1, []
    for bar, (degree, lengths) in enumerate(zip(degrees, rhythms, strict=True)):
        tones = [step for step in range(low, high + 1) if (step - degree) % _DEGREES in (0, 2, 4)]
        ladder = [step for step in (tones if texture.along_chord else range(low, high + 1)) if step >= lead_low] or [high]
        # The first note of a bar is near the last note of the previous bar.
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
                strokes.append((bar, start, length, _add_voices(at, texture, tones, low)))
            start += abs(length)
    return strokes


def _add_voices(lead, texture, tones, low):
    """Return the steps that are struck together with the melody note `lead`, which is included; lowest first."""
    if texture.voices == _CHORD:
        below = [tone for tone in tones if lead - _DEGREES <= tone < lead]
        return (*below[-2:], lead)
    return tuple(lead + voice for voice in texture.voices if lead + voice >= low)
