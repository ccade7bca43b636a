"""Music made by a seed: phrases in any key, metre and tempo, with a texture and fingers for each hand. To learn from, not to listen to.

A phrase has a key, a chord for each bar, and for each hand a part of the scale that it stays in, a rhythm, and a texture: which
notes follow each other (along the scale or the chord, or round a figure) and what is struck with them. No phrase is kept
in a store, so no two scores share more than what all music shares: scales, chords, rhythms. Numbers are handroll's own choice.
"""

from dataclasses import dataclass

import numpy as np

from handroll.generation.fingering import finger
from handroll.simulator.pieces import Bar
from handroll.simulator.score import LEAD_S, TAIL_S, PlayedBar, build_score, swell

MIN_DURATION_S = 20.0
"""Shortest invented score: any first phrase has room."""

_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 11), (0, 2, 3, 5, 7, 8, 10))
# Major, harmonic and natural minor.
_DEGREES = len(_SCALES[0])
_NEXT_CHORD = ((1, 2, 3, 4, 5), (4, 6, 3), (5, 3, 1), (4, 1, 0, 6), (0, 5, 3), (1, 3, 4, 2), (0, 5))
# Steps of the scale on whose chords the chord of each step goes on.
_METRES, _BARS = (2.0, 3.0, 4.0), (2, 5)
# Quarters a bar; bars a phrase, from the first to below the second.
_CELLS = (
    *((1.0,), (0.5, 0.5), (0.25,) * 4, (1 / 3,) * 3, (0.75, 0.25)),
    *((0.5, 0.25, 0.25), (0.25, 0.25, 0.5), (-0.5, 0.5), (2.0,), (1.5, 0.5)),
)
# Rhythms, in quarters; a rest is negative.
_HEAVY_S, _HEAVY_CELLS = 0.2, tuple(cell for cell in _CELLS if min(map(abs, cell)) >= 0.5)
# Textures that need longer between two strokes have no shorter notes, lest the other hand creep.
_FAMILIAR = 0.6
# A bar repeats the rhythm before it, with this probability.
_QUARTER_S, _SLOWER = (0.3, 1.1), (0.9, 1.5)
# Seconds a quarter, least and greatest; the time that the fastest notes ask for is stretched by a factor in the second.
_RUBATO = 0.03
# A bar is slower or faster by up to this share.
_SPLIT_PITCH, _LOWEST, _HIGHEST = (50, 68), 26, 99
# MIDI pitches: between the hands, and the least and greatest of all.
_WIDTH, _APART = (8, 16), (2, 7)
# Steps of the scale that a hand's part spans, and from the left hand's highest to the right hand's lowest.
_SILENT = 0.15
# Probability that one hand pauses for a phrase.
_LOUDNESS, _STACCATO, _STACCATO_HOLD, _PEDALLED = (-20.0, 16.0), 0.25, (0.45, 0.8), 0.35
# Added to the MIDI velocity; probability of detached notes, and the share of their length that they are held; probability of pedal.
_GAP_S = (0.2, 1.0)
# Between phrases.
_CHORD = "chord"


