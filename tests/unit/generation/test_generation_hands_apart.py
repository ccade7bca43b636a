from dataclasses import replace

import numpy as np
import pytest

from handroll.generation.hands_apart import MAX_DISTANCE_MM, surface_distance_mm
from handroll.generation.pianist import perform
from handroll.hand.kinematics import posed_frames
from handroll.hand.skeleton import HANDS
from handroll.rendering.hand_mesh import build_hand_mesh, forearm_rotation, skin
from handroll.rendering.scene import world_joints
from handroll.simulator.score import score


@pytest.fixture(scope="module")
def played():
    return perform(score("minuet", 3, 6.0), 1)


def side_by_side(performance, distance_mm):
    """The hands with this distance of their wrists along the keyboard in every frame."""
    wrists = world_joints(performance)[:, :, 0]
    shift = np.zeros_like(performance.translation_m)
    shift[:, 1, 0] = wrists[:, 0, 0] + 1e-3 * distance_mm - wrists[:, 1, 0]
    return replace(performance, translation_m=performance.translation_m + shift)


def test_the_distance_shrinks_by_the_movement_and_is_negative_inside(played):
    far, near = (surface_distance_mm(side_by_side(played, distance)) for distance in (300.0, 290.0))
    assert (far > 0.0).all()
    np.testing.assert_allclose(far - near, 10.0, atol=1.5)
    assert (surface_distance_mm(side_by_side(played, 10.0)) < -15.0).all()


def test_the_distance_is_that_of_the_meshes(played):
    performance = side_by_side(played, 230.0)
    distance = surface_distance_mm(performance)
    for frame in (20, 90):
        clouds = []
        for side, hand in enumerate(HANDS):
            rotation = performance.rotation_rad[frame, side].reshape(1, -1)
            joints, turn = posed_frames(rotation, performance.translation_m[frame, side][None], performance.bone_scale[side], hand)
            mesh = build_hand_mesh(hand)
            vertices, _ = skin(mesh, joints[0], turn[0], forearm_rotation(turn[0, 0], side), 1.0)
            clouds.append(1e3 * vertices[mesh.sleeve < 0.5])
        gap = np.linalg.norm(clouds[0][:, None] - clouds[1][None], axis=-1).min()
        assert distance[frame] == pytest.approx(gap, abs=4.0)


def test_absent_and_distant_hands_are_infinitely_far_apart(played):
    absent = replace(played, present=np.zeros_like(played.present))
    assert np.isinf(surface_distance_mm(absent)).all()
    assert np.isinf(surface_distance_mm(side_by_side(played, MAX_DISTANCE_MM + 50.0))).all()
