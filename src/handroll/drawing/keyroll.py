"""Key roll: a strip that shows the 88 keys, coloured while they sound, and above them the coming notes, which move down to the keys."""

import cv2
import numpy as np

from handroll.drawing.keyboard import draw_number
from handroll.drawing.notes import NoteTimeline, note_colour
from handroll.keyboard.geometry import (
    N_KEYS,
    N_WHITE,
    STANDARD,
    is_black,
    key_outlines_mm,
    playing_points_mm,
    tail_edges_mm,
    white_index,
)

AHEAD_S = 2.0
"""Time before its onset at which a note appears in the key roll, seconds."""

ROLL = 0.55
"""Share of the strip's height for the coming notes, 0..1; the rest is the keyboard."""

BACKGROUND, LANE, WHITE, BLACK, GAP = (18, 21, 28), (28, 32, 41), (236, 233, 226), (30, 31, 35), (120, 118, 112)
"""RGB of the background, the lanes of black keys, white keys, black keys, and the gaps between keys. Notes and sounding keys have
`notes.note_colour`."""


NUMBER = (255, 255, 255)
"""RGB of the finger numbers."""

NUMBER_SHARE = 0.6
"""Font size of the finger numbers, as a multiple of the width of a white key."""

MIN_NUMBER_PX = 9
"""Minimum font size of the finger numbers."""

WIDTH_MM = N_WHITE * STANDARD.white_pitch_mm
"""Width of the keyboard."""


class KeyRoll:
    """Drawing of the strip at any time of a video.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES` or `tables.FINGERED_NOTES`.
    width_px, height_px : int
        Size of the strip.
    """

    def __init__(self, notes, width_px, height_px):
        self.height_px = height_px
        self._notes = NoteTimeline(notes)
        self._roll_px = round(height_px * ROLL)
        to_px = np.array([width_px / WIDTH_MM, (self._roll_px - height_px) / STANDARD.white_length_mm])
        self._outlines = [np.rint([0, height_px - 1] + outline * to_px).astype(np.int32) for outline in key_outlines_mm()]
        self._lanes = np.rint(np.array([_lane(key) for key in range(N_KEYS)]) * width_px).astype(int)
        self._number_px = [0, height_px - 1] + playing_points_mm()[:, :2] * to_px
        self._font_px = max(MIN_NUMBER_PX, round(NUMBER_SHARE * width_px / N_WHITE))
        self._still = self._draw_still(width_px)

    def _draw_still(self, width_px):
        """Draw the strip without notes."""
        strip = np.full((self.height_px, width_px, 3), BACKGROUND, np.uint8)
        for key in np.argsort(is_black(np.arange(N_KEYS)), kind="stable"):
            if is_black(key):
                left, right = self._lanes[key]
                strip[: self._roll_px, left:right] = LANE
            self._draw_key(strip, key, BLACK if is_black(key) else WHITE)
        return strip

    def _draw_key(self, strip, key, colour):
        """Draw a key in a colour, in place."""
        cv2.fillPoly(strip, [self._outlines[key]], colour)
        if not is_black(key):
            cv2.polylines(strip, [self._outlines[key]], True, GAP, 1)

    def at(self, time_s):
        """Return the strip at a time: uint8 array (height, width, 3), RGB."""
        strip = self._still.copy()
        for row, held in self._notes.sounding(time_s):
            self._draw_key(strip, self._notes.key[row], note_colour(self._notes.hand[row], held))
        numbers = []
        for row in self._notes.within(time_s, time_s + AHEAD_S):
            if self._notes.release_s[row] > time_s:
                foot_px = self._draw_note(strip, row, time_s)
                if self._notes.finger[row]:
                    numbers.append((str(self._notes.finger[row]), foot_px))
        self._draw_numbers(strip, numbers)
        return strip

    def _draw_note(self, strip, row, time_s):
        """Draw a note above the keys, and return the position (x, y) of its finger number.

        The number is at the lower end of a coming note, and on the key of a held note.
        """
        notes = self._notes
        left, right = self._lanes[notes.key[row]]
        ahead = np.clip(np.array([notes.release_s[row], notes.onset_s[row]]) - time_s, 0.0, AHEAD_S)
        top, bottom = (self._roll_px - np.rint(ahead / AHEAD_S * self._roll_px).astype(int)).tolist()
        strip[top : max(bottom - 1, 0), left:right] = note_colour(notes.hand[row])
        if notes.onset_s[row] <= time_s:
            return self._number_px[notes.key[row]]
        # The number is above the lower end, so that a short note stays visible.
        return np.array([(left + right) / 2, bottom - 4 - 0.5 * self._font_px])

    def _draw_numbers(self, strip, numbers):
        """Write numbers in order of onset; a number that would overlap an earlier one is skipped."""
        taken = []
        for number, position in numbers:
            if all((np.abs(position - other) > (0.85 * self._font_px, self._font_px)).any() for other in taken):
                draw_number(strip, number, position, self._font_px, NUMBER)
                taken.append(position)


def _lane(key):
    """Return the left and right edge of the lane of a key's notes, as shares of the keyboard's width, 0..1."""
    if is_black(key):
        return tail_edges_mm()[key] / WIDTH_MM
    index = white_index(key)
    return (index + 0.12) / N_WHITE, (index + 0.88) / N_WHITE
