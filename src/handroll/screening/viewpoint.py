"""Measure the viewpoint: the angle between the camera's axis and straight down, from the keyboard or from the hands.

A registered keyboard gives the exact angle. Without a registered keyboard, the appearance of the hands gives an estimate. It assumes
that playing hands are level, with the fingers pointing to the fallboard and bent down to the keys. Two angles are estimated:

- Along the hand. Viewed from the player's side, the fingers point away from the camera and appear shorter relative to the palm. Viewed
  from the fallboard's side, they appear longer. The ratio of finger length to palm length decreases about linearly with the angle.
- Across the hand. Viewed from the left or right, the palm appears narrower by the cosine of the angle, and the detector's 3D landmarks
  are rotated (roll). On real hands, this roll angle has a large error, with opposite signs for the left and the right hand. The mean of
  both hands is correct.
"""

import numpy as np

MIN_HANDS = 8
"""Minimum number of detected hands for an estimate."""

MIN_HANDS_OF_A_SIDE = 3
"""Minimum number of hands of one side, left or right, for the mean of that side to be used."""

ASSUMED_FOCAL_WIDTHS = 0.9
"""Assumed focal length of a typical phone or webcam, in frame widths. Only the directions from the camera to the hands depend on it."""

LEVEL_DEG, DEG_PER_RATIO = 69.3, -83.8
"""Coefficients of the angle along the hand, degrees: `LEVEL_DEG` + `DEG_PER_RATIO` x (finger length / palm length in the image). Fitted by
least squares to 36 synthetic videos and two real videos from above (weight 3); root mean square error 6.9 degrees."""

LEVEL_WIDTH = 0.72
"""Ratio of palm width to palm length in the image of a hand viewed from above. Measured: 0.72 to 0.88 (synthetic), 0.65 and 0.82 (real)."""

# Indices of MediaPipe's hand landmarks: wrist, and the knuckles of index and little finger.
_WRIST, _INDEX, _PINKY = 0, 5, 17

# Indices of MediaPipe's hand landmarks: knuckles and tips of index, middle, ring and little finger.
_KNUCKLES, _TIPS = (5, 9, 13, 17), (8, 12, 16, 20)


def measure_viewpoint(view=None, hands=None):
    """Measure the tilt of the camera, and the side of the piano from which it views the keyboard.

    Parameters
    ----------
    view : object, optional
        Camera of an accepted keyboard registration, such as `RegisteredKeyboard.view`; has `extrinsics` (`camera.Extrinsics`).
    hands : object, optional
        Hands in sampled frames, such as `detection.frame_sampling.HandSamples`. Attributes: `width_px`, `height_px`; `right` (hand,),
        above 0.5 for right hands; `landmarks_px` (hand, landmark 21, xy 2); `landmarks_m` (hand, landmark 21, xyz 3).

    Returns
    -------
    dict
        `tilt_deg`: 0 is straight down, 90 horizontal; None if unknown. `tilt_source`: "keyboard", "hands" or "none". `tilt_side`: side
        of the camera: "player", "front" (behind the fallboard), "left" (bass) or "right" (treble); None without a tilt.
        `hands_tilt_deg`: tilt estimated from the hands alone; None if unknown.
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
    """Return the angle between straight down and a camera's axis (xyz 3) in the keyboard frame, degrees; None without an axis."""
    return None if axis is None else float(np.degrees(np.arccos(np.clip(-axis[2] / np.linalg.norm(axis), -1.0, 1.0))))


def side_of(axis):
    """Return the side of the piano at which the camera is, from its axis (xyz 3) in the keyboard frame; None without an axis."""
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
        Same as in `measure_viewpoint`.

    Returns
    -------
    array (xyz 3) or None
        Unit vector in the keyboard frame; None with fewer than `MIN_HANDS` hands.
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

    The z axis of these landmarks is the ray from the camera to the hand. The result is corrected to the axis of the camera.

    Parameters
    ----------
    hands : object
        Same as in `measure_viewpoint`.

    Returns
    -------
    array (hand, axis 3)
        Components of the unit vector: to the right, along the fingers, and out of the back of the hand.
    """
    solid = np.asarray(hands.landmarks_m, dtype=np.float64)
    forward = solid[:, _KNUCKLES].mean(axis=1) - solid[:, _WRIST]
    back = np.cross(solid[:, _PINKY] - solid[:, _WRIST], solid[:, _INDEX] - solid[:, _WRIST])
    back *= np.where(np.asarray(hands.right) > 0.5, 1.0, -1.0)[:, None]
    forward, back = (v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12) for v in (forward, back))
    frame = np.stack([np.cross(forward, back), forward, back], axis=1)

    centre = np.asarray(hands.landmarks_px, dtype=np.float64)[:, (_WRIST, *_KNUCKLES)].mean(axis=1)
    ray = (centre - np.array([hands.width_px, hands.height_px]) / 2.0) / (ASSUMED_FOCAL_WIDTHS * hands.width_px)
    # The frame of the landmarks is the camera frame after the smallest rotation that makes the ray to the hand its z axis. If the ray has
    # the direction (x, y, 1) in the camera frame, the camera's axis has the direction (-x, -y, 1) in the frame of the landmarks.
    axis = np.concatenate([-ray, np.ones_like(ray[:, :1])], axis=-1)
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    return np.einsum("hij,hj->hi", frame, axis)
