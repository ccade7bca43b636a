"""Four pieces of music with fingering for both hands: three in the public domain, one written for handroll.

The notation is text, bar by bar. A number sets the length of the following notes: 4 = quarter, 8 = eighth, 2. = dotted half.
The length applies until the next number, also across bars. `D5/5` is a note and its finger, `C2+C3/51` is a chord and its fingers in the
same order, `r` is a rest; `|` ends a bar. Fingers are numbered 1 (thumb) to 5 in both hands.
"""

import re
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain

from handroll.hand.skeleton import HANDS

LEFT, RIGHT = 0, 1
"""Indices into `skeleton.HANDS`."""

# Semitones of each note name above C.
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

# Semitones of each accidental.
_SHIFTS = {"#": 1, "b": -1, "": 0}

# Patterns of a note name, and of a number that sets the length.
_NOTE = re.compile(r"([A-G])([#b]?)(\d)")
_LENGTH = re.compile(r"(\d+)(\.?)")


@dataclass(frozen=True)
class Bar:
    """A bar of music.

    Attributes
    ----------
    quarters : float
        Length of the bar in quarters.
    notes : tuple of (start, length, pitch, hand, finger)
        Start and length in quarters; MIDI pitch; `LEFT` or `RIGHT`; finger 1..5.
    """

    quarters: float
    notes: tuple[tuple[float, float, int, int, int], ...]

    def transposed(self, semitones):
        """Return the bar transposed by semitones."""
        return replace(self, notes=tuple((start, length, pitch + semitones, *played) for start, length, pitch, *played in self.notes))

    def without(self, hand):
        """Return the bar without the notes of one hand."""
        return replace(self, notes=tuple(note for note in self.notes if note[3] != hand))


@dataclass(frozen=True)
class Piece:
    """A piece of music.

    Attributes
    ----------
    title, source : str
        Title, and composer, work and rights.
    phrases : tuple of tuples of Bar
        Bars in order, grouped in phrases. A medley can use each phrase alone.
    quarters_per_minute : float
    duration_s : float
        Default duration of a score.
    transpositions : tuple of int
        Transpositions in semitones that keep the fingering playable.
    pedalled : bool
        Whether the sustain pedal is released and pressed again at every bar.
    covered : bool
        Whether, in the video, an object covers each hand once, for less than a second.
    """

    title: str
    source: str
    phrases: tuple[tuple[Bar, ...], ...]
    quarters_per_minute: float
    duration_s: float
    transpositions: tuple[int, ...]
    pedalled: bool = False
    covered: bool = False

    @property
    def bars(self):
        """All bars in order."""
        return tuple(chain.from_iterable(self.phrases))


def pitch_of(name):
    """Return the MIDI pitch of a note name such as F#4 (C4 = 60). Raise ValueError for other text."""
    match = _NOTE.fullmatch(name)
    if not match:
        raise ValueError(f"expected a note name such as F#4, found {name!r}")
    step, shift, octave = match.groups()
    return 12 * (int(octave) + 1) + _STEPS[step] + _SHIFTS[shift]


def read_bars(quarters, left, right):
    """Parse the bars, each of length `quarters`, from the text of both hands. The module docstring explains the notation.

    Raises
    ------
    ValueError
        A bar has the wrong length, a chord has more or fewer fingers than notes, or the hands have different numbers of bars.
    """
    hands = [_read_hand(text, hand, quarters) for hand, text in ((LEFT, left), (RIGHT, right))]
    if len(hands[LEFT]) != len(hands[RIGHT]):
        raise ValueError(f"expected the same number of bars for both hands, found {len(hands[LEFT])} left and {len(hands[RIGHT])} right")
    return tuple(Bar(quarters, tuple(low + high)) for low, high in zip(*hands, strict=True))


