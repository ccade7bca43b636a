"""Mean per joint position error, MPJPE (Ionescu et al. 2014, doi:10.1109/TPAMI.2013.248), without alignment, after alignment of the
wrist, and after rigid alignment.
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
        `skeleton.JOINTS`, keyboard frame.
    visible : array (frame, hand 2), bool
        Visibility of the hand in the ground truth. NaN policy: `metrics.visible_means`.

    Returns
    -------
    dict of str to float
        Millimetres. `mpjpe_mm`: error of position, orientation and pose. `root_mpjpe_mm`: after moving the wrist of each frame to the
        true wrist; error of orientation and pose. `procrustes_mpjpe_mm`: after rigid alignment of each frame; error of pose and size of
        the hand. Each also as `left_` and `right_`. In the pooled values, each visible frame of each hand has the same weight.

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
