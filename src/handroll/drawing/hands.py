"""Draw hands on an image: tapered bones with an outline, one colour for each hand."""

import cv2
import numpy as np

from handroll.hand.skeleton import BONES, HANDS, JOINTS, TIPS
from handroll.tables import State

COLOURS = {"left": (64, 196, 255), "right": (255, 160, 48)}
"""RGB of each hand. The two colours are distinguishable with all common types of colour blindness."""

OUTLINE, TIP = (12, 16, 24), (255, 255, 255)
"""RGB of the outline and of the fingertips."""

OPACITY = {State.OBSERVED: 0.85, State.INTERPOLATED: 0.45}
"""Opacity of hands in observed and in interpolated frames, 0..1."""

RADIUS_OF_PALM = np.array([0.085, *[0.062] * 15, *[0.045] * 5])
"""Radius of the dot of each joint (wrist, 15 finger joints, 5 tips), in palm lengths in the image."""

BONE_WIDTH = 0.72
"""Half width of a bone at each end, relative to the radius of the joint there."""

BONE_SHADE = 0.82
"""Brightness of the bones relative to that of the joints."""

# The length of the palm is the distance between these joints.
_PALM = JOINTS.index("wrist"), JOINTS.index("middle1")

# Fractional bits of OpenCV's fixed-point coordinates: sixteenths of a pixel.
_SHIFT = 4

# Directions (n, xy 2) from the centre of a circle, which is drawn as a polygon.
_TURN = np.linspace(0, 2 * np.pi, 13)[:-1]
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def draw_hand(image, joints_px, hand, state):
    """Draw one hand on a uint8 RGB image (height, width, 3), in place.

    Parameters
    ----------
    image : uint8 array (height, width, 3)
    joints_px : array (joint 21, xy 2)
        Positions of `skeleton.JOINTS` in pixels of this image. If a position is NaN, the hand is not drawn.
    hand : {"left", "right"}
    state : State
        Interpolated hands are drawn paler than observed ones; hidden hands are not drawn.
    """
    if state == State.HIDDEN or not np.isfinite(joints_px).all():
        return
    palm = np.linalg.norm(joints_px[_PALM[1]] - joints_px[_PALM[0]])
    radius = np.maximum(RADIUS_OF_PALM * palm, 1.2)
    low = np.floor(joints_px.min(axis=0) - 2 * radius.max() - 2).astype(int)
    high = np.ceil(joints_px.max(axis=0) + 2 * radius.max() + 2).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, (image.shape[1], image.shape[0]))
    if (high <= low).any():
        return
    under = image[low[1] : high[1], low[0] : high[0]]
    over = under.copy()
    points = joints_px - low
    edge = max(1.0, 0.02 * palm)
    colour = COLOURS[hand]
    for grow, shade in ((edge, OUTLINE), (0.0, tuple(BONE_SHADE * part for part in colour))):
        for parent, joint in BONES:
            _draw_bone(over, points[parent], points[joint], BONE_WIDTH * radius[parent] + grow, BONE_WIDTH * radius[joint] + grow, shade)
    for joint, point in enumerate(points):
        _draw_dot(over, point, radius[joint] + 0.6 * edge, OUTLINE)
        _draw_dot(over, point, radius[joint], TIP if joint in TIPS else colour)
    cv2.addWeighted(over, OPACITY[state], under, 1.0 - OPACITY[state], 0.0, dst=under)


def draw_hands(image, joints_px, states):
    """Draw both hands of a frame with `draw_hand`; joints_px (hand 2, joint 21, xy 2), states (hand 2,)."""
    for side, hand in enumerate(HANDS):
        draw_hand(image, joints_px[side], hand, State(int(states[side])))


def _draw_bone(image, start, end, start_radius, end_radius, colour):
    """Draw a bone: the convex hull of two circles with the given radii, as a polygon."""
    outline = np.concatenate([start + _CIRCLE * start_radius, end + _CIRCLE * end_radius])
    hull = cv2.convexHull((outline * 2**_SHIFT).astype(np.int32))
    cv2.fillConvexPoly(image, hull, colour, cv2.LINE_AA, _SHIFT)


def _draw_dot(image, centre, radius, colour):
    """Draw a filled circle; centre (x, y) and radius in pixels."""
    x, y = (centre * 2**_SHIFT).astype(int).tolist()
    cv2.circle(image, (x, y), round(radius * 2**_SHIFT), colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)
