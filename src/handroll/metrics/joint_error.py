"""Mean per joint position error, MPJPE (Ionescu et al. 2014, doi:10.1109/TPAMI.2013.248).

It is computed in three forms: without alignment, after alignment of the wrist, and after rigid alignment.
"""

import numpy as np

from handroll.hand.skeleton import JOINTS
from handroll.metrics.alignment import procrustes
from handroll.metrics.position import distances
from handroll.metrics.visible_means import means_by_hand

_WRIST = JOINTS.index("wrist")


def joint_error_scores(joints_keyboard_mm, truth_mm, visible):
    """Compute MPJPE over visible frames.

    Parameters
    ----------
    joints_keyboard_mm, truth_mm : array (frame, hand 2, joint 21, xyz 3)
        Joints in the order of `skeleton.JOINTS`, keyboard frame.
    visible : array (frame, hand 2), bool
        Whether the hand is visible in the ground truth. NaN policy: see `metrics.visible_means`.

    Returns
    -------
    dict of str to float
        Errors in millimetres:

        - `mpjpe_mm`: without alignment. It contains errors of position, orientation and pose.
        - `root_mpjpe_mm`: the wrist of each frame is moved to the true wrist first. It contains errors of orientation and pose.
        - `procrustes_mpjpe_mm`: each frame is aligned rigidly first. It contains errors of pose and of the hand's size.

        Each also exists with the prefixes `left_` and `right_`. In the values for both hands, each visible frame of each hand has the
        same weight.

    Raises
    ------
    ValueError
        The shapes don't match.
    """
    joints, truth = np.asarray(joints_keyboard_mm, dtype=np.float64), np.asarray(truth_mm, dtype=np.float64)
    scores = means_by_hand("mpjpe_mm", distances(joints, truth), visible)
    wrist_offset = (truth - joints)[:, :, [_WRIST]]
    scores |= means_by_hand("root_mpjpe_mm", distances(joints + wrist_offset, truth), visible)
    return scores | means_by_hand("procrustes_mpjpe_mm", distances(procrustes(joints, truth).points, truth), visible)
