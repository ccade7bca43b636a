"""Does the camera stand still? Compares where the keys' edges are in pictures from different times of a video."""

from dataclasses import dataclass

import numpy as np

from handroll.keyboard.edges import LIP, edge_points, find_edges

SEARCH_MM = 6.0
"""How far an edge may have moved to be found again: less than half a black key, beyond which the next edge is met."""

LEAST_EDGES = 30
"""Fewer edges than this at the places where they were seen before: the camera has moved farther than the search reaches."""

LEAST_SHARE = 1 / 3
"""Least share of the edges found in the picture with the most of them: with fewer they are other keys' edges, met by chance.
A zoom of 3 % leaves 0.3, of 5 % and more 0.15; hands over a third of the keys leave 0.5."""

ROUNDS = 3
OUTLIER_MM = 1.0


@dataclass(frozen=True)
class Movement:
    """How a camera moved, at the most, between the windows of a video.

    Attributes
    ----------
    shift_mm : float
        Farthest that the middle of the visible keys went.
    zoom : float
        Greatest change of scale, relative: 0.01 is one per cent.
    """

    shift_mm: float
    zoom: float


def camera_movement(pictures, view, keyboard, whites, blacks):
    """Greatest movement of the keys over some pictures.

    Each picture's edges are looked for where the view has them, and a shift, a turn and a scale are fitted to how far off
    they are, by least squares without outliers.

    Parameters
    ----------
    pictures : sequence of uint8 array (height, width), grey
        Without hands, such as medians of windows of a video.
    view, keyboard, whites, blacks
        As of `edges.edge_points`.

    Returns
    -------
    Movement, or None where the keys are lost in a picture: they have moved farther than the search reaches
    """
    edges = edge_points(view, keyboard, whites, blacks)
    at, normal, px_per_mm = edges.seen(view)
    middle = np.nanmean(at, axis=0)
    motions, counts = [], []
    for picture in pictures:
        offset = find_edges(picture.astype(np.float32), view, edges, SEARCH_MM)
        found = np.isfinite(offset) & (edges.kind != LIP)
        # (dx, dy, turn, scale) of the picture about its middle, as seen along each edge's normal.
        arm = at - middle
        design = np.stack(
            [normal[:, 0], normal[:, 1], arm[:, 0] * normal[:, 1] - arm[:, 1] * normal[:, 0], (arm * normal).sum(axis=1)], axis=1
        )
        for _ in range(ROUNDS):
            if found.sum() < LEAST_EDGES:
                return None
            motion = np.linalg.lstsq(design[found], offset[found], rcond=None)[0]
            off_mm = np.abs(offset - design @ motion) / px_per_mm
            found = np.isfinite(off_mm) & (edges.kind != LIP) & (off_mm < OUTLIER_MM)
        motions.append(motion)
        counts.append(found.sum())
    if min(counts) < LEAST_SHARE * max(counts):
        return None
    # Between any two: half of the pictures may be from before the camera moved.
    between = np.array(motions)[:, None] - motions
    shift = np.linalg.norm(between[..., :2], axis=-1).max() / np.nanmedian(px_per_mm)
    return Movement(float(shift), float(np.abs(between[..., 3]).max()))
