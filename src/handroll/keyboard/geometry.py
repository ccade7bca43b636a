"""The 88 keys of a piano in millimetres: where each key lies, what it looks like from above, which key is at a point.

Keyboard frame: x along the keys from the left end of A0 to the right, y from the player's edge towards the fallboard,
z up with 0 at the top of the white keys. Keys count from 0 (A0, MIDI pitch 21) to 87 (C8, MIDI pitch 108).

White key heads are one pitch wide. Behind them the black keys cut notches, and what is left of the white keys, the
tails, is equally wide within each group: C, D, E share 3 heads less 2 black keys; F, G, A, B share 4 heads less 3. This
is why a black key is not centred on the gap between its neighbours: C# and F# lie to the left of it, D# and A# to the
right, and only G# is in the middle (construction after J. Savard, "The Size of the Piano Keyboard",
http://www.quadibloc.com/other/cnv05.htm).
"""

from dataclasses import dataclass

import numpy as np

N_KEYS = 88
N_WHITE = 52
LOWEST_PITCH = 21
HIGHEST_PITCH = 108

_C, _CS, _D, _DS, _E, _F, _FS, _G, _GS, _A, _AS, _B = range(12)
_BLACK_CLASSES = (_CS, _DS, _FS, _GS, _AS)
# White keys of the octave to the left of each pitch class, itself not counted (a black key: the head line it sits on).
_HEADS_BEFORE = np.array([0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6])
# C1, the first C, is the third white key.
_WHITES_BEFORE_C1 = 2

