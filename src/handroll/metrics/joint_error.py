"""How far the joints are from their true places: MPJPE, mean per joint position error (Ionescu et al. 2014,
doi:10.1109/TPAMI.2013.248), as it is and after two alignments that each take a part of the error away.
"""

import numpy as np

from handroll.hand.skeleton import JOINTS
from handroll.metrics.alignment import procrustes
from handroll.metrics.position import distances
from handroll.metrics.visibility import means_by_hand

_WRIST = JOINTS.index("wrist")


def joint_error_scores(joints_keyboard_mm, truth_mm, visible):
    """MPJPE over visible frames.

    Parameters
    ----------
    joints_keyboard_mm, truth_mm : array (frame, hand 2, joint 21, xyz 3)
        `skeleton.JOINTS`, keyboard frame.
    visible : array (frame, hand 2), bool
        Where the truth shows the hand. NaN policy: `metrics.visibility`.

    Returns
    -------
    dict of str to float
        Millimetres. `mpjpe_mm`: in the keyboard frame, place, turn and pose of the hand. `root_mpjpe_mm`: with each frame's
        wrist moved onto the true one, turn and pose. `procrustes_mpjpe_mm`: after each frame's best rigid motion, which
        leaves the pose and the size of the hand. Each also as `left_` and `right_`; the pooled ones weigh each visible frame
        of each hand the same.

    Raises
    ------
    ValueError
        The shapes don't go together.
    """
    joints, truth = np.asarray(joints_keyboard_mm, dtype=np.float64), np.asarray(truth_mm, dtype=np.float64)
    scores = means_by_hand("mpjpe_mm", distances(joints, truth), visible)
    wrist_to_wrist = (truth - joints)[:, :, [_WRIST]]
    scores |= means_by_hand("root_mpjpe_mm", distances(joints + wrist_to_wrist, truth), visible)
    return scores | means_by_hand("procrustes_mpjpe_mm", distances(procrustes(joints, truth).points, truth), visible)
