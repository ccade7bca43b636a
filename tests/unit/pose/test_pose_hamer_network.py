import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from handroll.device import DeviceError
from handroll.pose.hamer.network import HamerNetwork
from handroll.pose.hamer.settings import HamerError
from handroll.provenance import file_sha256
from toy_hamer import TOY, random_network, random_state, write_toy_checkpoint

TINY = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "hamer" / "tiny"
needs_fixtures = pytest.mark.skipif(not TINY.exists(), reason="needs the shared fixtures")


@pytest.fixture(scope="module")
def crops():
    return torch.randint(0, 256, (3, 256, 192, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def network():
    return random_network()


def angles_deg(first, second):
    """Angles between rotations (..., 3, 3), exact near zero."""
    difference = first.double().transpose(-1, -2) @ second.double() - torch.eye(3)
    return torch.rad2deg(2.0 * torch.asin((difference.norm(dim=(-2, -1)) / 8**0.5).clamp(max=1.0)))


def official():
    """Crops of the fixture, and the released code's output for them."""
    output = np.load(TINY / "official.npz")
    images = torch.from_numpy(np.load(TINY / "input.npz")["img"])[..., 32:-32]
    rotations = torch.from_numpy(np.concatenate([output["global_orient"], output["hand_pose"]], axis=1))
    return images, rotations, output["betas"], output["pred_cam"]


@pytest.fixture
def tiny(tmp_path):
    """A writable copy of the fixture's checkpoint, and its settings."""
    return Path(shutil.copy(TINY / "hamer.ckpt", tmp_path)), TINY / "model_config.yaml"


@needs_fixtures
def test_it_equals_the_released_code(tiny):
    images, rotations, betas, cam = official()
    network = HamerNetwork.from_files(*tiny)
    hands = network(images)
    torch.testing.assert_close(hands.rotations, rotations, atol=5e-6, rtol=0)
    np.testing.assert_allclose(hands.betas, betas, atol=5e-6)
    np.testing.assert_allclose(hands.cam, cam, atol=5e-6)


@needs_fixtures
def test_bfloat16_is_within_a_degree_of_the_released_code(tiny):
    images, rotations, _, _ = official()
    network = HamerNetwork.from_files(*tiny, torch.bfloat16)
    angles = angles_deg(network(images).rotations, rotations)
    assert 1e-4 < angles.max() < 1.0


def test_bfloat16_on_random_weights(network, crops):
    half = random_network(dtype=torch.bfloat16)
    hands = half(crops)
    assert all(value.dtype == torch.float32 for value in hands)
    assert angles_deg(hands.rotations, network(crops).rotations).max() < 1.0


def test_crops_are_normalised_by_channel(network, crops):
    images = network.normalise(crops)
    assert images.shape == (3, 3, 256, 192)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (crops.numpy() - 255 * mean) / (255 * std)
    np.testing.assert_allclose(images.permute(0, 2, 3, 1), expected, atol=1e-6)
    for given, normalised in zip(network(crops), network(images), strict=True):
        assert torch.equal(given, normalised)


def test_crops_and_their_channels_matter(network, crops):
    rotations = network(crops).rotations
    assert angles_deg(rotations[0], rotations[1]).max() > 0.5
    assert angles_deg(network(crops.flip(-1)).rotations, rotations).max() > 0.5


def test_it_cannot_be_trained(network, crops):
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network(crops).rotations.requires_grad


def test_the_state_is_neither_changed_nor_copied():
    state = random_state()
    before = {name: value.clone() for name, value in state.items()}
    network = HamerNetwork(state, TOY)
    assert all(torch.equal(state[name], value) for name, value in before.items())
    assert network.backbone.blocks[0].mlp.fc1.weight.data_ptr() == state["backbone.blocks.0.mlp.fc1.weight"].data_ptr()


def test_from_files(tmp_path, network, crops):
    files = write_toy_checkpoint(tmp_path)
    for _ in range(2):
        loaded = HamerNetwork.from_files(files.checkpoint, files.config)
        assert loaded.settings == TOY
        assert loaded.checkpoint_sha256 == file_sha256(files.checkpoint)
        for expected, value in zip(network(crops), loaded(crops), strict=True):
            assert torch.equal(expected, value)


def test_missing_files_and_devices_are_errors(tmp_path):
    files = write_toy_checkpoint(tmp_path)
    with pytest.raises(HamerError, match="found no file"):
        HamerNetwork.from_files(files.checkpoint, tmp_path / "absent.yaml")
    with pytest.raises(HamerError, match="found no file"):
        HamerNetwork.from_files(tmp_path / "absent.ckpt", files.config)
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="found none"):
            HamerNetwork.from_files(files.checkpoint, files.config, device="cuda")


def test_threads_write_one_compact_file(tmp_path):
    files = write_toy_checkpoint(tmp_path)
    networks = []
    threads = [threading.Thread(target=lambda: networks.append(HamerNetwork.from_files(files.checkpoint, files.config))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(networks) == 4
    assert len(list(tmp_path.glob("*.pt"))) == 1


def test_one_graph_without_branches_on_data(network, crops):
    traced = torch.compile(network, backend="eager", fullgraph=True)
    for expected, value in zip(network(crops), traced(crops), strict=True):
        torch.testing.assert_close(value, expected, atol=1e-6, rtol=0)
