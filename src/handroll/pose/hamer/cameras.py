"""Convert HaMeR's crop cameras to the camera of the frame, and its mirrored hands to true left hands.

HaMeR predicts a right hand in a crop (`crops`) and a weak-perspective camera `pred_cam` = (s, tx, ty): for points (X, Y) of the hand in
metres, s (X + tx) and s (Y + ty) are -1 to 1 inside the crop. The perspective camera of a crop has a focal length of 5000 px for a side of
256 px. HaMeR's camera of a whole frame has the same ratio of focal length to longer side (`camera.hamer_camera`). These focal lengths are a
convention: the predicted depth is the true depth times the ratio of HaMeR's focal length to the true one. `translation_in` estimates the
translation in the frame of a real camera.
"""

import numpy as np

from handroll.camera import HAMER_CROP_PX, HAMER_FOCAL_PX, hamer_camera
from handroll.hand.kinematics import MIRROR

FOCAL_RATIO = HAMER_FOCAL_PX / HAMER_CROP_PX
"""Ratio of the focal length of HaMeR's camera to the side of the crop."""

# HaMeR adds this to denominators (px) to avoid a division by 0.
_TINY_PX = 1e-9

STEPS = 6
"""Number of steps of `translation_in`. Four steps are accurate to a micrometre if keypoints have errors of 15 px, and two
steps if they have errors of 2 px."""

# Minimum number of keypoints from which a translation is estimated.
_MIN_KEYPOINTS = 2


def mirrored_rotations(matrices):
    """Mirror the rotation matrices R (..., 3, 3) of a hand along x: M R M with M = diag(-1, 1, 1)."""
    return np.asarray(matrices, dtype=np.float64) * np.outer(MIRROR, MIRROR)


def crop_camera_translation(pred_cam):
    """Return the translation (..., xyz 3) of a hand in the frame of its crop's camera, metres, from `pred_cam` (..., 3)."""
    pred_cam = np.asarray(pred_cam, dtype=np.float64)
    depth = 2.0 * HAMER_FOCAL_PX / (HAMER_CROP_PX * pred_cam[..., 0] + _TINY_PX)
    return np.concatenate([pred_cam[..., 1:], depth[..., None]], axis=-1)


def keypoints_in_crop(joints_m, pred_cam):
    """Project joints to HaMeR's 2D keypoints in the crop, in the units of its training.

    Parameters
    ----------
    joints_m : array (..., joint, xyz 3)
        Joints of the predicted right hand, without a translation.
    pred_cam : array (..., 3)
        Predicted camera of the same hand, in its crop. A left hand is still mirrored.

    Returns
    -------
    array (..., joint, xy 2)
        Offsets from the crop's middle as shares of its side: -0.5 to 0.5 inside the crop. NaN where an input is NaN.
    """
    points = np.asarray(joints_m, dtype=np.float64) + crop_camera_translation(pred_cam)[..., None, :]
    return FOCAL_RATIO * points[..., :2] / points[..., 2:]


def keypoints_in_frame(keypoints, centre_px, size_px, left):
    """Convert keypoints in crops to pixels of the frame.

    Parameters
    ----------
    keypoints : array (..., joint, xy 2)
        Result of `keypoints_in_crop`.
    centre_px : array (..., xy 2)
        Centre of the crop in the frame, from `crops.square_of_box`.
    size_px : array (...)
        Side of the crop in the frame, from `crops.square_of_box`.
    left : bool or array (...)
        Whether the crop was mirrored, because it shows a left hand.

    Returns
    -------
    array (..., joint, xy 2), px
    """
    unmirrored = np.asarray(keypoints, dtype=np.float64) * _sign(left)[..., None, :2]
    return np.asarray(centre_px, dtype=np.float64)[..., None, :] + np.asarray(size_px, dtype=np.float64)[..., None, None] * unmirrored


def full_frame_translation(pred_cam, centre_px, size_px, width_px, height_px, left):
    """Return the translation of hands in the frame of HaMeR's conventional camera (`camera.hamer_camera`).

    With this translation, the hand projects to within about a pixel of `keypoints_in_frame`. The projection is not exact, because the
    optical axis of the crop's camera goes through the crop's middle.

    Parameters
    ----------
    pred_cam : array (..., 3)
        Predicted camera of each hand, in its crop. A left hand is still mirrored.
    centre_px : array (..., xy 2)
        Centre of the crop in the frame, from `crops.square_of_box`.
    size_px : array (...)
        Side of the crop in the frame, from `crops.square_of_box`.
    width_px, height_px : int
        Size of the frame.
    left : bool or array (...)
        Whether the crop was mirrored, because it shows a left hand.

    Returns
    -------
    array (..., xyz 3), metres, except that the depth is not metric
        Translation of the true hand. Where `left` is true, the hand is mirrored back to a left one.
    """
    pred_cam = np.asarray(pred_cam, dtype=np.float64)
    span = np.asarray(size_px, dtype=np.float64) * pred_cam[..., 0] + _TINY_PX
    camera = hamer_camera(width_px, height_px)
    xy = pred_cam[..., 1:] * _sign(left)[..., :2] + 2.0 * (centre_px - camera.centre_px) / span[..., None]
    depth = np.broadcast_to((2.0 * camera.focal_px / span)[..., None], (*xy.shape[:-1], 1))
    return np.concatenate([xy, depth], axis=-1)


def _sign(left):
    """Return factors (..., xyz 3) that mirror a left hand back: -1 for x where `left` is true, else 1."""
    return np.where(np.asarray(left, dtype=bool)[..., None], MIRROR, 1.0)