def _read_hand(text, hand, quarters):
    """Parse the text of one hand: a list of notes for each bar."""
    bars, length = [], 1.0
    for number, bar in enumerate(text.split("|"), start=1):
        at, notes = 0.0, []
        for token in bar.split():
            if match := _LENGTH.fullmatch(token):
                length = 4.0 / int(match[1]) * (1.5 if match[2] else 1.0)
                continue
            if token != "r":
                names, _, fingers = token.partition("/")
                names = names.split("+")
                if len(names) != len(fingers):
                    raise ValueError(f"bar {number}: expected a finger for each note, found {token!r}")
                notes += [(at, length, pitch_of(name), hand, int(finger)) for name, finger in zip(names, fingers, strict=True)]
            at += length
        if abs(at - quarters) > 1e-9:
            expected = f"expected {quarters:g} quarter notes, found {at:g} in {bar.strip()!r}"
            raise ValueError(f"bar {number} of the {HANDS[hand]} hand: {expected}")
        bars.append(notes)
    return bars


def _by_four(bars):
    """Group bars in phrases of four."""
    return tuple(bars[i : i + 4] for i in range(0, len(bars), 4))


# Bars of the prelude: five notes, lowest first; then the fingers of the left hand's two notes and of the right hand's three notes.
_PRELUDE = """
C4 E4 G4 C5 E5/31 135 | C4 D4 A4 D5 F5/21 135 | B3 D4 G4 D5 F5/31 135 | C4 E4 G4 C5 E5/31 135
C4 E4 A4 E5 A5/31 135 | C4 D4 F#4 A4 D5/21 125 | B3 D4 G4 D5 G5/31 135 | B3 C4 E4 G4 C5/21 125
A3 C4 E4 G4 C5/31 125 | D3 A3 D4 F#4 C5/51 125 | G3 B3 D4 G4 B4/31 135 | G3 Bb3 E4 G4 C#5/42 125
F3 A3 D4 A4 D5/31 135 | F3 Ab3 D4 F4 B4/42 125 | E3 G3 C4 G4 C5/31 135 | E3 F3 A3 C4 F4/21 125
D3 F3 A3 C4 F4/31 125 | G2 D3 G3 B3 F4/51 125 | C3 E3 G3 C4 E4/31 135 | C3 G3 Bb3 C4 E4/51 235
F2 F3 A3 C4 E4/51 135 | F#2 C3 A3 C4 Eb4/51 124 | Ab2 F3 B3 C4 D4/51 123 | G2 F3 G3 B3 D4/51 135
"""

# Length of a sixteenth in quarters.
_SIXTEENTH = 0.25


def _prelude():
    """Return the phrases of the prelude."""
    bars = []
    for line in filter(None, (bar.strip() for bar in _PRELUDE.replace("\n", "|").split("|"))):
        names, fingers = line.split("/")
        pitches, fingers = [pitch_of(name) for name in names.split()], [int(f) for f in fingers if f != " "]
        notes = []
        for half in (0.0, 2.0):
            # In each half bar, the left hand holds its two notes to the end, and the right hand plays the broken chord above them twice.
            for step, voice in enumerate((0, 1, 2, 3, 4, 2, 3, 4)):
                held = (8 - step) * _SIXTEENTH if voice < 2 else _SIXTEENTH
                notes.append((half + step * _SIXTEENTH, held, pitches[voice], LEFT if voice < 2 else RIGHT, fingers[voice]))
        bars.append(Bar(4.0, tuple(notes)))
    return _by_four(tuple(bars))


# Semitones above the tonic: major scale and major triad.
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_TRIAD = (0, 4, 7)

# Fingers (left hand, right hand) of a scale and of an arpeggio over two rising octaves, in the keys C, G, D, A and E. In the left hand,
# fingers pass over the thumb; in the right hand, the thumb passes under the fingers.
_SCALE_FINGERS = ((5, 4, 3, 2, 1, 3, 2, 1, 4, 3, 2, 1, 3, 2, 1), (1, 2, 3, 1, 2, 3, 4, 1, 2, 3, 1, 2, 3, 4, 5))
_ARPEGGIO_FINGERS = ((5, 4, 2, 1, 4, 2, 1), (1, 2, 3, 1, 2, 3, 5))

# Length of an eighth in quarters.
_EIGHTH = 0.5


