import numpy as np
import pytest
import torch

from handroll.models.direct import DirectModel
from handroll.models.regression_network import PERIOD_FRAMES, RegressionNetwork, RegressionSettings, periodic_encoding, regression_loss
from handroll.models.two_stage import BATCH, blend_windows
from handroll.training_data.windows import Scales

FEATURES, WINDOW = 8, 32
SMALL = RegressionSettings(FEATURES, context_width=32, context_layers=1, width=16, layers=2, dropout=0.0)
SCALES = Scales((500.0,) * 6, (100.0,) * 6, (0.1,) * 96, (0.2,) * 96, 3.0)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return RegressionNetwork(SMALL).eval()


def test_a_clip_is_the_same_in_any_batch(network, arr):
    features = arr(1, 3, 20, FEATURES)
    position, pose = network(features)
    assert position.shape == (3, 20, 6) and pose.shape == (3, 20, 96)
    for whole, alone in zip((position, pose), network(features[1:2]), strict=True):
        assert torch.allclose(whole[1:2], alone, atol=1e-5)


def test_every_parameter_learns_that_has_an_effect(network, arr):
    torch.cat(network(arr(2, 2, 20, FEATURES)), dim=-1).square().sum().backward()
    # Queries and keys of the attention to one frame have no effect; see `memory_decoder`.
    for name, value in network.named_parameters():
        grad = value.grad[2 * SMALL.width :] if ".multihead_attn.in_proj" in name else value.grad
        assert grad is not None and grad.abs().max() > 0.0, name


def test_later_frames_have_an_effect(network, arr):
    features = arr(3, 1, 200, FEATURES)
    changed = features.clone()
    changed[:, -1] += 1.0
    assert (network(changed)[1] - network(features)[1])[:, 0].abs().max() > 1e-6


def test_the_encoding_is_periodic():
    encoding = periodic_encoding(100, 16)
    assert encoding.shape == (100, 16)
    assert torch.equal(encoding[:-PERIOD_FRAMES], encoding[PERIOD_FRAMES:])
    distance = torch.cdist(encoding[:PERIOD_FRAMES], encoding[:PERIOD_FRAMES]) + 9.0 * torch.eye(PERIOD_FRAMES)
    assert distance.min() > 0.1
    frame = torch.arange(PERIOD_FRAMES)
    assert torch.allclose(encoding[:PERIOD_FRAMES, 0], frame.sin(), atol=1e-6)
    assert torch.allclose(encoding[:PERIOD_FRAMES, 15], (frame * 10_000 ** (-14 / 16)).cos(), atol=1e-6)


def test_the_loss_is_the_sum_of_positions_and_poses():
    target = torch.zeros(1, 3, 6), torch.zeros(1, 3, 96)
    visible = torch.ones(1, 3, 2, dtype=torch.bool)
    off = torch.ones(1, 3, 6), torch.full((1, 3, 96), 2.0)
    assert regression_loss(off, target, visible).item() == pytest.approx(3.0)
    off[1][:, 1, :48] = 5.0
    # Errors of the right hand: 2, 5, 2; changes: 3, 3; of the left hand: 2 and none.
    assert regression_loss(off, target, visible).item() == pytest.approx(1.0 + 15.0 / 6.0 + 6.0 / 4.0)
    assert regression_loss(off, target, visible, velocity_weight=0.0).item() == pytest.approx(1.0 + 15.0 / 6.0)


def test_hidden_hands_do_not_count_in_the_loss(network, arr):
    features, visible = arr(4, 2, 20, FEATURES), torch.ones(2, 20, 2, dtype=torch.bool)
    visible[:, 5:, 1] = False
    target = [arr(5, 2, 20, 6), arr(6, 2, 20, 96)]
    hidden = [part.clone() for part in target]
    hidden[0][:, 5:, 3:] = torch.nan
    hidden[1][:, 5:, 48:] = torch.nan
    loss = regression_loss(network(features), hidden, visible)
    assert loss.item() == pytest.approx(regression_loss(network(features), target, visible).item())
    loss.backward()
    assert all(value.grad is None or torch.isfinite(value.grad).all() for value in network.parameters())


def test_it_overfits_a_tiny_batch(arr):
    torch.manual_seed(0)
    network = RegressionNetwork(SMALL)
    features, visible = arr(7, 2, WINDOW, FEATURES), torch.ones(2, WINDOW, 2, dtype=torch.bool)
    phase = torch.arange(WINDOW) / 5.0 + torch.tensor([0.0, 2.0])[:, None]
    target = phase.sin()[..., None].expand(-1, -1, 6), phase.cos()[..., None].expand(-1, -1, 96)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    for _ in range(300):
        optimiser.zero_grad()
        regression_loss(network(features), target, visible).backward()
        optimiser.step()
    for predicted, true in zip(network(features), target, strict=True):
        assert (predicted - true).abs().mean() < 0.1


def test_motion_has_the_units_of_the_data(network, arr):
    features = arr(8, 2, WINDOW, FEATURES)
    position, pose = DirectModel(network, WINDOW, scales=SCALES).generate(features.numpy())
    with torch.no_grad():
        scaled = network(features)
    np.testing.assert_allclose(position, 500.0 + 100.0 * scaled[0], rtol=1e-4)
    np.testing.assert_allclose(pose, 0.1 + 0.2 * scaled[1], atol=1e-5)
    assert position.dtype == pose.dtype == np.float32


def test_a_long_motion_equals_its_only_window_and_is_blended_beyond(network, arr):
    model, one = DirectModel(network, WINDOW, scales=SCALES), arr(9, WINDOW, FEATURES).numpy()
    for short, whole in zip(model.generate(one[None]), model.generate_long(one), strict=True):
        np.testing.assert_allclose(short[0], whole, rtol=1e-5)
    position, pose = model.generate_long(np.concatenate([one, one[::-1], one[:7]]))
    assert position.shape == (2 * WINDOW + 7, 6) and pose.shape == (2 * WINDOW + 7, 96) and np.isfinite(pose).all()
    assert model.parameters == sum(value.numel() for value in network.parameters())


def test_windows_are_blended_without_a_jump_and_in_batches():
    sizes = []

    def generate(windows):
        sizes.append(len(windows))
        made = windows.mean(axis=(1, 2), keepdims=True)
        return np.repeat(np.repeat(made, WINDOW, 1), 6, 2), np.repeat(np.repeat(made, WINDOW, 1), 96, 2)

    ramp = np.arange((BATCH + 3) * WINDOW // 2, dtype=float)[:, None]
    position, pose = blend_windows(generate, ramp, WINDOW)
    assert sizes == [BATCH, 2] and position.shape == (len(ramp), 6)
    # The first half of the first window and the last half of the last one have a single window.
    inner = slice(WINDOW // 2, -WINDOW // 2)
    np.testing.assert_allclose(np.diff(position[inner], axis=0), 1.0, rtol=1e-5)
    np.testing.assert_allclose(pose[inner, 0], ramp[inner, 0], atol=1.0)
