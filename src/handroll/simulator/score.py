"""Fingered scores for simulated performances: convert pieces to timed notes with human-like deviations.

`pieces` contains the music, with hand and finger of each note. This module repeats or omits bars to reach a duration, fits the tempo,
adds random dynamics and small deviations, and turns long pauses of a hand into rests, during which the hand leaves the keys.
"""

from dataclasses import dataclass

import numpy as np

from handroll.generation.fingered_notes import FingeredNotes
from handroll.hand.skeleton import HANDS
from handroll.music.notes import note_table, pedal_table
from handroll.simulator.pieces import RIGHT, Bar, pieces

LEAD_S = (0.6, 1.0)
"""Minimum and maximum silence before the first note, seconds."""

TAIL_S = 1.0
"""Silence after the last note, seconds."""

MIN_DURATION_S = 4.0
"""Minimum duration of a score, seconds: enough for the silence and one bar of any piece."""

REST_S = (2.3, 3.6)
"""Minimum duration of a pause in which a hand leaves the image, and maximum time for which the hand is away, seconds."""

# Time from the end of the last note to the rest, and from the rest to the next note.
_REST_MARGIN_S = 0.1

COVER_S = (0.45, 0.80)
"""Minimum and maximum duration of a cover over a hand, seconds. Such a cover causes a gap in the motion of fewer than 30 frames (at 30
frames/s). Only gaps of fewer than 30 frames are interpolated."""

# Minimum time between a cover and both ends of the video, rests and other covers, so that gaps in the motion stay separate.
_COVER_DISTANCE_S = 2.0

# Standard deviation of the onset of a chord or single note from the written time.
_DEVIATION_S = 0.010

# Standard deviation of the notes within a chord from the chord's onset. All deviations are clipped at two standard deviations.
_CHORD_DEVIATION_S = 0.004

# Default time for which a note is held, as a share of its written length.
_LEGATO = 0.96

# Time between the release of a note and the next onset of the same key or finger.
_REPEAT_GAP_S = 0.09

# Minimum duration of a note, as a share of the time to the next onset of the same key or finger. It has priority over `_REPEAT_GAP_S`.
_MIN_HOLD = 0.5

# Mean MIDI velocity. The constants below are added to it, or limit it.
_VELOCITY = 66.0

# Velocity in the middle of a phrase minus velocity at its ends.
_VELOCITY_ARCH = 14.0

# Addition to the velocity of the first notes of a bar.
_VELOCITY_BEAT = 6.0

# Standard deviation of the random part of the velocity.
_VELOCITY_SPREAD = 2.5

# Additions to the velocity of the notes of a chord, as (lower notes, highest note), for the left and for the right hand.
_VELOCITY_VOICES = ((-10.0, 0.0), (-5.0, 4.0))

# Minimum and maximum MIDI velocity.
_VELOCITY_RANGE = (30, 110)

# Legato pedalling: the pedal is pressed `_PEDAL_DOWN_S` after the start of a bar and released `_PEDAL_UP_S` after the start of the next.
_PEDAL_DOWN_S, _PEDAL_UP_S = 0.20, 0.04

# Silence between the phrases of a medley.
_PHRASE_GAP_S = 0.7

# A hand that enters late is silent in all bars that begin less than this time after the start of the phrase.
_LATE_S = 2.0

# Maximum random change of the tempo of a phrase in a medley, as a natural logarithm.
_TEMPO_SPREAD = 0.12

# Lowest and highest MIDI pitch of medleys. Above this range, the synthetic strings have too few partials, so transcription engines report
# notes an octave away.
_PITCH_RANGE = (28, 86)


