"""A piano roll that falls onto a keyboard of 88 keys, drawn below the picture."""

import cv2
import numpy as np

from handroll.keyboard.geometry import (
    BLACK_KEYS,
    HIGHEST_PITCH,
    LOWEST_PITCH,
    N_KEYS,
    STANDARD,
    WHITE_KEYS,
    is_black,
    key_centres_x_mm,
    key_of_pitch,
    key_outlines_mm,
)
from handroll.view.style import INK, NOTE, PANEL, SHIFT, TRACK, draw_text, fixed_point, mix

AHEAD_S = 3.0
"""How long a note falls, seconds."""

ROLL_SHARE, KEYS_SHARE = 0.11, 0.055
"""Height of the roll and of the keyboard as shares of the width. Keys are drawn half as long as they are, to save height."""

IVORY, EBONY, SEAM = (238, 236, 230), (33, 35, 41), (150, 150, 152)
SUPERSAMPLING = 4
LABEL_FROM_PX = 14
"""Width of a white key from which the Cs carry their names."""

TAIL_SHARE = 0.45
"""How much of a note's colour is left where its key is up and the pedal holds its sound."""


class KeyRoll:
    """The roll of one video.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `schema.NOTES`; pitches without a key are not drawn.
    width_px : int

    Attributes
    ----------
    height_px : int
        Height of what `draw` fills, even.
    """

    def __init__(self, notes, width_px):
        self._scale = width_px / STANDARD.width_mm
        self._roll_px = round(ROLL_SHARE * width_px)
        keys_px = round(KEYS_SHARE * width_px)
        self.height_px = (self._roll_px + keys_px + 1) // 2 * 2
        self._keys_px = self.height_px - self._roll_px
        on_keys = (notes["pitch"] >= LOWEST_PITCH) & (notes["pitch"] <= HIGHEST_PITCH)
        self._onset_s, self._release_s, self._end_s = (notes[name][on_keys] for name in ("onset_s", "key_offset_s", "sounding_offset_s"))
        self._key = key_of_pitch(notes["pitch"][on_keys]) if on_keys.any() else np.zeros(0, dtype=int)
        self._share = np.clip(notes["velocity"][on_keys] / 127.0, 0.0, 1.0)
        self._render_keys(width_px)
        self._background = np.concatenate([self._render_lanes(width_px), self._released])

    def _render_keys(self, width_px):
        """The keyboard at rest, with every key down, and which key each pixel belongs to (-1 at seams)."""
        size = (width_px * SUPERSAMPLING, self._keys_px * SUPERSAMPLING)
        scale = np.array([self._scale, self._keys_px / STANDARD.white_length_mm]) * SUPERSAMPLING
        colours, owner = np.zeros((N_KEYS, 2, 3)), np.full(size[::-1], -1, dtype=np.int16)
        released, pressed = (np.full((*size[::-1], 3), SEAM, dtype=np.uint8) for _ in range(2))
        colours[WHITE_KEYS], colours[BLACK_KEYS] = (IVORY, mix(IVORY, NOTE, 0.85)), (EBONY, mix(EBONY, NOTE, 0.9))
        for key, outline in enumerate(key_outlines_mm()):
            # y runs from the player upwards; half a pixel of seam is left on each side.
            corners = outline * (1.0, -1.0) + (0.0, STANDARD.white_length_mm)
            middle = corners.mean(axis=0)
            corners = np.rint(corners * scale - np.sign(corners - middle) * (1.0, 0.0) * SUPERSAMPLING * 0.5).astype(np.int32)
            for picture, colour in zip((released, pressed), colours[key], strict=True):
                cv2.fillPoly(picture, [corners], colour.tolist())
            cv2.fillPoly(owner, [corners], key)
        shrunk = [cv2.resize(picture, (width_px, self._keys_px), interpolation=cv2.INTER_AREA) for picture in (released, pressed)]
        self._released, self._pressed = shrunk
        for picture in shrunk:  # the felt at the fallboard
            picture[: max(1, self._keys_px // 24)] = mix(INK, (150, 30, 40), 0.8)
        white_px = self._scale * STANDARD.white_pitch_mm
        for octave, key in enumerate(range(3, N_KEYS, 12), start=1):
            if white_px >= LABEL_FROM_PX:
                at = key_centres_x_mm()[key] * self._scale, self._keys_px - 0.45 * white_px
                for picture in shrunk:
                    draw_text(picture, f"C{octave}", *at, max(8, round(white_px * 0.42)), (110, 112, 120), "middle")
        owner = cv2.resize(owner, (width_px, self._keys_px), interpolation=cv2.INTER_NEAREST)
        # Every pixel of a seam goes down with its nearest key, so that edges stay smooth.
        self._where = []
        for key in range(N_KEYS):
            covered = cv2.dilate((owner == key).astype(np.uint8), np.ones((1, 3), np.uint8)) > 0
            covered &= (owner == key) | (owner == -1)
            columns = np.flatnonzero(covered.any(axis=0))
            self._where.append((slice(columns[0], columns[-1] + 1), covered[:, columns[0] : columns[-1] + 1, None]))

    def _render_lanes(self, width_px):
        """The empty roll: a line at each C and F, darker lanes for the black keys."""
        lanes = np.empty((self._roll_px, width_px, 3), dtype=np.uint8)
        lanes[:] = PANEL
        for key in BLACK_KEYS:
            self._lane(lanes, key, 0.0, self._roll_px, mix(PANEL, INK, 0.55), round_px=0.0)
        for n, key in enumerate(WHITE_KEYS):
            if (key + 21) % 12 in (0, 5):
                column = min(round(n * STANDARD.white_pitch_mm * self._scale), width_px - 1)
                lanes[:, column] = TRACK if (key + 21) % 12 == 0 else mix(PANEL, TRACK, 0.5)
        return lanes

    def _lane(self, image, key, top, bottom, colour, round_px):
        """Fill a key's lane between two heights, pixels, corners rounded."""
        width = STANDARD.black_base_width_mm * 0.94 if is_black(key) else STANDARD.white_pitch_mm * 0.84
        centre, half = key_centres_x_mm()[key] * self._scale, width * self._scale / 2
        cut = min(round_px, half, (bottom - top) / 2)
        box = np.array([(-half, top, 0.0, cut), (-half, top, cut, 0.0), (half, top, -cut, 0.0), (half, top, 0.0, cut)])
        upper = box[:, :2] + box[:, 2:]
        lower = (box[:, :2] - box[:, 2:] * (-1, 1))[::-1] + (0.0, bottom - top)
        cv2.fillConvexPoly(image, fixed_point(np.concatenate([upper, lower]) + (centre, 0.0)), colour, cv2.LINE_AA, SHIFT)

    def draw(self, time_s, out):
        """Draw the roll as it is at a time, seconds, into a picture (height_px, width_px, 3)."""
        out[:] = self._background
        roll, keys = out[: self._roll_px], out[self._roll_px :]
        visible = np.flatnonzero((self._onset_s < time_s + AHEAD_S) & (self._end_s > time_s))
        speed = self._roll_px / AHEAD_S
        for note in visible[np.argsort(is_black(self._key[visible]), kind="stable")]:
            key, bottom = self._key[note], self._roll_px - (self._onset_s[note] - time_s) * speed
            release, top = (self._roll_px - (t[note] - time_s) * speed for t in (self._release_s, self._end_s))
            colour = mix(mix(PANEL, NOTE, 0.45), mix(NOTE, (255, 255, 255), 0.35), self._share[note])
            colour = mix(colour, INK, 0.25) if is_black(key) else colour
            bottom, corner = min(bottom, self._roll_px + 8.0), 3.0
            if top < release - 1.0:
                self._lane(roll, key, max(top, -8.0), min(release + corner, bottom), mix(PANEL, colour, TAIL_SHARE), corner)
            if release < bottom:
                self._lane(roll, key, max(release, -8.0), max(bottom, release + 2.0), colour, corner)
        for key in np.unique(self._key[(self._onset_s <= time_s) & (self._release_s > time_s)]):
            columns, covered = self._where[key]
            np.copyto(keys[:, columns], self._pressed[:, columns], where=covered)
        return out
