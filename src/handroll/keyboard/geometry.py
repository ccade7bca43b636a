"""Geometry of the 88 keys in millimetres: position and outline of each key, and which key is at a point.

Keyboard frame: x along the keyboard from the left end of A0 to the right, y from the player's edge towards the fallboard, z up from
the top of the white keys. Keys count from 0 (A0, MIDI pitch 21) to 87 (C8, MIDI pitch 108).

A white key has a head at the player's side and a tail between the black keys. All heads are equally wide. The tails of C, D and E are
equally wide: they share 3 head widths minus 2 black keys. The tails of F, G, A and B are equally wide: they share 4 head widths minus 3
black keys. Therefore a black key is not centred on the line between the heads of its neighbours: C# and F# are left of it, D# and A# right
of it, and only G# is centred (construction after J. Savard, "The Size of the Piano Keyboard", http://www.quadibloc.com/other/cnv05.htm).
"""

from dataclasses import dataclass

import numpy as np

N_KEYS = 88
"""Number of keys."""

N_WHITE = 52
"""Number of white keys."""

LOWEST_PITCH = 21
"""MIDI pitch of the first key, A0."""

HIGHEST_PITCH = 108
"""MIDI pitch of the last key, C8."""

# Pitch classes: MIDI pitches modulo 12.
_C, _CS, _D, _DS, _E, _F, _FS, _G, _GS, _A, _AS, _B = range(12)
_BLACK_CLASSES = (_CS, _DS, _FS, _GS, _AS)

# Number of white keys between the left end of the octave (C) and each pitch class.
_HEADS_BEFORE = np.array([0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6])

# Number of white keys left of C1: A0 and B0.
_WHITES_BEFORE_C1 = 2

