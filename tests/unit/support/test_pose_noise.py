"""Disturbed poses are as disturbed as they say."""

import numpy as np
import pytest

from handroll import tables
from handroll.camera import Camera
from handroll.generation.pianist import perform
from handroll.hand.skeleton import JOINT_OF_LANDMARK
from handroll.metrics.jitter import jitter_rms
from handroll.rendering.scene import Scene, to_camera
from handroll.simulator.score import score
from handroll.storage import to_arrow
from pose_noise import add_pose_noise, multiply_depth

CAMERA = Camera(1920, 1080, 1500.0, "truth")


@pytest.fixture(scope="module")
def poses():
    performance = perform(score("minuet", 3, 4.0), 3, 30.0)
    scene = Scene()
    return performance.time_s, *to_camera(performance, scene), performance.bone_scale, performance.present


def test_as_much_as_asked_for(poses):
    given = add_pose_noise(*poses, CAMERA, 1, jitter_px=2.0, wrong=0.0, missing=0.1)
    for columns in (given.truth, given.pose):
        to_arrow(tables.POSE, tables.by_row(columns))
    to_arrow(tables.DETECTIONS, tables.by_row(given.detections))
    off = CAMERA.project(given.pose["joints_m"]) - CAMERA.project(given.truth["joints_m"])
    assert jitter_rms(off) == pytest.approx(2.0, rel=0.1)
    present, found = given.truth["found"], given.pose["found"]
    assert 0.05 < (present & ~found).sum() / present.sum() < 0.15 and not (found & ~present).any() and not given.wrong.any()
    assert np.isnan(given.pose["joints_m"][~found]).all() and np.isfinite(given.pose["joints_m"][found]).all()


def test_wrong_frames_are_wholly_wrong(poses):
    given = add_pose_noise(*poses, CAMERA, 1, wrong=0.1, missing=0.0)
    off = np.linalg.norm(CAMERA.project(given.pose["joints_m"]) - CAMERA.project(given.truth["joints_m"]), axis=-1).mean(-1)
    assert 0.05 < given.wrong.sum() / given.truth["found"].sum() < 0.15
    assert np.nanmedian(off[given.wrong]) > 50.0 and np.nanmax(off[~given.wrong]) < 30.0


def test_landmarks_have_a_bias(poses):
    given = add_pose_noise(*poses, CAMERA, 1)
    off = given.detections["landmarks_px"] - CAMERA.project(given.truth["joints_m"])[:, :, list(JOINT_OF_LANDMARK)]
    assert np.linalg.norm(np.nanmean(off, axis=0), axis=-1).mean() > 3.0
    assert 0.5 < jitter_rms(off) < 4.0


def test_from_afar_is_the_same_picture(poses):
    time_s, rotation, translation, scale, present = poses
    near = add_pose_noise(*poses, CAMERA, 1).truth["joints_m"]
    long = Camera(1920, 1080, 20.0 * 1500.0, "hamer")
    far = add_pose_noise(time_s, rotation, multiply_depth(translation, scale, 20.0), scale, present, long, 1).truth["joints_m"]
    np.testing.assert_allclose(long.project(far)[:, :, 0], CAMERA.project(near)[:, :, 0], atol=0.05)


def test_a_seed_fixes_it(poses):
    first, second = add_pose_noise(*poses, CAMERA, 4), add_pose_noise(*poses, CAMERA, 4)
    np.testing.assert_array_equal(first.pose["joints_m"], second.pose["joints_m"])
    assert not np.array_equal(first.pose["joints_m"], add_pose_noise(*poses, CAMERA, 5).pose["joints_m"], equal_nan=True)
