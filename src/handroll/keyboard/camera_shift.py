"""Measure camera movement: shift and zoom of the keys' edges between different times of a video."""

from dataclasses import dataclass

import numpy as np

from handroll.keyboard.camera_fit import LIP, edge_points, find_edges

SEARCH_MM = 6.0
"""Maximum movement of an edge that can be found again, mm: about half the width of a black key. After a larger
movement, the other edge of the key would be found."""

MIN_EDGES = 30
"""Minimum number of edges found again in an image. With fewer, the keys have moved farther than `SEARCH_MM`."""

MIN_SHARE = 1 / 3
"""Minimum number of edges found in an image, as a share (0..1) of the number in the image with the most edges. If fewer are found, they are
edges of other keys, found by chance. After a zoom of 3 %, the share is 0.3; after 5 % and more, it is 0.15. With hands over a third of the
keys, it is 0.5."""

ROUNDS = 3
"""Number of least squares fits. Each fit leaves out the outliers of the previous fit."""

OUTLIER_MM = 1.0
"""Residual from which an edge counts as an outlier, mm."""


@dataclass(frozen=True)
class Movement:
    """Maximum movement of a camera between the parts of a video.

    Attributes
    ----------
    shift_mm : float
        Maximum distance that the middle of the visible keys moved in the image, converted to mm on the keyboard.
    zoom : float
        Maximum relative change of the keys' size: 0.01 is one per cent.
    """

    shift_mm: float
    zoom: float


def camera_movement(images, view, keyboard, whites, blacks):
    """Measure the maximum movement of the keys between images.

    In each image, the edges are searched near their projections. A shift, a rotation and a scale are fitted to their offsets by
    least squares, without outliers.

    Parameters
    ----------
    images : sequence of uint8 array (height, width), grey
        Images without hands, such as the temporal medians of parts of a video.
    view, keyboard, whites, blacks
        Same as in `camera_fit.edge_points`.

    Returns
    -------
    Movement or None
        None if too few edges are found in an image, because the keys moved farther than `SEARCH_MM`.
    """
    edges = edge_points(view, keyboard, whites, blacks)
    at, normal, px_per_mm = edges.project(view)
    middle = np.nanmean(at, axis=0)
    motions, counts = [], []
    for image in images:
        offset = find_edges(image.astype(np.float32), view, edges, SEARCH_MM)
        found = np.isfinite(offset) & (edges.kind != LIP)
        # Columns: displacement along each edge's normal for a unit of dx, dy, rotation and scale about the middle.
        arm = at - middle
        design = np.stack(
            [normal[:, 0], normal[:, 1], arm[:, 0] * normal[:, 1] - arm[:, 1] * normal[:, 0], (arm * normal).sum(axis=1)], axis=1
        )
        for _ in range(ROUNDS):
            if found.sum() < MIN_EDGES:
                return None
            motion = np.linalg.lstsq(design[found], offset[found], rcond=None)[0]
            off_mm = np.abs(offset - design @ motion) / px_per_mm
            found = np.isfinite(off_mm) & (edges.kind != LIP) & (off_mm < OUTLIER_MM)
        motions.append(motion)
        counts.append(found.sum())
    if min(counts) < MIN_SHARE * max(counts):
        return None
    # Compare all pairs of images, since the camera may move at any time and move back.
    between = np.array(motions)[:, None] - motions
    shift = np.linalg.norm(between[..., :2], axis=-1).max() / np.nanmedian(px_per_mm)
    return Movement(float(shift), float(np.abs(between[..., 3]).max()))
