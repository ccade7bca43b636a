import pytest
import torch

from handroll.models.autoencoder import AutoencoderSettings, MotionAutoencoder, autoencoder_loss

SMALL = AutoencoderSettings(channels=6, frames=24)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MotionAutoencoder(SMALL).eval()


@pytest.mark.parametrize("frames", [12, 25, 240])
def test_any_number_of_frames_comes_back(arr, frames):
    network = MotionAutoencoder(AutoencoderSettings(channels=6, frames=frames)).eval()
    reconstruction, mean, log_variance = network(arr(1, 2, frames, 6), torch.zeros(2, 256))
    assert reconstruction.shape == (2, frames, 6)
    assert mean.shape == log_variance.shape == (2, 256)


def test_too_few_frames_are_refused():
    with pytest.raises(ValueError, match="expected at least 12 frames, found 11"):
        MotionAutoencoder(AutoencoderSettings(frames=11))


def test_features_are_the_mean_and_independent_of_the_batch(network, arr):
    motion = arr(2, 3, 24, 6)
    features = network.features(motion)
    assert not features.requires_grad
    assert torch.allclose(features[1:2], network.features(motion[1:2]), atol=1e-6)
    assert torch.equal(features, network(motion, torch.ones(3, 256))[1])


def test_features_in_training_are_refused(network, arr):
    with pytest.raises(RuntimeError, match="evaluation mode"):
        network.train().features(arr(3, 1, 24, 6))


def test_with_the_released_slope_the_linear_layers_are_a_single_one(arr):
    torch.manual_seed(1)
    hidden = arr(4, 2, MotionAutoencoder(SMALL).encoder.out_net[0].in_features)

    def bend(slope):
        """How far the linear layers are from a linear map."""
        out_net = MotionAutoencoder(AutoencoderSettings(6, 24, slope)).eval().encoder.out_net
        return (out_net(hidden.mean(0, keepdim=True)) - out_net(hidden).mean(0)).abs().max()

    assert bend(1.0) < 1e-6
    assert bend(0.2) > 1e-4


def test_noise_moves_the_reconstruction_by_the_variance(network, arr):
    motion = arr(5, 2, 24, 6)
    still, moved = (network(motion, noise)[0] for noise in (torch.zeros(2, 256), arr(6, 2, 256)))
    assert (still - moved).abs().max() > 1e-3
    with torch.no_grad():
        network.encoder.fc_logvar.bias.fill_(-60.0)
    assert torch.allclose(network(motion, arr(6, 2, 256))[0], still, atol=1e-6)


def test_the_divergence_is_that_of_normal_distributions(arr, monkeypatch):
    monkeypatch.setattr("handroll.models.autoencoder.DIVERGENCE_WEIGHT", 2.0)
    motion, mean, log_variance = arr(7, 2, 24, 6), arr(8, 2, 256), arr(9, 2, 256)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, (0.5 * log_variance).exp()), normal(0.0, 1.0)).mean()
    loss = autoencoder_loss(motion, motion + 0.5, mean, log_variance)
    assert loss.item() == pytest.approx(0.5 + 2.0 * expected.item(), rel=1e-5)


def test_training_learns_to_tell_motions_apart(network):
    torch.manual_seed(2)
    time = torch.linspace(0.0, 6.0, 24)[:, None]
    motion = torch.sin(time * torch.rand(32, 1, 6) + 6.0 * torch.rand(32, 1, 6))
    optimizer = torch.optim.Adam(network.train().parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = autoencoder_loss(motion, *network(motion, torch.randn(32, 256)))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    with torch.no_grad():
        reconstruction = network.eval()(motion, torch.zeros(32, 256))[0]
    assert (reconstruction - motion).abs().mean() < 0.8 * (motion - motion.mean(0)).abs().mean()
