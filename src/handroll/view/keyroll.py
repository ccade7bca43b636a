"""A strip with the 88 keys and the notes that fall onto them: what sounds now, and what comes."""

import cv2
import numpy as np

from handroll.keyboard.geometry import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    N_KEYS,
    N_WHITE,
    STANDARD,
    is_black,
    key_outlines_mm,
    tail_edges_mm,
    white_index,
)

AHEAD_S = 2.0
"""How far ahead notes are shown."""

ROLL = 0.55
"""Share of the strip's height for the falling notes; the keyboard has the rest."""

BACKGROUND, LANE, WHITE, BLACK, GAP = (18, 21, 28), (28, 32, 41), (236, 233, 226), (30, 31, 35), (120, 118, 112)
NOTE, PRESSED, RINGING = (122, 222, 150), (86, 214, 126), (176, 205, 184)
"""RGB: a coming note, a key held down, a key whose string still sounds by the pedal."""

WIDTH_MM = N_WHITE * STANDARD.white_pitch_mm


class KeyRoll:
    """Draws the strip of any moment of a piece.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `schema.NOTES`.
    width_px, height_px : int
        Size of the strip.
    """

    def __init__(self, notes, width_px, height_px):
        self.height_px = height_px
        order = np.argsort(notes["onset_s"], kind="stable")
        pitch = np.clip(np.asarray(notes["pitch"], dtype=int)[order], LOWEST_PITCH, HIGHEST_PITCH)
        self._key = pitch - LOWEST_PITCH
        self._onset, self._release, self._silent = (
            np.asarray(notes[name])[order] for name in ("onset_s", "key_offset_s", "sounding_offset_s")
        )
        self._longest_s = float(np.max(self._silent - self._onset, initial=0.0))
        self._roll_px = round(height_px * ROLL)
        outlines = [outline / (WIDTH_MM, STANDARD.white_length_mm) for outline in key_outlines_mm()]
        keys_px = height_px - self._roll_px
        self._outlines = [np.rint([0, height_px - 1] + outline * [width_px, -keys_px]).astype(np.int32) for outline in outlines]
        self._lanes = np.rint(np.array([_lane(key) for key in range(N_KEYS)]) * width_px).astype(int)
        self._still = self._draw_still(width_px)

    def _draw_still(self, width_px):
        strip = np.full((self.height_px, width_px, 3), BACKGROUND, np.uint8)
        for key in np.argsort(is_black(np.arange(N_KEYS)), kind="stable"):
            if is_black(key):
                left, right = self._lanes[key]
                strip[: self._roll_px, left:right] = LANE
            self._draw_key(strip, key, BLACK if is_black(key) else WHITE)
        return strip

    def _draw_key(self, strip, key, colour):
        cv2.fillPoly(strip, [self._outlines[key]], colour)
        if not is_black(key):
            cv2.polylines(strip, [self._outlines[key]], True, GAP, 1)

    def at(self, time_s):
        """The strip at a time: uint8 array (height, width, 3), RGB."""
        strip = self._still.copy()
        first = np.searchsorted(self._onset, time_s - self._longest_s, side="left")
        last = np.searchsorted(self._onset, time_s + AHEAD_S, side="right")
        for n in range(first, last):
            key, onset, release, silent = self._key[n], self._onset[n], self._release[n], self._silent[n]
            if onset <= time_s < max(release, silent):
                self._draw_key(strip, key, PRESSED if time_s < release else RINGING)
            if release > time_s:
                bottom = self._roll_px - round(max(onset - time_s, 0.0) / AHEAD_S * self._roll_px)
                top = self._roll_px - round(min(release - time_s, AHEAD_S) / AHEAD_S * self._roll_px)
                left, right = self._lanes[key]
                strip[top : max(bottom - 1, 0), left:right] = NOTE
        return strip


def _lane(key):
    """Left and right edge of the notes of a key, as shares of the keyboard's width."""
    if is_black(key):
        return tail_edges_mm()[key] / WIDTH_MM
    place = white_index(key)
    return (place + 0.12) / N_WHITE, (place + 0.88) / N_WHITE
