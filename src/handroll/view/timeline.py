"""A strip that shows over the whole video where each hand is observed, interpolated or hidden."""

import cv2
import numpy as np

from handroll.schema import State
from handroll.view.style import HAND_COLOURS, PANEL, TRACK, mix


def state_colours(colour):
    """Colour of each State (by its number) of a hand of this colour: array (state 3, rgb 3)."""
    colours = np.zeros((len(State), 3), dtype=np.uint8)
    colours[State.HIDDEN] = TRACK
    colours[State.INTERPOLATED] = mix(colour, (255, 255, 255), 0.6)
    colours[State.OBSERVED] = colour
    return colours


def render_timeline(state, width_px, row_px, space_px):
    """One row a hand, from the first frame to the last.

    Parameters
    ----------
    state : int array (frame, hand 2)
        `State`; no frames at all gives two hidden rows.
    width_px, row_px, space_px : int
        Width, height of a row, and space between the rows.

    Returns
    -------
    uint8 array (2 * row_px + space_px, width_px, 3)
        Where a column stands for several frames, their mean colour.
    """
    strip = np.empty((2 * row_px + space_px, width_px, 3), dtype=np.uint8)
    strip[:] = PANEL
    for hand, colour in enumerate(HAND_COLOURS):
        states = np.asarray(state)[:, hand] if len(state) else np.zeros(1, dtype=int)
        row = state_colours(colour)[states][None]
        shrinks = len(states) > width_px
        row = cv2.resize(row, (width_px, 1), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
        top = hand * (row_px + space_px)
        strip[top : top + row_px] = row
    return strip
