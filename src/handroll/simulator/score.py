"""Fingered scores for the synthetic pianist: a piece becomes timed notes with human deviations.

The music (`pieces`) gives hand and finger of each note. This module cuts or repeats bars to a duration, fits the tempo to it, adds
touch and small deviations by a seed, and turns pauses into rests during which a hand leaves the keys.
"""

from dataclasses import dataclass

import numpy as np

from handroll.hand.skeleton import HANDS
from handroll.music.notes import note_table, pedal_table
from handroll.simulator.pieces import RIGHT, Bar, pieces

LEAD_S = (0.6, 1.0)
"""Minimum and maximum silence before the first note."""

TAIL_S = 1.0
"""Silence after the last note."""

MIN_DURATION_S = 4.0
"""Minimum duration of a score: silence and a bar of any piece."""

REST_S = (2.3, 3.6)
"""A hand with a pause of at least the first leaves the image; it is absent for at most the second."""

_REST_MARGIN_S = 0.1

COVER_S = (0.45, 0.80)
"""Minimum and maximum duration of a cover over a hand: less than the 30 frames that are interpolated at 30 frames a second."""

# Minimum distance of a cover from both ends, from rests and from other covers, so that the gaps in the motion stay separate.
_COVER_DISTANCE_S = 2.0

_DEVIATION_S = 0.010

# Standard deviations of the onset of a chord or note, and of the notes within a chord; clipped at two standard deviations.
_CHORD_DEVIATION_S = 0.004

# Share of its written length for which a key is held.
_LEGATO = 0.96

# A key and a finger are released this long before their next onset.
_REPEAT_GAP_S = 0.09

# Minimum hold, as a share of the time to the next onset; it has priority over `_REPEAT_GAP_S`.
_MIN_HOLD = 0.5

_VELOCITY = 66.0
_VELOCITY_ARCH, _VELOCITY_BEAT, _VELOCITY_SPREAD = 14.0, 6.0, 2.5
_VELOCITY_VOICES = ((-10.0, 0.0), (-5.0, 4.0))

# In MIDI velocity: a phrase swells and fades by the arch; the first notes of a bar are louder by the beat; the lower and the upper voice
# of the left and of the right hand have offsets; the spread is the standard deviation of the random part.
_VELOCITY_RANGE = (30, 110)

# Legato pedalling: the pedal is released just after the start of a bar, and pressed a little later.
_PEDAL_DOWN_S, _PEDAL_UP_S = 0.20, 0.04

# Silence between the phrases of a medley; a hand with a late entry is silent in all bars that start within the second.
_PHRASE_GAP_S, _LATE_S = 0.7, 2.0

_TEMPO_SPREAD = 0.12

# MIDI pitches of medleys. Above this range the synthetic strings have too few partials, and transcription engines output the octave.
_PITCH_RANGE = (28, 86)


@dataclass(frozen=True)
class Score:
    """Notes for the synthetic pianist, and the times at which its hands are not visible.

    Attributes
    ----------
    title, source : str
    duration_s : float
        Of the video.
    notes : dict of str to array (note,)
        `tables.NOTES`, by onset, then pitch.
    hand : array (note,), int
        Index into `skeleton.HANDS`.
    finger : array (note,), int
        Index into `skeleton.FINGERS`: 0 = thumb.
    pedal : dict of str to array (press,)
        `tables.PEDAL`.
    rests : tuple of (hand name, start_s, end_s)
        A hand may leave the keys at the start and has to be back at the end; more than 2 s.
    covers : tuple of (hand name, start_s, end_s)
        An object covers a hand; 0.45 to 0.8 s.
    """

    title: str
    source: str
    duration_s: float
    notes: dict[str, np.ndarray]
    hand: np.ndarray
    finger: np.ndarray
    pedal: dict[str, np.ndarray]
    rests: tuple[tuple[str, float, float], ...]
    covers: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class PlayedBar:
    """A bar with tempo and dynamics.

    Attributes
    ----------
    start_s, quarter_s : float
        Start of the bar, and duration of a quarter.
    bar : pieces.Bar
    swell : float
        Dynamics within the phrase, 0..1.
    pedalled : bool
        The sustain pedal is changed at the bar.
    loudness : float
        Added to the MIDI velocity.
    hold : float
        Share of its written length for which a key is held.
    """

    start_s: float
    quarter_s: float
    bar: Bar
    swell: float
    pedalled: bool
    loudness: float = 0.0
    hold: float = _LEGATO


