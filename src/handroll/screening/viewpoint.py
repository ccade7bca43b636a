"""Is the keyboard seen from above? The angle between the camera's axis and straight down, from the keyboard or from the hands.

A registered keyboard tells it exactly. Without one it is taken from how the hands appear, since they play level, fingers
towards the fallboard and bent down to the keys:

- Along the hand. Seen from the player's side, the fingers behind the knuckles shorten against the palm, as they lead away from the
  camera; from the front they lengthen. The ratio falls about linearly with the angle.
- Across the hand. Seen from the left or right, the palm gets narrower as the angle's cosine; and the detector's 3D landmarks turn. The
  roll that they give is much too large on real hands, but mirrored: the mean of both hands is right.
"""

import numpy as np

from handroll.reasons import Reason

SCORES = ("tilt_deg", "tilt_source", "tilt_side", "hands_tilt_deg")

MIN_HANDS = 8
"""Fewest hands from which the tilt is taken."""

ASSUMED_FOCAL_WIDTHS = 0.9
"""Focal length in picture widths, a telephone's or webcam's; only the direction to each hand depends on it."""

LEVEL_DEG, DEG_PER_RATIO = 69.3, -83.8
"""Angle along the hand = the first + the second x (length of the fingers / of the palm in the picture). Fitted to 36 synthetic videos
and two real ones seen from above (least squares, the real ones three times); 6.9 degrees root mean square."""

LEVEL_WIDTH = 0.72
"""Width of the palm over its length in the picture, of a hand seen from above: 0.72 to 0.88 (synthetic), 0.65 and 0.82 (real)."""

_WRIST, _INDEX, _PINKY = 0, 5, 17
_KNUCKLES, _TIPS = (5, 9, 13, 17), (8, 12, 16, 20)
# MediaPipe's landmarks.
_LEAST_OF_A_SIDE = 3
# So many left, and right, hands make a mean of both.


def measure(view=None, hands=None):
    """From where the keys are seen.

    Parameters
    ----------
    view : object, optional
        The camera of a registered keyboard without a problem, such as `RegisteredKeyboard.view`: `extrinsics` (`camera.Extrinsics`).
    hands : object, optional
        Hands in sampled frames, a `detection.frame_sampling.HandSamples`: `width_px`, `height_px`, `right` (hand,), `landmarks_px`
        (hand, landmark 21, xy 2), `landmarks_m` (hand, landmark 21, xyz 3).

    Returns
    -------
    dict
        `tilt_deg`: 0 looks straight down, 90 along the floor; None where nothing tells it. `tilt_source`: "keyboard", "hands" or
        "none". `tilt_side`: where the camera stands: "player", "front" (beyond the fallboard), "left" (bass) or "right"; None
        without a tilt. `hands_tilt_deg`: what the hands alone say, also where the keyboard is known; None where they do not.
    """
    by_hands = axis_from_hands(hands) if hands is not None else None
    axis, source = (by_hands, "hands") if view is None else (view.extrinsics.rotation[2], "keyboard")
    return {
        "tilt_deg": tilt_deg(axis),
        "tilt_source": "none" if axis is None else source,
        "tilt_side": side_of(axis),
        "hands_tilt_deg": tilt_deg(by_hands),
    }


def tilt_deg(axis):
    """Angle between the camera's axis (xyz 3), keyboard frame, and straight down, degrees; None without an axis."""
    return None if axis is None else float(np.degrees(np.arccos(np.clip(-axis[2] / np.linalg.norm(axis), -1.0, 1.0))))


def side_of(axis):
    """Where a camera with this axis (xyz 3), keyboard frame, stands: it looks away from there; None without an axis."""
    if axis is None:
        return None
    along, across = float(axis[0]), float(axis[1])
    if abs(across) >= abs(along):
        return "player" if across >= 0.0 else "front"
    return "left" if along > 0.0 else "right"


def axis_from_hands(hands):
    """The camera's axis as unit vector (xyz 3) of the keyboard frame, from hands that play; None where there are too few.

    Parameters
    ----------
    hands : as of `measure`

    Returns
    -------
    array (3,) or None
    """
    if len(hands.right) < MIN_HANDS:
        return None
    flat, is_right = np.asarray(hands.landmarks_px, dtype=np.float64), np.asarray(hands.right) > 0.5
    palm = flat[:, _KNUCKLES].mean(axis=1) - flat[:, _WRIST]
    fingers = flat[:, _TIPS].mean(axis=1) - flat[:, _KNUCKLES].mean(axis=1)
    length = np.maximum(np.linalg.norm(palm, axis=-1), 1.0)
    ratio = np.median((fingers * palm).sum(axis=-1) / length**2)
    along = np.radians(np.clip(LEVEL_DEG + DEG_PER_RATIO * ratio, -89.0, 89.0))

    width = np.median(np.linalg.norm(flat[:, _INDEX] - flat[:, _PINKY], axis=-1) / length)
    across = np.arccos(min(width / LEVEL_WIDTH, 1.0))
    in_hand = axes_in_hands(hands)
    sides = [in_hand[is_right == side].mean(axis=0) for side in (False, True) if (is_right == side).sum() >= _LEAST_OF_A_SIDE]
    mean = np.mean(sides, axis=0) if sides else in_hand.mean(axis=0)
    turned = np.arcsin(np.clip(mean[0] / max(np.linalg.norm(mean), 1e-9), -1.0, 1.0))
    if len(sides) == 2:
        across = 0.5 * (across + abs(turned))
    across = np.copysign(across, turned)
    return np.array([np.sin(across), np.cos(across) * np.sin(along), -np.cos(across) * np.cos(along)])


def axes_in_hands(hands):
    """The camera's axis in the frame of each hand by the detector's 3D landmarks, (hand, 3): right, fingers, back of the hand.

    Those landmarks are in a frame that looks along the ray to the hand, so the ray is taken out.
    """
    solid = np.asarray(hands.landmarks_m, dtype=np.float64)
    forward = solid[:, _KNUCKLES].mean(axis=1) - solid[:, _WRIST]
    back = np.cross(solid[:, _PINKY] - solid[:, _WRIST], solid[:, _INDEX] - solid[:, _WRIST])
    back *= np.where(np.asarray(hands.right) > 0.5, 1.0, -1.0)[:, None]
    forward, back = (v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12) for v in (forward, back))
    frame = np.stack([np.cross(forward, back), forward, back], axis=1)

    at = np.asarray(hands.landmarks_px, dtype=np.float64)[:, (_WRIST, *_KNUCKLES)].mean(axis=1)
    ray = (at - np.array([hands.width_px, hands.height_px]) / 2.0) / (ASSUMED_FOCAL_WIDTHS * hands.width_px)
    # The smallest turn that takes the axis to the ray takes the ray's mirror image in the axis to the axis.
    axis = np.concatenate([-ray, np.ones_like(ray[:, :1])], axis=-1)
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    return np.einsum("hij,hj->hi", frame, axis)


def decide(scores, max_tilt_deg, side_view_deg=55.0):
    """Compare with the greatest tilt; it is accepted itself, and so is an unknown one.

    Parameters
    ----------
    scores : dict
        Of `measure`.
    max_tilt_deg : float
    side_view_deg : float
        From here on the view is called one from the side.

    Returns
    -------
    tuple of Reason
        Empty where the keys are seen from above.
    """
    tilt = scores["tilt_deg"]
    if tilt is None or tilt <= max_tilt_deg:
        return ()
    return (Reason.SIDE_VIEW,) if tilt >= side_view_deg else (Reason.TILTED_VIEW,)
