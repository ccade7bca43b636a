"""Smoothness of motion: acceleration and jerk of the joints, computed as differences of successive frames.

Jerk is a common measure of smoothness (Flash and Hogan 1985, doi:10.1523/JNEUROSCI.05-07-01688.1985). A smaller value is not better: a
hand without movement has neither acceleration nor jerk. Use the ratio to the ground truth, which is ideally 1. Acceleration and jerk of a
noisy motion grow with the frame rate, so compare only motions with the same frame rate.
"""

import numpy as np

from handroll.metrics.visible_means import checked_visible, visible_mean

# Order of the finite difference from which each score is computed.
_ORDERS = {"acceleration_m_s2": 2, "jerk_m_s3": 3}


def smoothness(joints_m, rate_hz, visible):
    """Compute the mean magnitude of the joints' acceleration and jerk.

    Parameters
    ----------
    joints_m : array (frame, ..., xyz 3)
        Joints in metres, evenly sampled, for example (frame, hand 2, joint 21, xyz 3).
    rate_hz : float
        Frame rate of the motion.
    visible : array (frame, ...), bool
        Visibility, with the leading axes of `joints_m`, for example (frame, hand 2). A difference that involves a hidden frame is left
        out. NaN policy: see `metrics.visible_means`.

    Returns
    -------
    dict of str to float
        `acceleration_m_s2`, which is NaN without three consecutive visible frames, and `jerk_m_s3`, which is NaN without four.

    Raises
    ------
    ValueError
        The shapes don't match.
    """
    joints = np.asarray(joints_m, dtype=np.float64)
    if joints.shape[-1:] != (3,):
        raise ValueError(f"smoothness: expected joints (frame, ..., xyz 3), found the shape {joints.shape}")
    visible = checked_visible(visible, joints.shape[:-1])
    scores = {}
    for name, order in _ORDERS.items():
        size = np.linalg.norm(np.diff(joints, order, axis=0), axis=-1) * rate_hz**order
        whole = np.logical_and.reduce([visible[k : k + len(size)] for k in range(order + 1)])
        scores[name] = visible_mean(size, whole)
    return scores


def smoothness_scores(joints_m, truth_m, rate_hz, visible):
    """Compute the `smoothness` of a motion, and its ratio to the smoothness of the ground truth over the same frames.

    Parameters
    ----------
    joints_m, truth_m : array (frame, ..., xyz 3)
    rate_hz, visible
        See `smoothness`.

    Returns
    -------
    dict of str to float
        `acceleration_m_s2`, `jerk_m_s3`, `acceleration_ratio`, `jerk_ratio`; a ratio is NaN if the value of the ground
        truth is 0 or NaN.
    """
    scores, of_truth = smoothness(joints_m, rate_hz, visible), smoothness(truth_m, rate_hz, visible)
    ratios = {f"{name.split('_')[0]}_ratio": scores[name] / of_truth[name] if of_truth[name] > 0.0 else float("nan") for name in scores}
    return scores | ratios
