"""Draws a hand's skeleton: each bone a capsule that tapers, as wide as a slim finger bone at the hand's distance."""

import cv2
import numpy as np

from handroll.hand.skeleton import BONES, CHAINS, JOINTS, KNUCKLES, N_JOINTS, TIPS
from handroll.schema import State
from handroll.view.style import INK, SHIFT, fixed_point, mix

RADIUS_M = (0.0042, 0.0046, 0.0040, 0.0034, 0.0034)
"""Drawn radius at the wrist and at the four joints along a finger, metres: about half of a finger's, so that skin shows."""

LEAST_RADIUS_PX = 1.3
OUTLINE = 0.4
"""Width of the dark outline over the radius at the wrist."""

PALM_OPACITY = 0.22
OPACITY = {State.OBSERVED: 0.95, State.INTERPOLATED: 0.6}
DASHES = ((0.0, 0.22), (0.39, 0.61), (0.78, 1.0))
"""Parts of a bone that are drawn where it is interpolated, as shares of its length."""

ARC = np.linspace(0.0, 1.0, 9)
"""Points along each round end of a capsule."""

_LEVEL = np.zeros(N_JOINTS, dtype=int)  # 0 wrist, 1 to 4 along the finger
for _chain in CHAINS.values():
    _LEVEL[list(_chain)] = 1, 2, 3, 4
_PARENT, _CHILD = np.array(BONES).T
_PALM = (JOINTS.index("wrist"), CHAINS["thumb"][0], *KNUCKLES)


def radii_px(focal_px, depth_m, bone_scale):
    """Drawn radius of the 21 joints, pixels, of hands (...) at a depth in metres, seen with this focal length in pixels."""
    scale = np.asarray(focal_px * bone_scale / depth_m)[..., None]
    return np.maximum(scale * np.array(RADIUS_M)[_LEVEL], LEAST_RADIUS_PX)


def draw_hand(image, points_px, depth_m, radius_px, colour, state):
    """Draw a hand on the picture, in place.

    Parameters
    ----------
    image : uint8 array (height, width, 3)
    points_px : array (joint 21, xy 2)
        `skeleton.JOINTS` in the picture's pixels; may lie outside. Nothing is drawn where one is NaN.
    depth_m : array (joint 21,)
        Nearer bones are drawn over farther ones.
    radius_px : array (joint 21,)
    colour : tuple of 3 ints
    state : State
        Observed hands are solid; interpolated ones are dashed and pale; hidden ones are not drawn.
    """
    if state == State.HIDDEN or not np.isfinite(points_px).all():
        return
    margin = 2.0 * radius_px.max() + 2.0
    low = np.maximum(np.floor(points_px.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(points_px.max(axis=0) + margin), image.shape[1::-1]).astype(int)
    if (low >= high).any():
        return
    part = image[low[1] : high[1], low[0] : high[0]]
    # OpenCV clips lines far outside, but its fixed-point numbers end at 2^27 pixels.
    points = np.clip(points_px - low, -1e5, 1e5)
    layer = part.copy()
    cv2.fillPoly(layer, [fixed_point(points[list(_PALM)])], colour, cv2.LINE_AA, SHIFT)
    cv2.addWeighted(layer, PALM_OPACITY, part, 1.0 - PALM_OPACITY, 0.0, dst=layer)
    _draw_bones(layer, points, np.asarray(depth_m), radius_px, colour, dashed=state == State.INTERPOLATED)
    cv2.addWeighted(layer, OPACITY[state], part, 1.0 - OPACITY[state], 0.0, dst=part)


def _draw_bones(image, points, depth, radius, colour, dashed):
    """Bones from far to near, each with its outline, then joints and tips."""
    outline = OUTLINE * radius[0]
    order = np.argsort(-(depth[_PARENT] + depth[_CHILD]), kind="stable")
    start, end = points[_PARENT[order]], points[_CHILD[order]]
    start_radius, end_radius = radius[_PARENT[order]], radius[_CHILD[order]]
    for first, last in DASHES if dashed else ((0.0, 1.0),):
        piece = start + first * (end - start), start + last * (end - start)
        piece_radius = start_radius + first * (end_radius - start_radius), start_radius + last * (end_radius - start_radius)
        if dashed:  # flat pieces: round ends would close the spaces between them
            piece_radius = tuple(0.75 * r for r in piece_radius)
        edges = fixed_point(_capsules(*piece, *(r + outline for r in piece_radius)))
        fills = fixed_point(_capsules(*piece, *piece_radius))
        for bone, edge, fill in zip(order, edges, fills, strict=True):
            cv2.fillConvexPoly(image, edge, INK, cv2.LINE_AA, SHIFT)
            cv2.fillConvexPoly(image, fill, mix(colour, (255, 255, 255), 0.11 * (_LEVEL[_CHILD[bone]] - 1)), cv2.LINE_AA, SHIFT)
    for joint in np.argsort(-depth, kind="stable"):
        tip = joint in TIPS
        if dashed and not tip:
            continue
        centre = tuple(fixed_point(points[joint]).tolist())
        if tip:
            cv2.circle(image, centre, _fixed(1.35 * radius[joint] + outline), INK, -1, cv2.LINE_AA, SHIFT)
            cv2.circle(image, centre, _fixed(1.35 * radius[joint]), (255, 255, 255), -1, cv2.LINE_AA, SHIFT)
            cv2.circle(image, centre, _fixed(0.85 * radius[joint]), colour, -1, cv2.LINE_AA, SHIFT)
        else:
            cv2.circle(image, centre, _fixed(0.55 * radius[joint]), mix(colour, (255, 255, 255), 0.75), -1, cv2.LINE_AA, SHIFT)


def _fixed(length_px):
    return round(float(length_px) * (1 << SHIFT))


def _capsules(start, end, start_radius, end_radius):
    """Outlines (bone, vertex, xy 2) of the convex hulls of two circles each: (bone, 2), (bone, 2), (bone,), (bone,)."""
    along = end - start
    length = np.maximum(np.linalg.norm(along, axis=1), 1e-6)
    heading = np.arctan2(along[:, 1], along[:, 0])
    # Where the two common tangents touch, as the angle off the heading.
    touch = np.arccos(np.clip((start_radius - end_radius) / length, -1.0, 1.0))
    back = heading[:, None] + touch[:, None] + ARC * (2.0 * np.pi - 2.0 * touch[:, None])
    front = heading[:, None] - touch[:, None] + ARC * 2.0 * touch[:, None]
    around = lambda angle: np.stack([np.cos(angle), np.sin(angle)], axis=-1)  # noqa: E731
    return np.concatenate(
        [start[:, None] + start_radius[:, None, None] * around(back), end[:, None] + end_radius[:, None, None] * around(front)], axis=1
    )
