import numpy as np
import pytest
import torch

from handroll.metrics import pianomotion10m
from handroll.models.autoencoder import AutoencoderSettings, MotionAutoencoder
from handroll.models.checkpoint import Checkpoint, save_checkpoint
from handroll.models.motion_features import motion_features, released_features
from handroll.training_data.windows import Scales

SCALES = Scales((0.0,) * 6, (2.0,) * 6, (0.1,) * 96, (0.5,) * 96, 5.0)


def walk(seed):
    """A random walk of 96 angles over 240 frames."""
    rng = np.random.default_rng(seed)
    start = rng.normal(0.0, 0.3, (1, 96))
    return (start + np.cumsum(rng.normal(0.0, 0.02, (240, 96)), axis=0)).astype(np.float32)


def test_fid_of_400_clips_as_the_released_evaluation(released_state, write):
    with torch.device("meta"):
        network = MotionAutoencoder(AutoencoderSettings(slope=1.0))
    features = released_features(write({"pose_dim": 96, "gen_dict": released_state(network)}))
    truth, other = (features(np.stack([walk(first + k) for k in range(400)])) for first in (20000, 30000))
    assert pianomotion10m.feature_distance(other, truth) == pytest.approx(0.028348, rel=1e-3)
    assert pianomotion10m.paired_feature_distance(other, truth) == pytest.approx(14.72847, rel=1e-5)


def test_features_are_of_scaled_poses_and_positions(tmp_path):
    torch.manual_seed(0)
    network = MotionAutoencoder(AutoencoderSettings(channels=102, frames=24)).eval()
    path = tmp_path / "autoencoder.safetensors"
    about = {"frame": "camera", "rate_hz": 30.0, "frames": 24}
    save_checkpoint(path, Checkpoint("autoencoder", {"channels": 102, "frames": 24, "slope": 0.2}, SCALES, about, network.state_dict()))
    rng = np.random.default_rng(0)
    position, pose = rng.normal(size=(70, 24, 6)), rng.normal(size=(70, 24, 96))
    found = motion_features(path)(position, pose)
    wanted = network.features(torch.from_numpy(np.concatenate([(pose - 0.1) / 0.5, position / 2.0], axis=-1)).float())
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
    assert np.abs(motion_features(path)(position + 1.0, pose) - found).max() > 1e-4
