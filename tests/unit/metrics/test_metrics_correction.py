import numpy as np
import pytest

from handroll.hand.kinematics import hand_joints
from handroll.hand.skeleton import HANDS
from handroll.metrics.correction import DIFFICULTIES, correction_scores, difficulties, estimates

RATE_HZ = 50.0


def hands(along_mm):
    """Joints (frame, hand 2, joint 21, xyz 3), mm, of level hands whose wrists move along the keyboard by `along_mm` (frame,)."""
    joints = np.stack([1e3 * hand_joints(np.zeros(48), np.zeros(3), 1.0, hand) for hand in HANDS])
    return joints + np.asarray(along_mm)[:, None, None, None] * np.array([1.0, 0.0, 0.0])


def test_every_frame_has_one_difficulty():
    rest, right, left = np.zeros(50), np.arange(50) * 4.0, 196.0 - np.arange(50) * 4.0
    masks = difficulties(hands(np.concatenate([rest, right, left])), RATE_HZ)
    assert set(masks) == set(DIFFICULTIES) and (sum(mask.astype(int) for mask in masks.values()) == 1).all()
    assert masks["fine"][:40].all() and masks["gross"][60:90].all() and masks["gross"][110:].all()
    assert masks["inversion"][98:102].all() and not masks["inversion"][:90].any() and not masks["inversion"][110:].any()


def test_errors_are_distances_and_their_second_differences():
    truth = hands(np.arange(60) * 4.0)
    visible = np.ones((60, 2), dtype=bool)
    off = truth + [0.0, 3.0, 4.0]
    scores = correction_scores(off, truth, visible, RATE_HZ, {"gap": np.arange(60)[:, None] < [10, 0]})
    assert scores["mpjpe_mm"] == scores["gross_mpjpe_mm"] == scores["gap_mpjpe_mm"] == pytest.approx(5.0)
    assert scores["mpjae_mm"] == pytest.approx(0.0, abs=1e-9) and np.isnan(scores["fine_mpjpe_mm"])
    shaken = truth + 2.0 * (-1.0) ** np.arange(60)[:, None, None, None] * [0.0, 0.0, 1.0]
    assert correction_scores(shaken, truth, visible, RATE_HZ)["mpjae_mm"] == pytest.approx(8.0)
    visible[20] = False
    off[20] = np.nan
    assert correction_scores(off, truth, visible, RATE_HZ)["mpjpe_mm"] == pytest.approx(5.0)


def test_intervals_are_over_clips():
    scores = [{"mpjpe_mm": value} for value in (1.0, 3.0, 4.0, np.nan, 6.0, np.nan)]
    found = estimates(scores, ["a", "a", "b", "b", "c", "d"])["mpjpe_mm"]
    assert found.value == pytest.approx((2.0 + 4.0 + 6.0) / 3) and (found.clips, found.left_out) == (3, 1)
    assert found.low < found.value < found.high