@dataclass(frozen=True)
class Texture:
    """What a hand does in a phrase.

    Attributes
    ----------
    least_s : float
        About the shortest time between two strokes.
    along_chord : bool
        It goes along the notes of the chord, else along the scale.
    turn, leap : float
        Probabilities that it turns back, and that it leaves out a note.
    figure : tuple of int
        Notes above the lowest, gone round and round; -1 is the highest. Empty: it goes as `turn` and `leap` say.
    voices : tuple of int, or "chord"
        Steps of the scale struck together, from the leading note; or that note with those of the chord below it.
    """

    least_s: float
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
    """A score of phrases that nobody wrote.

    Parameters
    ----------
    seed : int or sequence of int
    duration_s : float
        Length of what is made of it, at least `MIN_DURATION_S`.

    Returns
    -------
    score.Score
        Without covers; a hand that has nothing to play for long rests.

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
    """Bars of a phrase, and its seconds a quarter; `both`: no hand is silent."""
    scale, tonic = _SCALES[rng.integers(len(_SCALES))], int(rng.integers(12))
    quarters = float(rng.choice(_METRES))
    degrees = [0]
    for _ in range(int(rng.integers(*_BARS)) - 1):
        degrees.append(int(rng.choice(_NEXT_CHORD[degrees[-1]])))
    textures = [_TEXTURES[k] for k in rng.integers(len(_TEXTURES), size=2)]
    silent = rng.integers(2) if not both and rng.random() < _SILENT else None
    rhythms = [_rhythms(rng, _HEAVY_CELLS if one.least_s > _HEAVY_S else _CELLS, quarters, len(degrees)) for one in textures]
    needed = [texture.least_s / min(abs(length) for bar in bars for length in bar) for texture, bars in zip(textures, rhythms, strict=True)]
    quarter_s = np.clip(max(needed) * rng.uniform(*_SLOWER), *_QUARTER_S)
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
    """Lowest and highest step of the left and of the right hand."""
    steps = [step for step in range(12 * _DEGREES) if _LOWEST <= _pitch(step, scale, tonic) <= _HIGHEST]
    split = rng.uniform(*_SPLIT_PITCH)
    left_high = max(step for step in steps if _pitch(step, scale, tonic) <= split)
    right_low = left_high + int(rng.integers(*_APART))
    left_low, right_high = left_high - int(rng.integers(*_WIDTH)), right_low + int(rng.integers(*_WIDTH))
    return (max(left_low, steps[0]), left_high), (right_low, min(right_high, steps[-1]))


def _rhythms(rng, known, quarters, n_bars):
    """For each bar the lengths of its notes, in quarters, rests negative; of three of the known cells."""
    cells = [known[k] for k in rng.choice(len(known), size=3, replace=False)]
    bars = []
    for _ in range(n_bars):
        if bars and rng.random() < _FAMILIAR:
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
    """What one hand strikes: (bar, start in quarters, length in quarters, steps of the scale, rising)."""
    # Voices below the leading note have room, save where a bass note stands alone.
    reserved = 0 if texture.figure else -min(texture.voices) if texture.voices != _CHORD else 4
    lead_low = min(low + reserved, high)
    at, way, strokes = int(rng.integers(lead_low, high + 1)), 1, []
    for bar, (degree, lengths) in enumerate(zip(degrees, rhythms, strict=True)):
        tones = [step for step in range(low, high + 1) if (step - degree) % _DEGREES in (0, 2, 4)]
        ladder = [step for step in (tones if texture.along_chord else range(low, high + 1)) if step >= lead_low] or [high]
        # A chord that comes again begins where the line has arrived.
        place = int(np.abs(np.array(ladder) - at).argmin())
        root = min(place, max(len(ladder) - 1 - max(texture.figure, default=0), 0))
        start = 0.0
        for count, length in enumerate(lengths):
            if length > 0.0:
                if texture.figure:
                    turn = texture.figure[count % len(texture.figure)]
                    at = ladder[-1] if turn < 0 else ladder[min(root + turn, len(ladder) - 1)]
                else:
                    at = ladder[place]
                    way = -way if rng.random() < texture.turn else way
                    onward = place + way * (1 + (rng.random() < texture.leap))
                    way = way if 0 <= onward < len(ladder) else -way
                    place = onward if 0 <= onward < len(ladder) else min(max(place + way, 0), len(ladder) - 1)
                strokes.append((bar, start, length, _voiced(at, texture, tones, low)))
            start += abs(length)
    return strokes


def _voiced(lead, texture, tones, low):
    """Steps (rising) that are struck with a leading note."""
    if texture.voices == _CHORD:
        below = [tone for tone in tones if lead - _DEGREES <= tone < lead]
        return (*below[-2:], lead)
    return tuple(lead + voice for voice in texture.voices if lead + voice >= low)
