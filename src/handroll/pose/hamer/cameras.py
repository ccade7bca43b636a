"""From HaMeR's camera of a crop to cameras of the frame, and from its mirrored world to true left hands.

HaMeR knows a hand as a right hand in a crop (`crops`): `pred_cam` = (s, tx, ty) says that s (X + tx) spans -1 to 1 over the crop
for a point X in metres. Its perspective has a focal length of 5000 px for a crop of 256 px, and for a frame as many times its longer
side (`camera.hamer_camera`): a convention, so its depth is the true depth times its focal length over the true one. `translation_in`
puts a hand before a real camera.
"""

import numpy as np

from handroll.camera import HAMER_CROP_PX, HAMER_FOCAL_PX, hamer_camera
from handroll.hand.kinematics import MIRROR

FOCAL_RATIO = HAMER_FOCAL_PX / HAMER_CROP_PX
_TINY_PX = 1e-9  # HaMeR's own guard against a scale of 0

STEPS = 6
"""Steps of `translation_in`. Four come within a micrometre of the least cost with keypoints that are 15 px off, two with 2 px."""

_LEAST_POINTS = 2


def mirrored_camera(pred_cam):
    """`pred_cam` (..., 3) of a hand seen in a mirror: tx negated. To be done before any conversion to the frame."""
    return np.asarray(pred_cam, dtype=np.float64) * [1.0, -1.0, 1.0]


def mirrored_rotations(matrices):
    """Rotation matrices (..., 3, 3) of a hand seen in a mirror: M R M with M = diag(-1, 1, 1)."""
    return np.asarray(matrices, dtype=np.float64) * np.outer(MIRROR, MIRROR)


def crop_camera_translation(pred_cam):
    """Translation (..., xyz 3), metres, of a hand before the camera of its crop, from `pred_cam` (..., 3)."""
    pred_cam = np.asarray(pred_cam, dtype=np.float64)
    depth = 2.0 * HAMER_FOCAL_PX / (HAMER_CROP_PX * pred_cam[..., 0] + _TINY_PX)
    return np.concatenate([pred_cam[..., 1:], depth[..., None]], axis=-1)


def keypoints_in_crop(joints_m, pred_cam):
    """HaMeR's 2D keypoints: the joints as its training compares them with the picture.

    Parameters
    ----------
    joints_m : array (..., joint, xyz 3)
        Of the right hand that the network saw, without a translation.
    pred_cam : array (..., 3)
        Of the same, not un-mirrored.

    Returns
    -------
    array (..., joint, xy 2)
        Shares of the crop's side from its middle, -0.5 to 0.5 inside. NaN where an input is.
    """
    points = np.asarray(joints_m, dtype=np.float64) + crop_camera_translation(pred_cam)[..., None, :]
    return FOCAL_RATIO * points[..., :2] / points[..., 2:]


def keypoints_in_frame(keypoints, centre_px, size_px, left):
    """Pixels of the frame of keypoints in crops.

    Parameters
    ----------
    keypoints : array (..., joint, xy 2)
        As `keypoints_in_crop` gives.
    centre_px : array (..., xy 2)
    size_px : array (...)
        Both as `crops.square_of_box` gives.
    left : bool or array (...)
        The crop was mirrored.

    Returns
    -------
    array (..., joint, xy 2), px
    """
    seen = np.asarray(keypoints, dtype=np.float64) * _side(left)[..., None, :2]
    return np.asarray(centre_px, dtype=np.float64)[..., None, :] + np.asarray(size_px, dtype=np.float64)[..., None, None] * seen


def full_frame_translation(pred_cam, centre_px, size_px, width_px, height_px, left):
    """Translation of hands in the frame under HaMeR's convention (`camera.hamer_camera`).

    Projections agree with `keypoints_in_frame` to first order only, about a pixel: the crop's camera looks along the crop's middle.

    Parameters
    ----------
    pred_cam : array (..., 3)
        As the network gives it, not un-mirrored.
    centre_px : array (..., xy 2)
    size_px : array (...)
    width_px, height_px : int
        Of the frame.
    left : bool or array (...)

    Returns
    -------
    array (..., xyz 3), metres in name; the depth is not metric
        Of the true hand: of the un-mirrored left hand where `left`.
    """
    pred_cam = np.asarray(pred_cam, dtype=np.float64)
    span = np.asarray(size_px, dtype=np.float64) * pred_cam[..., 0] + _TINY_PX
    camera = hamer_camera(width_px, height_px)
    beside = pred_cam[..., 1:] * _side(left)[..., :2] + 2.0 * (centre_px - camera.centre_px) / span[..., None]
    depth = np.broadcast_to((2.0 * camera.focal_px / span)[..., None], (*beside.shape[:-1], 1))
    return np.concatenate([beside, depth], axis=-1)


