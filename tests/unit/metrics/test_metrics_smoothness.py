"""Acceleration and jerk: values, hidden frames, and the order of motions, which the released Smooth gets wrong."""

import numpy as np
import pytest

from handroll.hand.kinematics import hand_joints
from handroll.metrics import pianomotion10m
from handroll.metrics.smoothness import smoothness, smoothness_scores

RATE_HZ = 30.0
TIME_S = np.arange(240) / RATE_HZ


def joints(pose):
    """Joints (frame, joint 21, xyz 3) of a right hand with a pose (frame, 48)."""
    return hand_joints(pose, np.zeros(3), 1.0, "right")


@pytest.fixture
def toys():
    """A true motion of several sines, and one pose that stands still, drifts by 0.2 rad, or shakes by 0.05 rad."""
    rng = np.random.default_rng(0)
    size, hz, phase = rng.uniform(0.05, 0.15, 48), rng.uniform(0.2, 1.5, 48), rng.uniform(0.0, 2.0 * np.pi, 48)
    truth = size * np.sin(2.0 * np.pi * hz * TIME_S[:, None] + phase)
    frozen = np.tile(truth[:1], (240, 1))
    drift, shake = 0.2 * TIME_S[:, None] / TIME_S[-1], rng.normal(0.0, 0.05, (240, 48))
    return {"truth": truth, "frozen": frozen, "drift": frozen + drift, "jitter": frozen + shake, "shaken truth": truth + shake}


def test_a_polynomial_has_its_derivatives():
    metres = np.zeros((240, 2, 3))
    metres[:, 0, 0] = 1.5 * TIME_S**2
    metres[:, 1, 2] = TIME_S**3
    visible = np.ones((240, 2), dtype=bool)
    left = smoothness(metres[:, 0], RATE_HZ, visible[:, 0])
    assert left["acceleration_m_s2"] == pytest.approx(3.0) and left["jerk_m_s3"] == pytest.approx(0.0, abs=1e-6)
    assert smoothness(metres[:, 1], RATE_HZ, visible[:, 1])["jerk_m_s3"] == pytest.approx(6.0)
    assert smoothness(metres[::2, 1], RATE_HZ / 2.0, visible[::2, 1])["jerk_m_s3"] == pytest.approx(6.0)


def test_still_drifting_and_shaking_motion_are_ordered_unlike_in_the_released_metric(toys):
    visible = np.ones(240, dtype=bool)
    ours = {name: smoothness(joints(pose), RATE_HZ, visible) for name, pose in toys.items()}
    for measure in ("acceleration_m_s2", "jerk_m_s3"):
        frozen, drift, truth, jitter = (ours[name][measure] for name in ("frozen", "drift", "truth", "jitter"))
        assert frozen == 0.0 < drift < 0.01 * truth < truth < 0.1 * jitter
    theirs = {name: pianomotion10m.acceleration(pose) for name, pose in toys.items()}
    assert theirs["jitter"] < theirs["frozen"] < theirs["truth"] < theirs["drift"]


def test_the_ratio_detects_a_shaking_motion_which_the_released_score_prefers_to_a_still_one(toys):
    visible = np.ones(240, dtype=bool)
    truth = joints(toys["truth"])
    assert smoothness_scores(joints(toys["shaken truth"]), truth, RATE_HZ, visible)["jerk_ratio"] > 100.0
    assert smoothness_scores(joints(toys["frozen"]), truth, RATE_HZ, visible)["acceleration_ratio"] == 0.0
    equal = smoothness_scores(truth, truth, RATE_HZ, visible)
    assert equal["acceleration_ratio"] == equal["jerk_ratio"] == 1.0
    drift, shaken, frozen = (
        pianomotion10m.smoothness_difference(toys[name], toys["truth"]) for name in ("drift", "shaken truth", "frozen")
    )
    assert drift < shaken < frozen
    still = smoothness_scores(truth, joints(toys["frozen"]), RATE_HZ, visible)
    assert np.isnan(still["acceleration_ratio"]) and np.isnan(still["jerk_ratio"])


def test_differences_with_a_hidden_frame_are_left_out(toys):
    hands = np.stack([joints(toys["truth"]), joints(toys["jitter"])], axis=1)
    visible = np.ones((240, 2), dtype=bool)
    visible[100:120, 0], visible[3:, 1] = False, False
    alone = [smoothness(hands[part, 0], RATE_HZ, visible[part, 0]) for part in (slice(0, 100), slice(120, 240))]
    hands[~visible] = np.nan
    left = smoothness(hands[:, 0], RATE_HZ, visible[:, 0])
    assert left["acceleration_m_s2"] == pytest.approx((98 * alone[0]["acceleration_m_s2"] + 118 * alone[1]["acceleration_m_s2"]) / 216)
    right = smoothness(hands[:, 1:], RATE_HZ, visible[:, 1:])
    assert right["acceleration_m_s2"] > 0.0 and np.isnan(right["jerk_m_s3"])
    both = smoothness(hands, RATE_HZ, visible)
    assert both["acceleration_m_s2"] == pytest.approx((216 * left["acceleration_m_s2"] + right["acceleration_m_s2"]) / 217)
