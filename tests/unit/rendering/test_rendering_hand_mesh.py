"""The hand's mesh is closed and valid, and deforms exactly by the kinematics."""

import numpy as np
import pytest

from handroll.hand.kinematics import mirrored_pose, posed_frames
from handroll.hand.rotations import rotvec_from_matrix
from handroll.hand.skeleton import CHAINS, JOINTS, TIPS
from handroll.hand.template import open_hand
from handroll.keyboard.geometry import LEVEL_HAND
from handroll.rendering.hand_mesh import FOREARM, build_hand_mesh, forearm_rotation, skin, vertex_colours
from handroll.rendering.sdf import cone_distance, surface_nets

GRID_MM = 4.0


def _pose(curl_rad=0.4):
    """A level right hand with curled fingers (48,)."""
    rotation = np.zeros((16, 3))
    rotation[0] = rotvec_from_matrix(LEVEL_HAND[1])
    for finger in ("index", "middle", "ring", "pinky"):
        for joint in CHAINS[finger][:3]:
            rotation[joint] = curl_rad * open_hand().axes[joint][0]
    return rotation.reshape(48)


def _posed(rotation, hand, side, scale=1.0):
    body = build_hand_mesh(hand, True, GRID_MM)
    joints, orientation = posed_frames(rotation, np.array([0.1, 0.2, 0.3]), scale, hand)
    return body, joints, skin(body, joints, orientation, forearm_rotation(orientation[0], side), scale)


def test_surface_nets_mesh_a_ball_closed_and_outwards():
    vertices, triangles = surface_nets(lambda p: cone_distance(p, (0, 0, 0), (0, 0, 0.01), 10.0, 10.0), [-13] * 3, [13] * 3, 1.0)
    assert np.linalg.norm(vertices, axis=1) == pytest.approx(10.0, abs=0.05)
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0
    assert volume == pytest.approx(4 / 3 * np.pi * 1000, rel=0.01)
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


@pytest.mark.parametrize("hand", ["left", "right"])
@pytest.mark.parametrize("sleeved", [True, False])
def test_body_has_sound_weights_and_outward_faces(hand, sleeved):
    body = build_hand_mesh(hand, sleeved, GRID_MM)
    assert body.weights.min() >= 0.0
    assert body.weights.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert body.weights[:, FOREARM].max() == 1.0
    assert np.linalg.norm(body.normals, axis=1) == pytest.approx(1.0, abs=1e-4)
    a, b, c = (body.vertices_m[body.triangles[:, k]] for k in range(3))
    outward = np.einsum("ij,ij->i", np.cross(b - a, c - a), body.normals[body.triangles].mean(axis=1)) > 0
    assert outward.mean() > 0.998
    assert (body.sleeve.max() == 1.0) == sleeved
    assert not body.vertices_m.flags.writeable


def test_hand_is_one_watertight_piece_without_sleeve():
    body = build_hand_mesh("right", True, GRID_MM)
    triangles = body.triangles[body.sleeve[body.triangles[:, 0]] == 0]
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    counts = np.unique(edges, axis=0, return_counts=True)[1]
    # Surface nets may pinch two sheets together at an edge (4 faces), but never leave one open.
    assert set(np.unique(counts)) <= {2, 4}
    assert (counts == 2).mean() > 0.999


def test_joints_lie_inside_the_posed_hand_and_tips_near_its_surface():
    _body, joints, (vertices, normals) = _posed(_pose(), "right", 1)
    for joint, name in enumerate(JOINTS):
        offset = vertices - joints[joint]
        distance = np.linalg.norm(offset, axis=1)
        nearest = np.argmin(distance)
        assert normals[nearest] @ offset[nearest] > 0, name
        assert 3e-3 < distance[nearest] < 23e-3, name
    assert all(np.linalg.norm(vertices - joints[tip], axis=1).min() < 9e-3 for tip in TIPS)


def test_rest_pose_gives_back_the_rest_mesh():
    body, joints, (vertices, normals) = _posed(np.zeros(48), "right", 1)
    weight = body.weights[:, FOREARM] == 0  # the forearm's own rule refers to a level hand
    assert vertices[weight] - joints[0] == pytest.approx(body.vertices_m[weight], abs=1e-6)
    assert normals[weight] == pytest.approx(body.normals[weight], abs=1e-4)


def test_distal_vertices_turn_rigidly_with_their_joint():
    body, joints, (vertices, _) = _posed(_pose(0.7), "right", 1, scale=1.05)
    _, orientation = posed_frames(_pose(0.7), np.zeros(3), 1.05, "right")
    joint = JOINTS.index("index3")
    own = body.weights[:, joint] > 0.999
    assert own.sum() > 10
    expected = joints[joint] + 1.05 * (body.vertices_m[own] - body.anchors_m[joint]) @ orientation[joint].T
    assert vertices[own] == pytest.approx(expected, abs=2e-4)


def test_left_hand_is_the_mirror_image():
    _, right_joints, (right, right_normals) = _posed(_pose(), "right", 1)
    _, left_joints, (left, left_normals) = _posed(mirrored_pose(_pose()), "left", 0)
    flip = np.array([-1.0, 1.0, 1.0])
    assert left - left_joints[0] == pytest.approx((right - right_joints[0]) * flip, abs=1e-5)
    assert left_normals == pytest.approx(right_normals * flip, abs=1e-4)


def test_colours_follow_skin_and_sleeve():
    body = build_hand_mesh("right", True, GRID_MM)
    colours = vertex_colours(body, (0.86, 0.66, 0.55), (0.1, 0.2, 0.3))
    assert colours[body.sleeve == 1] == pytest.approx(np.broadcast_to((0.1, 0.2, 0.3), (int(body.sleeve.sum()), 3)), abs=1e-5)
    skin_only = colours[(body.sleeve == 0) & (body.nail == 0)]
    assert (skin_only[:, 0] > skin_only[:, 2]).all()
    assert (body.nail > 0.5).sum() > 20
    assert colours.min() >= 0.0 and colours.max() <= 1.0
