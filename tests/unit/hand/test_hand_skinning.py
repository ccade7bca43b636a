"""Skinning in PyTorch, compared with a slow loop and with the output of HaMeR's own modules."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from handroll.hand.mano import TIP_VERTICES, ManoError
from handroll.hand.mano_file import read_mano
from handroll.hand.rotations import matrix_from_rotvec
from handroll.hand.skeleton import JOINT_OF_LANDMARK
from handroll.hand.skinning import Skinning
from support.toy_mano import synthetic_mano

OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "hamer" / "tiny"


@pytest.fixture(scope="module")
def model():
    return synthetic_mano(2)


@pytest.fixture
def poses():
    rng = np.random.default_rng(0)
    return torch.tensor(matrix_from_rotvec(rng.normal(0.0, 0.6, (3, 16, 3)))), torch.tensor(rng.normal(0.0, 1.0, (3, 10)))


def slowly_skinned(model, rotations, betas):
    """Vertices (778, 3) and joints (21, 3) of one hand, vertex by vertex with 4x4 matrices."""
    shaped = model.template_m.astype(float)
    for b in range(10):
        shaped = shaped + betas[b] * model.shape_directions[:, :, b]
    rest = model.joint_regressor.astype(float) @ shaped
    bent, feature = shaped.copy(), 0
    for joint in range(1, 16):
        for row in range(3):
            for column in range(3):
                bent = bent + (rotations[joint, row, column] - (row == column)) * model.pose_directions[:, :, feature]
                feature += 1
    worlds = []
    for joint, parent in enumerate(model.parents):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = rest[joint] - (rest[parent] if joint else 0.0)
        worlds.append(worlds[parent] @ local if joint else local)
    away = [np.linalg.inv(np.block([[np.eye(3), rest[j][:, None]], [np.zeros((1, 3)), 1.0]])) for j in range(16)]
    moves = [world @ back for world, back in zip(worlds, away, strict=True)]
    vertices = np.array([(sum(w * m for w, m in zip(model.weights[v], moves, strict=True)) @ [*bent[v], 1.0])[:3] for v in range(778)])
    return vertices, np.concatenate([np.array(worlds)[:, :3, 3], vertices[list(TIP_VERTICES)]])


@pytest.mark.parametrize(("kind", "tolerance_m"), [(torch.float64, 1e-7), (torch.float32, 1e-6)])
def test_agrees_with_a_slow_loop(model, poses, kind, tolerance_m):
    skinning = Skinning(model).to(kind)
    rotations, betas = (part.to(kind) for part in poses)
    vertices, joints = skinning.vertices(rotations, betas), skinning.joints(rotations, betas)
    assert vertices.dtype == joints.dtype == kind
    for hand in range(3):
        slow_vertices, slow_joints = slowly_skinned(model, poses[0][hand].numpy(), poses[1][hand].numpy())
        np.testing.assert_allclose(vertices[hand].numpy(), slow_vertices, atol=tolerance_m)
        np.testing.assert_allclose(joints[hand].numpy(), slow_joints, atol=tolerance_m)


def test_any_leading_shape(model, poses):
    skinning = Skinning(model).double()
    rotations, betas = poses
    assert skinning.joints(rotations[0], betas[0]).shape == (21, 3)
    wide = skinning.vertices(rotations[:, None], betas[None])
    assert wide.shape == (3, 3, 778, 3)
    torch.testing.assert_close(wide[2, 1], skinning.vertices(rotations[2], betas[1]))


def test_derivatives(model, poses):
    skinning = Skinning(model).double()
    rotations, betas = (part[:1].clone().requires_grad_() for part in poses)
    assert torch.autograd.gradcheck(lambda r, b: 10.0 * skinning.joints(r, b), (rotations, betas), fast_mode=True)


def test_licensed_arrays_stay_out_of_checkpoints(model):
    assert len(Skinning(model).state_dict()) == 0


def test_another_joint_tree_is_rejected(model):
    with pytest.raises(ManoError, match="joint tree"):
        Skinning(replace(model, parents=(-1, *range(15))))


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="what HaMeR's own modules gave is not in the repository")
@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_agrees_with_the_official_modules(kind):
    official = np.load(OFFICIAL / "official.npz")
    skinning = Skinning(read_mano(OFFICIAL / "data" / "mano" / "MANO_RIGHT.pkl")).to(kind)
    rotations = torch.tensor(np.concatenate([official["global_orient"], official["hand_pose"]], axis=1)).to(kind)
    betas = torch.tensor(official["betas"]).to(kind)
    joints = skinning.joints(rotations, betas)[:, list(JOINT_OF_LANDMARK)]
    np.testing.assert_allclose(skinning.vertices(rotations, betas).numpy(), official["pred_vertices"], atol=1e-6)
    np.testing.assert_allclose(joints.numpy(), official["pred_keypoints_3d"], atol=1e-6)


def test_landmarks_are_in_hamers_order():
    assert JOINT_OF_LANDMARK == (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