@dataclass(frozen=True, kw_only=True)
class Score(FingeredNotes):
    """Fingered notes for a simulated performance, and the times at which the hands are not visible.

    Attributes
    ----------
    title, source : str
    covers : tuple of (hand name, start_s, end_s)
        Intervals of 0.45 to 0.8 s in which an object covers a hand.
    """

    title: str
    source: str
    covers: tuple[tuple[str, float, float], ...] = ()


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
        Whether the sustain pedal is released and pressed again at the start of the bar.
    loudness : float
        Added to the MIDI velocity.
    hold : float
        Time for which a note is held, as a share of its written length.
    """

    start_s: float
    quarter_s: float
    bar: Bar
    swell: float
    pedalled: bool
    loudness: float = 0.0
    hold: float = _LEGATO


def score(name, seed, duration_s=None):
    """Return a score of a piece.

    Parameters
    ----------
    name : str
        A key of `pieces.pieces`.
    seed : int
        Random seed of dynamics, deviations in time, and times of covers.
    duration_s : float, optional
        Duration of the video. The piece ends at a bar line or is repeated. Then the tempo is fitted to the duration, which changes the
        length of the music by at most half a bar. Default: the duration of the piece.

    Returns
    -------
    Score

    Raises
    ------
    ValueError
        The piece is unknown, or the duration is below `MIN_DURATION_S`.
    """
    if name not in pieces():
        raise ValueError(f"expected a piece among {', '.join(pieces())}, found {name!r}")
    piece = pieces()[name]
    duration = _check_duration(piece.duration_s if duration_s is None else duration_s)
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
    """Return a random medley: phrases of all pieces in random order, randomly transposed, at random tempi.

    In medleys of more than about 20 s, each hand has a rest. Each hand is covered once.

    Parameters
    ----------
    seed : int
        Random seed.
    duration_s : float
        Duration of the video, at least `MIN_DURATION_S`.

    Returns
    -------
    Score
    """
    duration = _check_duration(duration_s)
    rng = np.random.default_rng(seed)
    at, end, played, titles = rng.uniform(*LEAD_S), duration - TAIL_S, [], []
    repertoire = [(piece, phrase) for piece in pieces().values() for phrase in piece.phrases]
    # In the second and third phrase, one hand enters late. Its silence gives this hand a rest.
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
                    # The first bar does not fit. Another phrase may have a shorter first bar.
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


def _check_duration(duration_s):
    """Return a duration as float, or raise ValueError below `MIN_DURATION_S`."""
    if duration_s < MIN_DURATION_S:
        raise ValueError(f"expected a duration of at least {MIN_DURATION_S} s, found {duration_s} s")
    return float(duration_s)


def swell(bar, n_bars):
    """Return the dynamics, 0..1, of bar number `bar` (from 0) in a phrase of `n_bars` bars; the middle of the phrase is loudest."""
    return float(np.sin(np.pi * (bar + 0.5) / n_bars))


def build_score(title, source, duration_s, played, rng, covers):
    """Build a `Score` from bars with tempo and dynamics.

    Parameters
    ----------
    title, source : str
    duration_s : float
    played : sequence of PlayedBar
        Bars in order, with at least one note.
    rng : numpy.random.Generator
        Random generator of dynamics, deviations and covers.
    covers : bool
        True: each hand is covered once, if there is enough time.
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
    covers = _covers(rests, duration_s, rng) if covers else ()
    music = {"duration_s": duration_s, "notes": notes, "hand": hand, "finger": finger, "pedal": pedal, "rests": rests}
    return Score(title=title, source=source, covers=covers, **music)


def _deviation(rng, sigma_s):
    """Return a random, normally distributed deviation, clipped at two standard deviations, seconds."""
    return float(np.clip(rng.normal(0.0, sigma_s), -2.0 * sigma_s, 2.0 * sigma_s))


def _release_before_reuse(onset, offset, pitch, finger):
    """Return the offsets (note,) of notes, shortened so that each key and each finger is released before its next note."""
    released = offset.copy()
    for group in (pitch, finger):
        order = np.lexsort((onset, group))
        first, then = order[:-1], order[1:]
        same = group[first] == group[then]
        first, between = first[same], (onset[then] - onset[first])[same]
        released[first] = np.minimum(released[first], onset[first] + np.maximum(between - _REPEAT_GAP_S, _MIN_HOLD * between))
    return released


def _rests(onset, offset):
    """Return the rests (start_s, end_s) of one hand. A rest is in a pause between notes that is long enough for `REST_S[0]`."""
    busy_until = np.maximum.accumulate(offset)[:-1]
    pauses = zip(busy_until + _REST_MARGIN_S, onset[1:] - _REST_MARGIN_S, strict=True)
    return [(float(max(start, end - REST_S[1])), float(end)) for start, end in pauses if end - start >= REST_S[0]]


def _covers(rests, duration_s, rng):
    """Return one cover (hand name, start_s, end_s) for each hand, `_COVER_DISTANCE_S` away from rests and other covers.

    A hand without enough time gets no cover.
    """
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