def score(name, seed, duration_s=None):
    """Make a score of a piece.

    Parameters
    ----------
    name : str
        One of `pieces.pieces`.
    seed : int
        Of touch, deviations in time, and times of covers.
    duration_s : float, optional
        Of the video. The piece is cut at a bar line or repeated, and its tempo fitted to the duration, which changes the length by at
        most half a bar. Default: the duration of the piece.

    Returns
    -------
    Score

    Raises
    ------
    ValueError
        The piece is unknown, or the duration is below `MIN_DURATION_S`.
    """
    if name not in pieces():
        raise ValueError(f"expected one of {', '.join(pieces())} as piece, found {name!r}")
    piece = pieces()[name]
    duration = _checked(piece.duration_s if duration_s is None else duration_s)
    rng = np.random.default_rng(seed)
    lead = rng.uniform(*LEAD_S)
    sounding = duration - lead - TAIL_S
    bars = piece.bars
    quarter = 60.0 / piece.quarters_per_minute
    natural = np.array([quarter * bar.quarters for bar in bars])
    number = max(1, round(sounding / natural.mean()))
    order = np.arange(number) % len(bars)
    stretch = sounding / natural[order].sum()
    starts = lead + stretch * np.concatenate([[0.0], np.cumsum(natural[order])])
    swells = [swell(bar, len(phrase)) for phrase in piece.phrases for bar in range(len(phrase))]
    played = [PlayedBar(start, stretch * quarter, bars[i], swells[i], piece.pedalled) for start, i in zip(starts, order, strict=False)]
    return build_score(piece.title, piece.source, duration, played, rng, covers=piece.covered)


def random_score(seed, duration_s):
    """Make a random medley: phrases of all pieces in random order, transposed, at random tempi.

    Medleys of more than about 20 s have a rest of each hand. Each hand is covered once.

    Parameters
    ----------
    seed : int
    duration_s : float
        Of the video, at least `MIN_DURATION_S`.

    Returns
    -------
    Score
    """
    duration = _checked(duration_s)
    rng = np.random.default_rng(seed)
    at, end, played, titles = rng.uniform(*LEAD_S), duration - TAIL_S, [], []
    repertoire = [(piece, phrase) for piece in pieces().values() for phrase in piece.phrases]
    # The first phrase is played as written. In the second and third, one hand enters late.
    late_hands, order = [None, *rng.permutation(len(HANDS))], []
    while True:
        order = order or list(rng.permutation(len(repertoire)))
        piece, phrase = repertoire[order.pop()]
        semitones = int(rng.choice(piece.transpositions)) + 12 * int(rng.integers(-1, 2))
        phrase = [bar.transposed(semitones) for bar in phrase]
        quarter = 60.0 / piece.quarters_per_minute * np.exp(rng.uniform(-_TEMPO_SPREAD, _TEMPO_SPREAD))
        pitches = [note[2] for bar in phrase for note in bar.notes]
        if min(pitches) < _PITCH_RANGE[0] or max(pitches) > _PITCH_RANGE[1]:
            continue
        late, began = late_hands.pop(0) if late_hands else None, at
        for number, bar in enumerate(phrase):
            if at + quarter * bar.quarters > end:
                if not played:
                    # The first bar does not fit. Another phrase may be shorter.
                    late_hands, at = [None, *late_hands], began
                    break
                return build_score("Medley", "; ".join(dict.fromkeys(titles)), duration, played, rng, covers=True)
            if at < began + _LATE_S and len({note[3] for note in bar.notes}) == len(HANDS):
                bar = bar.without(late)
            played.append(PlayedBar(at, quarter, bar, swell(number, len(phrase)), piece.pedalled))
            titles.append(f"{piece.title}: {piece.source}")
            at += quarter * bar.quarters
        else:
            at += _PHRASE_GAP_S


def _checked(duration_s):
    if duration_s < MIN_DURATION_S:
        raise ValueError(f"expected a duration of at least {MIN_DURATION_S} s, found {duration_s}")
    return float(duration_s)