def _side(left):
    """(..., 3): what un-mirrors where `left`."""
    return np.where(np.asarray(left, dtype=bool)[..., None], MIRROR, 1.0)


def translation_in(camera, joints_m, keypoints_px, start_m):
    """Translation of hands before a real camera: their joints project as near to their keypoints as may be.

    Least squares in pixels by Gauss-Newton steps, each halved until it helps. They begin at `start_m` or at the linear solution along the
    keypoints' rays, whichever projects nearer, so that a start behind the camera or far away does no harm.

    Parameters
    ----------
    camera : handroll.camera.Camera
    joints_m : array (hand, joint 21, xyz 3)
        Posed, in the camera's directions, without a translation.
    keypoints_px : array (hand, joint 21, xy 2)
        Of the same joints in the same order. NaN ones don't count.
    start_m : array (hand, xyz 3)
        For instance `full_frame_translation` with its depth times `camera.focal_px` / HaMeR's; NaN for none.

    Returns
    -------
    array (hand, xyz 3), metres
        NaN where fewer than two keypoints count, a joint is NaN, or no place before the camera was found.
    """
    joints, keypoints = np.asarray(joints_m, dtype=np.float64), np.asarray(keypoints_px, dtype=np.float64)
    counts = np.isfinite(keypoints).all(axis=-1)
    known = camera, joints, np.where(counts[..., None], keypoints, 0.0), counts
    with np.errstate(all="ignore"):  # what a wild start gives is not finite, costs infinitely much, and is left
        place, linear = np.array(start_m, dtype=np.float64), _along_rays(*known)
        cost, linear_cost = _cost(*known, place), _cost(*known, linear)
        place = np.where((linear_cost < cost)[:, None], linear, place)
        cost = np.minimum(cost, linear_cost)
        share = np.ones(len(joints))
        for _ in range(STEPS):
            trial = place + share[:, None] * _step(*known, place)
            trial_cost = _cost(*known, trial)
            better = trial_cost < cost
            place = np.where(better[:, None], trial, place)
            cost = np.where(better, trial_cost, cost)
            share = np.where(better, 1.0, share / 2.0)
    found = np.isfinite(cost) & (counts.sum(axis=-1) >= _LEAST_POINTS)
    return np.where(found[:, None], place, np.nan)


def _cost(camera, joints, keypoints, counts, place):
    """Sum of squared distances in pixels (hand,); infinite where a joint is not before the camera."""
    off = camera.project(joints + place[:, None]) - keypoints
    cost = np.where(counts[..., None], off**2, 0.0 * off).sum(axis=(1, 2))
    return np.where(np.isfinite(cost), cost, np.inf)


def _along_rays(camera, joints, keypoints, counts):
    """The translation (hand, 3) that brings the joints nearest to their keypoints' rays: X + t_x = u (Z + t_z), likewise y."""
    rays = camera.rays(keypoints)[..., :2]
    rows = np.concatenate([np.broadcast_to(np.eye(2), (*rays.shape, 2)), -rays[..., None]], axis=-1)
    return _solved(rows, rays * joints[..., 2:] - joints[..., :2], counts)


def _step(camera, joints, keypoints, counts, place):
    """The Gauss-Newton step (hand, 3) in metres."""
    points = joints + place[:, None]
    u, v = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
    grown = 1.0 + camera.k1 * (u**2 + v**2)
    across, mixed, down = grown + 2.0 * camera.k1 * u**2, 2.0 * camera.k1 * u * v, grown + 2.0 * camera.k1 * v**2
    slopes = np.stack([across, mixed, -across * u - mixed * v, mixed, down, -mixed * u - down * v], axis=-1)
    rows = (camera.focal_px / points[..., 2:] * slopes).reshape(*u.shape, 2, 3)
    return _solved(rows, keypoints - camera.project(points), counts)


def _solved(rows, values, counts):
    """Least-squares solutions (hand, 3) of rows (hand, joint, 2, 3) x = values (hand, joint, 2); 0 where there is none."""
    size = len(rows), 2 * counts.shape[1]
    rows = np.where(counts[..., None, None], rows, 0.0).reshape(*size, 3)
    values = np.where(counts[..., None], values, 0.0).reshape(*size, 1)
    across = rows.swapaxes(1, 2)
    matrix, right = across @ rows, across @ values
    fine = np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(right).all(axis=(1, 2)) & (counts.sum(axis=1) >= _LEAST_POINTS)
    matrix, right = np.where(fine[:, None, None], matrix, np.eye(3)), np.where(fine[:, None, None], right, 0.0)
    # Keypoints that all coincide leave the depth open: a hair on the diagonal keeps the matrix from being singular.
    hair = 1e-12 * np.trace(matrix, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    return np.linalg.solve(matrix + hair, right)[..., 0]