def _run(tonics, degrees, fingers, contrary=False):
    """Compose a run up two octaves and back in eighths, with a final half note, in 4/4 bars.

    `tonics` are the pitches at which the left and right hand begin. With `contrary`, the left hand moves down first.
    """
    octave = len(degrees)
    notes = []
    for hand, tonic in enumerate(tonics):
        down = contrary and hand == LEFT
        line = [12 * (i // octave) + degrees[i % octave] for i in range(2 * octave + 1)]
        rising = list(zip([tonic - 24 * down + d for d in line], fingers[hand], strict=True))
        run = rising[::-1] if down else rising
        run = run + run[-2::-1]
        notes += [(i * _EIGHTH, _EIGHTH if i < len(run) - 1 else 2.0, pitch, hand, finger) for i, (pitch, finger) in enumerate(run)]
    quarters = max(start + length for start, length, *_ in notes)
    return tuple(Bar(4.0, tuple((s - b, *rest) for s, *rest in sorted(notes) if b <= s < b + 4.0)) for b in range(0, int(quarters), 4))


def _study():
    """Return the phrases of the study."""
    c, g, d = pitch_of("C4"), pitch_of("G4"), pitch_of("D4")
    return (
        _run((c - 24, c), _MAJOR, _SCALE_FINGERS),
        _run((c - 24, c), _TRIAD, _ARPEGGIO_FINGERS),
        _run((g - 12, g), _MAJOR, _SCALE_FINGERS, contrary=True),
        _run((g - 24, g), _TRIAD, _ARPEGGIO_FINGERS),
        _run((d - 24, d), _TRIAD, _ARPEGGIO_FINGERS),
        _run((d - 24, d), _MAJOR, _SCALE_FINGERS),
    )


_ODE_LEFT_CHORDS = """
2 C2+C3/51 4 F2+F3/51 E2+E3/51 | 2 C2+C3/51 G1+G2/51 | C2+C3/51 4 G1+G2/51 C2+C3/51 | 2 C2+C3/51 G1+G2/51 |
2 C2+C3/51 4 F2+F3/51 E2+E3/51 | 2 C2+C3/51 G1+G2/51 | C2+C3/51 4 G1+G2/51 C2+C3/51 | 2 G1+G2/51 C2+C3/51"""
_ODE_RIGHT_CHORDS = """
4 G4+C5+E5/125 G4+C5+E5/125 A4+C5+F5/125 C5+E5+G5/135 | C5+E5+G5/135 A4+C5+F5/125 G4+C5+E5/125 G4+B4+D5/135 |
E4+G4+C5/125 E4+G4+C5/125 G4+B4+D5/135 G4+C5+E5/125 | 4. G4+C5+E5/125 8 G4+B4+D5/135 2 G4+B4+D5/135 |
4 G4+C5+E5/125 G4+C5+E5/125 A4+C5+F5/125 C5+E5+G5/135 | C5+E5+G5/135 A4+C5+F5/125 G4+C5+E5/125 G4+B4+D5/135 |
E4+G4+C5/125 E4+G4+C5/125 G4+B4+D5/135 G4+C5+E5/125 | 4. G4+B4+D5/135 8 E4+G4+C5/125 2 E4+G4+C5/125"""
_ODE_LEFT_OCTAVES = """
2 G1+G2/51 C2+C3/51 | G1+G2/51 C2+C3/51 | G1+G2/51 E2+E3/51 | 4 A1+A2/51 D2+D3/51 2 G1+G2/51 |
2 C2+C3/51 4 F2+F3/51 E2+E3/51 | 2 C2+C3/51 G1+G2/51 | C2+C3/51 4 G1+G2/51 C2+C3/51 | 2 G1+G2/51 C2+C3/51"""
_ODE_RIGHT_OCTAVES = """
4 D4+D5/15 D4+D5/15 E4+E5/15 C4+C5/15 | D4+D5/15 8 E4+E5/15 F4+F5/15 4 E4+E5/15 C4+C5/15 |
D4+D5/15 8 E4+E5/15 F4+F5/15 4 E4+E5/15 D4+D5/15 | C4+C5/15 D4+D5/15 2 G3+G4/15 |
4 E4+E5/15 E4+E5/15 F4+F5/15 G4+G5/15 | G4+G5/15 F4+F5/15 E4+E5/15 D4+D5/15 |
C4+C5/15 C4+C5/15 D4+D5/15 E4+E5/15 | 4. D4+D5/15 8 C4+C5/15 2 C4+C5/15"""

_MINUET_RIGHT = """
4 D5/5 8 G4/1 A4/2 B4/3 C5/4 | 4 D5/5 G4/1 G4/1 | E5/3 8 C5/1 D5/2 E5/3 F#5/4 | 4 G5/5 G4/1 G4/1 |
C5/4 8 D5/5 C5/4 B4/3 A4/2 | 4 B4/3 8 C5/4 B4/3 A4/2 G4/1 | 4 F#4/2 8 G4/1 A4/2 B4/3 G4/1 | 2. A4/2 |
4 D5/5 8 G4/1 A4/2 B4/3 C5/4 | 4 D5/5 G4/1 G4/1 | E5/3 8 C5/1 D5/2 E5/3 F#5/4 | 4 G5/5 G4/1 G4/1 |
C5/4 8 D5/5 C5/4 B4/3 A4/2 | 4 B4/3 8 C5/4 B4/3 A4/2 G4/1 | 4 A4/2 8 B4/3 A4/2 G4/1 F#4/2 | 2 G4/1 4 r |
2. r | r | 4 G5/4 8 E5/2 F#5/3 G5/4 D5/1 | 4 C#5/3 8 B4/2 C#5/3 4 A4/1 |
8 A4/1 B4/2 C#5/3 D5/1 E5/2 F#5/3 | 4 G5/5 F#5/4 E5/3 | F#5/4 A4/1 C#5/2 | 2. D5/3"""
_MINUET_LEFT = """
2 G3/5 4 A3/4 | 2. B3/3 | C4/2 | B3/3 |
A3/4 | G3/5 | 4 D4/1 B3/3 G3/5 | D4/1 8 D3/5 C4/1 B3/2 A3/3 |
2. r | r | C4/2 | 4 B3/3 8 C4/2 B3/3 A3/4 G3/5 |
2 A3/3 4 F#3/5 | 2 G3/4 4 B3/3 | C4/2 D4/1 D3/5 | 2 G3/2 4 G2/5 |
4 B3/1 8 G3/3 A3/2 B3/1 G3/3 | 4 A3/1 8 D3/5 E3/4 F#3/3 D3/5 | 4 E3/3 G3/1 E3/3 | 2 A3/1 4 A2/5 |
2. A3/1 | 4 B3/3 D4/1 C#4/2 | D4/1 F#3/5 A3/3 | D4/1 D3/5 C4/2"""


@cache
def pieces():
    """Return the four pieces by name: prelude (broken chords), study (thumb crossings), ode (chords and octaves), minuet (pauses)."""
    ode = read_bars(4.0, f"{_ODE_LEFT_CHORDS} | {_ODE_LEFT_OCTAVES}", f"{_ODE_RIGHT_CHORDS} | {_ODE_RIGHT_OCTAVES}")
    return {
        "prelude": Piece(
            title="Prelude in C major",
            source="J. S. Bach, The Well-Tempered Clavier I, BWV 846 (1722), public domain; bars 1 to 24",
            phrases=_prelude(),
            quarters_per_minute=72.0,
            duration_s=33.0,
            transpositions=(-3, -2, 0, 2, 3),
            pedalled=True,
        ),
        "study": Piece(
            title="Study in scales and arpeggios",
            source="handroll's own",
            phrases=_study(),
            quarters_per_minute=116.0,
            duration_s=31.0,
            transpositions=(0, 2),
        ),
        "ode": Piece(
            title="Ode to Joy, in chords and octaves",
            source="L. van Beethoven, Symphony No. 9 (1824), public domain; setting by handroll",
            phrases=_by_four(ode),
            quarters_per_minute=130.0,
            duration_s=32.0,
            transpositions=(-3, 0, 2, 5),
        ),
        "minuet": Piece(
            title="Minuet in G major",
            source="C. Petzold, BWV Anh. 114 (c. 1725), public domain; bars 1 to 24, set so that each hand pauses for two bars",
            phrases=_by_four(read_bars(3.0, _MINUET_LEFT, _MINUET_RIGHT)),
            quarters_per_minute=134.0,
            duration_s=33.0,
            transpositions=(-7, -5, -2, 0, 2),
            covered=True,
        ),
    }
