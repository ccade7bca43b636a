"""Error of joints, and the effect of each alignment."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handroll.hand.kinematics import hand_joints
from handroll.hand.skeleton import HANDS
from handroll.metrics.joint_error import joint_error_scores


@pytest.fixture
def hands(walk):
    """Joints (frame 40, hand 2, joint 21, xyz 3) in mm of two hands that move, and where they are visible."""
    wrists = np.array([[0.4, 0.0, 0.05], [0.7, 0.0, 0.05]])
    joints = [1e3 * hand_joints(0.3 * walk(i, 48, 40), wrists[i] + 0.1 * walk(10 + i, 3, 40), 1.0, hand) for i, hand in enumerate(HANDS)]
    visible = np.ones((40, 2), dtype=bool)
    visible[5:9, 0] = False
    return np.stack(joints, axis=1), visible


def test_equal_joints_score_zero_whatever_is_hidden(hands):
    truth, visible = hands
    predicted = truth.copy()
    truth[~visible], predicted[~visible] = np.nan, 1e6
    scores = joint_error_scores(predicted, truth, visible)
    assert len(scores) == 9 and max(scores.values()) < 1e-9


def test_each_alignment_removes_its_part_of_the_error(hands):
    truth, visible = hands
    shifted = joint_error_scores(truth + [3.0, 4.0, 12.0], truth, visible)
    assert shifted["mpjpe_mm"] == pytest.approx(13.0) and shifted["root_mpjpe_mm"] == pytest.approx(0.0, abs=1e-9)
    wrist = truth[:, :, :1]
    turned = joint_error_scores(wrist + (truth - wrist) @ Rotation.from_rotvec([0.0, 0.0, 0.2]).as_matrix().T, truth, visible)
    assert turned["root_mpjpe_mm"] == pytest.approx(turned["mpjpe_mm"]) and turned["mpjpe_mm"] > 5.0
    assert turned["procrustes_mpjpe_mm"] == pytest.approx(0.0, abs=1e-9)
    bigger = joint_error_scores(1.1 * truth, truth, visible)
    assert bigger["mpjpe_mm"] > bigger["root_mpjpe_mm"] > bigger["procrustes_mpjpe_mm"] > 2.0


def test_one_wrong_joint_counts_a_21st(hands):
    truth, visible = hands
    predicted = truth.copy()
    predicted[:, 1, 20, 2] += 21.0
    scores = joint_error_scores(predicted, truth, visible)
    assert scores["right_mpjpe_mm"] == pytest.approx(1.0) and scores["left_mpjpe_mm"] == 0.0
    assert scores["mpjpe_mm"] == pytest.approx(40 / 76)


def test_swapped_hands_are_noticed_after_any_alignment(hands):
    truth, _ = hands
    scores = joint_error_scores(truth[:, ::-1], truth, np.ones((40, 2), dtype=bool))
    assert scores["mpjpe_mm"] > 200.0 and scores["root_mpjpe_mm"] > 10.0 and scores["procrustes_mpjpe_mm"] > 5.0


def test_an_incomplete_motion_has_no_score(hands):
    truth, visible = hands
    predicted = truth.copy()
    predicted[30:] = np.nan
    assert all(np.isnan(score) for score in joint_error_scores(predicted, truth, visible).values())