_PITCHES = np.arange(LOWEST_PITCH, HIGHEST_PITCH + 1)
_IS_BLACK = np.isin(_PITCHES % 12, _BLACK_CLASSES)
_HEAD = (_PITCHES // 12 - 2) * 7 + _WHITES_BEFORE_C1 + _HEADS_BEFORE[_PITCHES % 12]

WHITE_KEYS = np.flatnonzero(~_IS_BLACK)
"""The 52 white keys, left to right, as keys 0..87."""

BLACK_KEYS = np.flatnonzero(_IS_BLACK)
"""The 36 black keys, left to right, as keys 0..87."""

LEVEL_HAND = np.array([[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
"""(hand, 3, 3): global MANO rotation, in the keyboard frame, of a level left and right hand: palm down, fingers towards the fallboard."""


@dataclass(frozen=True)
class Keyboard:
    """Dimensions of a keyboard, millimetres; the defaults are those of a concert instrument.

    Attributes
    ----------
    white_pitch_mm : from one white key to the next; 7 make an octave of 164.5 mm.
    white_length_mm : from the player's edge to the fallboard.
    black_width_mm : width of a black key's upper face, which the fingers meet.
    black_base_width_mm : width of a black key at the height of the white keys; its sides lean. It cuts the notches.
    black_length_mm : from the fallboard towards the player.
    black_height_mm : upper face of the black keys above the white keys.
    dip_mm : how far a key goes down when it is pressed.
    """

    white_pitch_mm: float = 23.5
    white_length_mm: float = 150.0
    black_width_mm: float = 11.0
    black_base_width_mm: float = 13.7
    black_length_mm: float = 98.0
    black_height_mm: float = 11.0
    dip_mm: float = 9.0

    @property
    def width_mm(self):
        """From the left end of A0 to the right end of C8: 1222 mm by default."""
        return N_WHITE * self.white_pitch_mm

    @property
    def black_front_mm(self):
        """y where the black keys begin."""
        return self.white_length_mm - self.black_length_mm


STANDARD = Keyboard()
"""The keyboard that every function takes by default."""

_PLAYING_DEPTH = 0.5
# On white keys fingers strike in the middle of the heads, on black keys this far behind their front.
_BLACK_PLAYING_DEPTH_MM = 20.0


def key_of_pitch(pitch):
    """Key 0..87 of MIDI pitches 21..108 (any shape, integers); raises ValueError for a pitch without a key."""
    pitch = np.asarray(pitch)
    if np.any((pitch < LOWEST_PITCH) | (pitch > HIGHEST_PITCH)):
        raise ValueError(f"expected MIDI pitches {LOWEST_PITCH}..{HIGHEST_PITCH}, found {pitch.min()}..{pitch.max()}")
    return pitch.astype(np.int64) - LOWEST_PITCH


def pitch_of_key(key):
    """MIDI pitch 21..108 of keys 0..87 (any shape, integers); raises ValueError for a key that does not exist."""
    key = np.asarray(key)
    if np.any((key < 0) | (key >= N_KEYS)):
        raise ValueError(f"expected keys 0..{N_KEYS - 1}, found {key.min()}..{key.max()}")
    return key.astype(np.int64) + LOWEST_PITCH


def is_black(key):
    """Whether keys 0..87 (any shape) are black."""
    return _IS_BLACK[np.asarray(key)]


def white_index(key):
    """Place among the white keys, 0..51, of keys 0..87 (any shape); a black key gets that of the white key to its right."""
    return _HEAD[np.asarray(key)]


def black_centres_mm(keyboard=STANDARD):
    """x of the centre lines of the 36 black keys, as array (black 36,), millimetres."""
    pitch, base = keyboard.white_pitch_mm, keyboard.black_base_width_mm
    tail_ce, tail_fb = (3 * pitch - 2 * base) / 3, (4 * pitch - 3 * base) / 4
    # Nth black key of a group: N tails and N - 1 whole black keys lie to the left of it, and half of itself.
    from_c = np.zeros(12)
    for nth, black in enumerate((_CS, _DS), start=1):
        from_c[black] = nth * tail_ce + (nth - 0.5) * base
    for nth, black in enumerate((_FS, _GS, _AS), start=1):
        from_c[black] = 3 * pitch + nth * tail_fb + (nth - 0.5) * base
    pitches = _PITCHES[BLACK_KEYS]
    return ((pitches // 12 - 2) * 7 + _WHITES_BEFORE_C1) * pitch + from_c[pitches % 12]


def key_centres_x_mm(keyboard=STANDARD):
    """x of the middle of each key, of the head for a white key, as array (key 88,), millimetres."""
    centres = (_HEAD + 0.5) * keyboard.white_pitch_mm
    centres[BLACK_KEYS] = black_centres_mm(keyboard)
    return centres


def playing_points_mm(keyboard=STANDARD):
    """Where a finger comes down on each key, as array (key 88, xyz 3), millimetres, on top of the key at rest.

    White keys: the middle of the head. Black keys: 20 mm behind the front of the key, on the centre line.
    """
    black = _IS_BLACK
    y = np.where(black, keyboard.black_front_mm + _BLACK_PLAYING_DEPTH_MM, _PLAYING_DEPTH * keyboard.black_front_mm)
    return np.stack([key_centres_x_mm(keyboard), y, np.where(black, keyboard.black_height_mm, 0.0)], axis=-1)


def tail_edges_mm(keyboard=STANDARD):
    """Left and right edge of each key beside and between the black keys, as array (key 88, side 2), millimetres.

    For a black key: the edges of its base. The edges of neighbours meet, so they cut the width of the keyboard into 88.
    """
    edges = np.stack([_HEAD, _HEAD + 1], axis=-1) * keyboard.white_pitch_mm
    edges[BLACK_KEYS] = black_centres_mm(keyboard)[:, None] + np.array([-0.5, 0.5]) * keyboard.black_base_width_mm
    edges[BLACK_KEYS - 1, 1] = edges[BLACK_KEYS, 0]
    edges[BLACK_KEYS + 1, 0] = edges[BLACK_KEYS, 1]
    return edges


def key_outlines_mm(keyboard=STANDARD):
    """Outline of each key seen from above, counter-clockwise from its front left corner.

    Returns
    -------
    tuple of 88 arrays (vertex, xy 2), millimetres
        4 vertices for a black key (its base) and C8, 6 or 8 for a white key with one or two notches. Together the
        outlines tile the keyboard: no gap between keys.
    """
    front, back = keyboard.black_front_mm, keyboard.white_length_mm
    outlines = []
    for key, (left, right) in enumerate(tail_edges_mm(keyboard)):
        if _IS_BLACK[key]:
            outlines.append(np.array([(left, front), (right, front), (right, back), (left, back)]))
            continue
        head_left, head_right = _HEAD[key] * keyboard.white_pitch_mm, (_HEAD[key] + 1) * keyboard.white_pitch_mm
        points = [(head_left, 0.0), (head_right, 0.0)]
        points += [(head_right, front), (right, front)] if right != head_right else []
        points += [(right, back), (left, back)]
        points += [(left, front), (head_left, front)] if left != head_left else []
        outlines.append(np.array(points))
    return tuple(outlines)


def black_tops_mm(keyboard=STANDARD):
    """Upper faces of the 36 black keys: array (black 36, corner 4, xyz 3), counter-clockwise from front left, millimetres."""
    half, front, back = keyboard.black_width_mm / 2, keyboard.black_front_mm, keyboard.white_length_mm
    corners = np.array([(-half, front), (half, front), (half, back), (-half, back)])
    tops = np.full((len(BLACK_KEYS), 4, 3), keyboard.black_height_mm)
    tops[..., 0] = black_centres_mm(keyboard)[:, None] + corners[:, 0]
    tops[..., 1] = corners[:, 1]
    return tops


def key_at_point(x_mm, y_mm):
    """The key seen from above at points of the keyboard frame.

    Parameters
    ----------
    x_mm, y_mm : arrays of one shape
        NaN counts as outside.

    Returns
    -------
    array of int, of the same shape
        Key 0..87; -1 beside the keyboard. A point on a line between two keys belongs to the right one.
    """
    x, y = np.broadcast_arrays(np.asarray(x_mm, dtype=float), np.asarray(y_mm, dtype=float))
    inside = (x >= 0) & (x < STANDARD.width_mm) & (y >= 0) & (y < STANDARD.white_length_mm)
    x = np.where(inside, x, 0.0)
    head = WHITE_KEYS[np.minimum((x / STANDARD.white_pitch_mm).astype(np.int64), N_WHITE - 1)]
    tail = np.searchsorted(tail_edges_mm()[:, 1], x, side="right").clip(max=N_KEYS - 1)
    return np.where(inside, np.where(y < STANDARD.black_front_mm, head, tail), -1)