_PITCHES = np.arange(LOWEST_PITCH, HIGHEST_PITCH + 1)
_IS_BLACK = np.isin(_PITCHES % 12, _BLACK_CLASSES)
_HEAD = (_PITCHES // 12 - 2) * 7 + _WHITES_BEFORE_C1 + _HEADS_BEFORE[_PITCHES % 12]

WHITE_KEYS = np.flatnonzero(~_IS_BLACK)
"""Indices 0..87 of the 52 white keys, from left to right."""

BLACK_KEYS = np.flatnonzero(_IS_BLACK)
"""Indices 0..87 of the 36 black keys, from left to right."""

LEVEL_HAND = np.array([[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
"""Global MANO rotation matrices, keyboard frame, of hands with palm down and fingers towards the fallboard. Array (hand 2, 3, 3)."""


@dataclass(frozen=True)
class Keyboard:
    """Dimensions of a keyboard in millimetres; the defaults are those of a concert grand piano.

    Attributes
    ----------
    white_pitch_mm : float
        Distance between the centres of neighbouring white keys. An octave has 7 white keys: 164.5 mm.
    white_length_mm : float
        Length of a white key, from the player's edge to the fallboard.
    black_width_mm : float
        Width of the top of a black key, which the fingers touch.
    black_base_width_mm : float
        Width of a black key at the height of the white keys. It is larger than that of the top, since the sides are sloped.
    black_length_mm : float
        Length of a black key, from the fallboard towards the player.
    black_height_mm : float
        Height of the tops of the black keys above the white keys.
    dip_mm : float
        Distance that a key travels down when it is pressed.
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
        """Width of the keyboard, from the left end of A0 to the right end of C8: 1222 mm by default."""
        return N_WHITE * self.white_pitch_mm

    @property
    def black_front_mm(self):
        """y of the front edge of the black keys, mm: 52 by default."""
        return self.white_length_mm - self.black_length_mm


STANDARD = Keyboard()
"""Keyboard of default dimensions."""

# Distance from the player's edge at which fingers press white keys, as a share of the length of the head: 0.5 is the middle of the head.
_PLAYING_DEPTH = 0.5

# Distance behind the front edge of a black key at which fingers press the key, mm.
_BLACK_PLAYING_DEPTH_MM = 20.0


def key_of_pitch(pitch):
    """Return the keys 0..87 of MIDI pitches 21..108 (any shape, integers); raise ValueError for a pitch without a key."""
    pitch = np.asarray(pitch)
    if np.any((pitch < LOWEST_PITCH) | (pitch > HIGHEST_PITCH)):
        raise ValueError(f"expected MIDI pitches {LOWEST_PITCH}..{HIGHEST_PITCH}, found {pitch.min()}..{pitch.max()}")
    return pitch.astype(np.int64) - LOWEST_PITCH


def pitch_of_key(key):
    """Return the MIDI pitches 21..108 of keys 0..87 (any shape, integers); raise ValueError for a key that does not exist."""
    key = np.asarray(key)
    if np.any((key < 0) | (key >= N_KEYS)):
        raise ValueError(f"expected keys 0..{N_KEYS - 1}, found {key.min()}..{key.max()}")
    return key.astype(np.int64) + LOWEST_PITCH


def is_black(key):
    """Return whether keys 0..87 (any shape) are black."""
    return _IS_BLACK[np.asarray(key)]


def white_index(key):
    """Return the index among the white keys, 0..51, of keys 0..87 (any shape).

    A black key gets the index of the next white key on its right.
    """
    return _HEAD[np.asarray(key)]


def black_centres_mm(keyboard=STANDARD):
    """Return x of the centre lines of the 36 black keys, array (black 36,), millimetres."""
    pitch, base = keyboard.white_pitch_mm, keyboard.black_base_width_mm
    tail_ce, tail_fb = (3 * pitch - 2 * base) / 3, (4 * pitch - 3 * base) / 4
    # Left of the centre of the nth black key of a group (C# and D#, or F# to A#) are n tails, n - 1 whole black keys and half of this one.
    from_c = np.zeros(12)
    for nth, black in enumerate((_CS, _DS), start=1):
        from_c[black] = nth * tail_ce + (nth - 0.5) * base
    for nth, black in enumerate((_FS, _GS, _AS), start=1):
        from_c[black] = 3 * pitch + nth * tail_fb + (nth - 0.5) * base
    pitches = _PITCHES[BLACK_KEYS]
    return ((pitches // 12 - 2) * 7 + _WHITES_BEFORE_C1) * pitch + from_c[pitches % 12]


def key_centres_x_mm(keyboard=STANDARD):
    """Return x of the centre of each key, array (key 88,), mm. For a white key, it is the centre of the head."""
    centres = (_HEAD + 0.5) * keyboard.white_pitch_mm
    centres[BLACK_KEYS] = black_centres_mm(keyboard)
    return centres


def playing_points_mm(keyboard=STANDARD):
    """Return the point at which a finger usually presses each key, array (key 88, xyz 3), mm, on top of the key at rest.

    For a white key, it is the middle of the head. For a black key, it is on the centre line, 20 mm behind the front edge.
    """
    black = _IS_BLACK
    y = np.where(black, keyboard.black_front_mm + _BLACK_PLAYING_DEPTH_MM, _PLAYING_DEPTH * keyboard.black_front_mm)
    return np.stack([key_centres_x_mm(keyboard), y, np.where(black, keyboard.black_height_mm, 0.0)], axis=-1)


def tail_edges_mm(keyboard=STANDARD):
    """Return x of the left and right edge of each key's tail, array (key 88, side 2), millimetres.

    For a black key, these are the edges of its base. Neighbouring keys share an edge.
    """
    edges = np.stack([_HEAD, _HEAD + 1], axis=-1) * keyboard.white_pitch_mm
    edges[BLACK_KEYS] = black_centres_mm(keyboard)[:, None] + np.array([-0.5, 0.5]) * keyboard.black_base_width_mm
    edges[BLACK_KEYS - 1, 1] = edges[BLACK_KEYS, 0]
    edges[BLACK_KEYS + 1, 0] = edges[BLACK_KEYS, 1]
    return edges


def key_outlines_mm(keyboard=STANDARD):
    """Return the outline of each key viewed from above, counter-clockwise from its front left corner.

    Returns
    -------
    tuple of 88 arrays (vertex, xy 2), millimetres
        4 vertices for a black key (its base) and for C8; 6 or 8 for a white key next to one or two black keys. The outlines
        tile the keyboard without gaps.
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
    """Return the tops of the black keys, array (black 36, corner 4, xyz 3), counter-clockwise from front left, millimetres."""
    half, front, back = keyboard.black_width_mm / 2, keyboard.black_front_mm, keyboard.white_length_mm
    corners = np.array([(-half, front), (half, front), (half, back), (-half, back)])
    tops = np.full((len(BLACK_KEYS), 4, 3), keyboard.black_height_mm)
    tops[..., 0] = black_centres_mm(keyboard)[:, None] + corners[:, 0]
    tops[..., 1] = corners[:, 1]
    return tops


def key_at_point(x_mm, y_mm):
    """Return the key at each point of the keyboard frame, viewed from above; keys have the standard dimensions.

    Parameters
    ----------
    x_mm, y_mm : arrays of the same shape
        Keyboard frame, mm. A point with NaN counts as outside of the keyboard.

    Returns
    -------
    array of int, of the same shape
        Key 0..87; -1 outside of the keyboard. A point on the line between two keys belongs to the key on its right.
    """
    x, y = np.broadcast_arrays(np.asarray(x_mm, dtype=float), np.asarray(y_mm, dtype=float))
    inside = (x >= 0) & (x < STANDARD.width_mm) & (y >= 0) & (y < STANDARD.white_length_mm)
    x = np.where(inside, x, 0.0)
    head = WHITE_KEYS[np.minimum((x / STANDARD.white_pitch_mm).astype(np.int64), N_WHITE - 1)]
    tail = np.searchsorted(tail_edges_mm()[:, 1], x, side="right").clip(max=N_KEYS - 1)
    return np.where(inside, np.where(y < STANDARD.black_front_mm, head, tail), -1)