def swell(bar, n_bars):
    """Dynamics of a bar in a phrase of `n_bars` bars, 0..1, maximal in the middle."""
    return float(np.sin(np.pi * (bar + 0.5) / n_bars))


def build_score(title, source, duration_s, played, rng, covers):
    """Build a `Score` from bars with tempo and dynamics.

    Parameters
    ----------
    title, source : str
    duration_s : float
    played : sequence of PlayedBar
        With at least one note.
    rng : numpy.random.Generator
        Of touch, deviations and covers.
    covers : bool
        Each hand is covered once.
    """
    rows, pedal = [], []
    for entry in played:
        start, quarter, bar = entry.start_s, entry.quarter_s, entry.bar
        top = {}
        for at, _, pitch, hand, _ in bar.notes:
            top[at, hand] = max(pitch, top.get((at, hand), 0))
        moment = {key: _deviation(rng, _DEVIATION_S) for key in sorted(top)}
        for at, length, pitch, hand, finger in bar.notes:
            onset = start + quarter * at + moment[at, hand] + _deviation(rng, _CHORD_DEVIATION_S)
            velocity = _VELOCITY + _VELOCITY_ARCH * (entry.swell - 0.5) + _VELOCITY_BEAT * (at == 0.0) + rng.normal(0.0, _VELOCITY_SPREAD)
            velocity += entry.loudness
            velocity += _VELOCITY_VOICES[hand == RIGHT][pitch == top[at, hand]]
            rows.append((onset, onset + entry.hold * quarter * length, pitch, np.clip(round(velocity), *_VELOCITY_RANGE), hand, finger - 1))
        if entry.pedalled:
            pedal.append((start + _PEDAL_DOWN_S, start + quarter * bar.quarters + _PEDAL_UP_S))
    onset, offset, pitch, velocity, hand, finger = np.array(sorted(rows, key=lambda row: (row[0], row[2]))).T
    hand, finger = hand.astype(int), finger.astype(int)
    offset = _release_before_reuse(onset, offset, pitch, hand * 5 + finger)
    pedal = pedal_table(*np.array(pedal).reshape(-1, 2).T)
    notes = note_table(onset, offset, pitch, velocity, pedal)
    rests = tuple((HANDS[side], *rest) for side in range(len(HANDS)) for rest in _rests(onset[hand == side], offset[hand == side]))
    return Score(title, source, duration_s, notes, hand, finger, pedal, rests, _covers(rests, duration_s, rng) if covers else ())


def _deviation(rng, sigma_s):
    return float(np.clip(rng.normal(0.0, sigma_s), -2.0 * sigma_s, 2.0 * sigma_s))


def _release_before_reuse(onset, offset, pitch, finger):
    """Shorten notes so that each key and each finger is released before it plays again; offsets (note,)."""
    released = offset.copy()
    for group in (pitch, finger):
        order = np.lexsort((onset, group))
        first, then = order[:-1], order[1:]
        same = group[first] == group[then]
        first, between = first[same], (onset[then] - onset[first])[same]
        released[first] = np.minimum(released[first], onset[first] + np.maximum(between - _REPEAT_GAP_S, _MIN_HOLD * between))
    return released


def _rests(onset, offset):
    """Pauses (start_s, end_s) between the notes of one hand that are long enough for it to leave the image."""
    busy_until = np.maximum.accumulate(offset)[:-1]
    pauses = zip(busy_until + _REST_MARGIN_S, onset[1:] - _REST_MARGIN_S, strict=True)
    return [(float(max(start, end - REST_S[1])), float(end)) for start, end in pauses if end - start >= REST_S[0]]


def _covers(rests, duration_s, rng):
    """Place one cover over each hand, apart from all rests and other covers; none where there is not enough time."""
    covers, taken = [], [(start, end) for _, start, end in rests]
    for name in HANDS:
        length = float(rng.uniform(*COVER_S))
        begins = np.arange(_COVER_DISTANCE_S, duration_s - _COVER_DISTANCE_S - length, 0.05)
        for start, end in taken:
            begins = begins[(begins + length + _COVER_DISTANCE_S < start) | (begins > end + _COVER_DISTANCE_S)]
        if not len(begins):
            continue
        begin = float(rng.choice(begins))
        covers.append((name, begin, begin + length))
        taken.append((begin, begin + length))
    return tuple(covers)
