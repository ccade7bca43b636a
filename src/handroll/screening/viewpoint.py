"""Measure the viewpoint: the angle between the camera's axis and straight down, from the keyboard or from the hands.

A registered keyboard gives the exact angle. Without one, the appearance of the hands gives an estimate, because hands play level, with
the fingers pointing to the fallboard and bent down to the keys:

- Along the hand. From the player's side, the fingers appear shorter relative to the palm, because they point away from the camera; from
  the front they appear longer. The ratio decreases about linearly with the angle.
- Across the hand. From the left or right, the palm appears narrower, by the cosine of the angle, and the detector's 3D landmarks are
  rotated. Their roll angle is much too large on real hands, but mirrored between the hands: the mean of both hands is correct.
"""

import numpy as np

MIN_HANDS = 8
"""Minimum number of detected hands for an estimate."""

MIN_HANDS_OF_A_SIDE = 3
"""Minimum number of left hands, and of right hands, for the mean of both sides."""

ASSUMED_FOCAL_WIDTHS = 0.9
"""Focal length, in frame widths, of a typical phone or webcam; only the directions to the hands depend on it."""

LEVEL_DEG, DEG_PER_RATIO = 69.3, -83.8
"""Angle along the hand = the first + the second x (finger length / palm length in the image), degrees. Fitted to 36 synthetic videos and
two real ones from above (least squares, the real ones with weight 3); root mean square error 6.9 degrees."""

LEVEL_WIDTH = 0.72
"""Palm width / palm length in the image of a hand from above: 0.72 to 0.88 (synthetic), 0.65 and 0.82 (real)."""

_WRIST, _INDEX, _PINKY = 0, 5, 17

# MediaPipe's landmarks.
_KNUCKLES, _TIPS = (5, 9, 13, 17), (8, 12, 16, 20)


def measure_viewpoint(view=None, hands=None):
    """Measure the tilt of the camera and the side that it views the keyboard from.

    Parameters
    ----------
    view : object, optional
        Camera of a registered keyboard without a problem, such as `RegisteredKeyboard.view`: `extrinsics` (`camera.Extrinsics`).
    hands : object, optional
        Hands in sampled frames, such as `detection.frame_sampling.HandSamples`: `width_px`, `height_px`, `right` (hand,), `landmarks_px`
        (hand, landmark 21, xy 2), `landmarks_m` (hand, landmark 21, xyz 3).

    Returns
    -------
    dict
        `tilt_deg`: 0 is straight down, 90 horizontal; None if unknown. `tilt_source`: "keyboard", "hands" or "none". `tilt_side`: position
        of the camera: "player", "front" (behind the fallboard), "left" (bass) or "right"; None without a tilt. `hands_tilt_deg`:
        estimate from the hands alone, also with a registered keyboard; None if unknown.
    """
    hands_axis = axis_from_hands(hands) if hands is not None else None
    axis, source = (hands_axis, "hands") if view is None else (view.extrinsics.rotation[2], "keyboard")
    return {
        "tilt_deg": tilt_deg(axis),
        "tilt_source": "none" if axis is None else source,
        "tilt_side": side_of(axis),
        "hands_tilt_deg": tilt_deg(hands_axis),
    }


def tilt_deg(axis):
    """Return the angle between a camera's axis (xyz 3), keyboard frame, and straight down, degrees; None without an axis."""
    return None if axis is None else float(np.degrees(np.arccos(np.clip(-axis[2] / np.linalg.norm(axis), -1.0, 1.0))))


def side_of(axis):
    """Return the side at which a camera with this axis (xyz 3), keyboard frame, is; None without an axis."""
    if axis is None:
        return None
    along, across = float(axis[0]), float(axis[1])
    if abs(across) >= abs(along):
        return "player" if across >= 0.0 else "front"
    return "left" if along > 0.0 else "right"


def axis_from_hands(hands):
    """Estimate the camera's axis from playing hands.

    Parameters
    ----------
    hands : object
        As for `measure_viewpoint`.

    Returns
    -------
    array (xyz 3) or None
        Unit vector, keyboard frame; None with fewer than `MIN_HANDS` hands.
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
    axes = axes_in_hands(hands)
    sides = [axes[is_right == side].mean(axis=0) for side in (False, True) if (is_right == side).sum() >= MIN_HANDS_OF_A_SIDE]
    mean = np.mean(sides, axis=0) if sides else axes.mean(axis=0)
    roll = np.arcsin(np.clip(mean[0] / max(np.linalg.norm(mean), 1e-9), -1.0, 1.0))
    if len(sides) == 2:
        across = 0.5 * (across + abs(roll))
    across = np.copysign(across, roll)
    return np.array([np.sin(across), np.cos(across) * np.sin(along), -np.cos(across) * np.cos(along)])


def axes_in_hands(hands):
    """Return the camera's axis in the frame of each hand, from the detector's 3D landmarks.

    These landmarks are in a frame that looks along the ray to the hand; the result is relative to the camera's axis instead.

    Parameters
    ----------
    hands : object
        As for `measure_viewpoint`.

    Returns
    -------
    array (hand, 3)
        Components to the right, along the fingers and out of the back of the hand.
    """
    solid = np.asarray(hands.landmarks_m, dtype=np.float64)
    forward = solid[:, _KNUCKLES].mean(axis=1) - solid[:, _WRIST]
    back = np.cross(solid[:, _PINKY] - solid[:, _WRIST], solid[:, _INDEX] - solid[:, _WRIST])
    back *= np.where(np.asarray(hands.right) > 0.5, 1.0, -1.0)[:, None]
    forward, back = (v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12) for v in (forward, back))
    frame = np.stack([np.cross(forward, back), forward, back], axis=1)

    centre = np.asarray(hands.landmarks_px, dtype=np.float64)[:, (_WRIST, *_KNUCKLES)].mean(axis=1)
    ray = (centre - np.array([hands.width_px, hands.height_px]) / 2.0) / (ASSUMED_FOCAL_WIDTHS * hands.width_px)
    # The smallest rotation from the camera's axis to the ray also rotates the ray's mirror image (about the axis) to the axis.
    axis = np.concatenate([-ray, np.ones_like(ray[:, :1])], axis=-1)
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    return np.einsum("hij,hj->hi", frame, axis)