def translation_in(camera, joints_m, keypoints_px, start_m):
    """Estimate the translation of hands in the camera frame for which the projected joints are closest to the keypoints.

    The sum of squared distances in pixels is minimised by Gauss-Newton steps. A step that does not lower the cost is halved. The steps
    start at `start_m` or at the linear solution along the keypoints' rays, whichever has the lower cost. So a wrong `start_m`, such as one
    behind the camera, is replaced.

    Parameters
    ----------
    camera : handroll.camera.Camera
    joints_m : array (hand, joint 21, xyz 3)
        Joints of the posed hand, rotated to the camera frame, without a translation.
    keypoints_px : array (hand, joint 21, xy 2)
        Keypoints of the same joints in the same order. Keypoints with NaN are ignored.
    start_m : array (hand, xyz 3)
        Initial translation; NaN if there is none. An example is the result of `full_frame_translation`, with its depth multiplied by the
        ratio of `camera.focal_px` to HaMeR's focal length.

    Returns
    -------
    array (hand, xyz 3), metres
        NaN for hands with fewer than two keypoints or with a NaN joint, and where no translation in front of the camera was found.
    """
    joints, keypoints = np.asarray(joints_m, dtype=np.float64), np.asarray(keypoints_px, dtype=np.float64)
    valid = np.isfinite(keypoints).all(axis=-1)
    problem = camera, joints, np.where(valid[..., None], keypoints, 0.0), valid
    with np.errstate(all="ignore"):  # the cost of a start behind the camera is not finite; such a start is replaced
        translation, linear = np.array(start_m, dtype=np.float64), _translation_along_rays(*problem)
        cost, linear_cost = _cost(*problem, translation), _cost(*problem, linear)
        translation = np.where((linear_cost < cost)[:, None], linear, translation)
        cost = np.minimum(cost, linear_cost)
        length = np.ones(len(joints))
        for _ in range(STEPS):
            trial = translation + length[:, None] * _gauss_newton_step(*problem, translation)
            trial_cost = _cost(*problem, trial)
            better = trial_cost < cost
            translation = np.where(better[:, None], trial, translation)
            cost = np.where(better, trial_cost, cost)
            length = np.where(better, 1.0, length / 2.0)
    found = np.isfinite(cost) & (valid.sum(axis=-1) >= _MIN_KEYPOINTS)
    return np.where(found[:, None], translation, np.nan)


def _cost(camera, joints, keypoints, valid, translation):
    """Return the sum (hand,), px^2, of the squared distances of projected joints from keypoints; infinite if a joint is behind the camera.

    For `joints`, `keypoints` and `translation`, see `translation_in`. `valid` (hand, joint 21) is true for keypoints that are used.
    """
    residual = camera.project(joints + translation[:, None]) - keypoints
    # 0 * residual is NaN for a joint behind the camera, so such a joint counts even without a keypoint.
    cost = np.where(valid[..., None], residual**2, 0.0 * residual).sum(axis=(1, 2))
    return np.where(np.isfinite(cost), cost, np.inf)


def _translation_along_rays(camera, joints, keypoints, valid):
    """Return the translation t (hand, xyz 3) that moves the joints closest to the rays (u, v, 1) of their keypoints.

    For joints (X, Y, Z), the equations X + t_x = u (Z + t_z) and Y + t_y = v (Z + t_z) are solved by least squares. For the arguments, see
    `_cost`.
    """
    rays = camera.rays(keypoints)[..., :2]
    rows = np.concatenate([np.broadcast_to(np.eye(2), (*rays.shape, 2)), -rays[..., None]], axis=-1)
    return _solve_least_squares(rows, rays * joints[..., 2:] - joints[..., :2], valid)


def _gauss_newton_step(camera, joints, keypoints, valid, translation):
    """Return the Gauss-Newton step of the translation (hand, xyz 3), in metres. For the arguments, see `_cost`."""
    points = joints + translation[:, None]
    u, v = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
    distortion = 1.0 + camera.k1 * (u**2 + v**2)
    # Derivatives of the distorted point (x, y): `uu` is dx/du, `uv` is dx/dv and dy/du, `vv` is dy/dv.
    uu, uv, vv = distortion + 2.0 * camera.k1 * u**2, 2.0 * camera.k1 * u * v, distortion + 2.0 * camera.k1 * v**2
    jacobian = np.stack([uu, uv, -uu * u - uv * v, uv, vv, -uv * u - vv * v], axis=-1)
    rows = (camera.focal_px / points[..., 2:] * jacobian).reshape(*u.shape, 2, 3)
    return _solve_least_squares(rows, keypoints - camera.project(points), valid)


def _solve_least_squares(rows, values, valid):
    """Return the least-squares solutions x (hand, 3) of rows (hand, joint, 2, 3) @ x = values (hand, joint, 2), for joints in `valid`.

    `valid` is a bool array (hand, joint). A hand without a solution gets 0.
    """
    size = len(rows), 2 * valid.shape[1]
    rows = np.where(valid[..., None, None], rows, 0.0).reshape(*size, 3)
    values = np.where(valid[..., None], values, 0.0).reshape(*size, 1)
    transposed = rows.swapaxes(1, 2)
    matrix, right = transposed @ rows, transposed @ values
    solvable = np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(right).all(axis=(1, 2)) & (valid.sum(axis=1) >= _MIN_KEYPOINTS)
    matrix, right = np.where(solvable[:, None, None], matrix, np.eye(3)), np.where(solvable[:, None, None], right, 0.0)
    # If all keypoints coincide, the depth is undetermined. A small diagonal keeps the matrix from being singular.
    damping = 1e-12 * np.trace(matrix, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    return np.linalg.solve(matrix + damping, right)[..., 0]
