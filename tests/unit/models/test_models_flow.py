import pytest
import torch
from torch import nn

from handroll.models.flow import SAMPLERS, draw_times, flow_loss, sample

MEAN, DEVIATION = 0.7, 0.3


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def exact(noisy, step):
    """The mean velocity of straight paths from normal noise to one normal distribution, every number by itself."""
    time = 1.0 - step[:, None, None] / 1000.0
    variance = (1.0 - time) ** 2 + (time * DEVIATION) ** 2
    return MEAN + (time * DEVIATION**2 - (1.0 - time)) / variance * (noisy - time * MEAN)


def test_the_true_velocity_has_no_loss(arr):
    clean, noise, time = arr(1, 2, 4, 8), arr(2, 2, 4, 8), torch.tensor([0.1, 0.8])

    def denoise(noisy, step):
        assert torch.allclose(step, torch.tensor([900.0, 200.0]))
        assert torch.allclose(noisy, noise + time[:, None, None] * (clean - noise), atol=1e-6)
        return clean - noise

    assert flow_loss(denoise, clean, noise, time).item() == 0.0
    assert flow_loss(lambda noisy, step: denoise(noisy, step) + 2.0, clean, noise, time).item() == pytest.approx(4.0)


def test_hidden_hands_are_left_out(arr):
    clean, noise, time = arr(3, 1, 4, 6), arr(4, 1, 4, 6), torch.tensor([0.5])
    visible = torch.ones(1, 6, 2, dtype=torch.bool)
    visible[0, 2:5, 1] = False
    error = torch.ones(1, 4, 6)
    error[0, 2:, 2:5] = 100.0
    assert flow_loss(lambda noisy, step: clean - noise + error, clean, noise, time, visible).item() == pytest.approx(1.0)
    assert flow_loss(lambda noisy, step: noisy, clean, noise, time, torch.zeros_like(visible)).item() == 0.0


def test_times_are_uniform():
    times = draw_times(10_000, torch.Generator().manual_seed(0))
    assert times.min() >= 0.0 and times.max() < 1.0
    assert times.mean().item() == pytest.approx(0.5, abs=0.01) and times.var().item() == pytest.approx(1 / 12, abs=0.003)


@pytest.mark.parametrize(("name", "steps", "tolerance"), [("euler", 20, 0.04), ("heun", 8, 0.03), ("heun", 20, 0.01)])
def test_samples_have_the_mean_and_spread_of_a_normal_distribution(name, steps, tolerance):
    motion = sample(exact, (1, 20, 1000), name, steps, seeded(0), clip_range=10.0)
    assert motion.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert motion.std().item() == pytest.approx(DEVIATION, abs=tolerance)


def test_one_step_gives_the_mean():
    """At time 0, the velocity is the mean of the motion minus the noise."""
    for name in SAMPLERS:
        motion = sample(exact, (1, 4, 8), name, 1, seeded(0), clip_range=10.0)
        assert torch.allclose(motion, torch.full_like(motion, MEAN), atol=1e-6)


def test_heun_is_more_exact_than_euler_in_the_same_number_of_calls():
    spread = {name: sample(exact, (1, 20, 1000), name, 10, seeded(0), clip_range=10.0).std().item() for name in SAMPLERS}
    assert abs(spread["heun"] - DEVIATION) < 0.5 * abs(spread["euler"] - DEVIATION)


def test_a_network_learns_a_distribution():
    """Two peaks, which no single motion and no linear velocity describe."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)

    def denoise(noisy, step):
        time = (step / 1000.0)[:, None, None].expand_as(noisy)
        return network(torch.stack([noisy, time], dim=-1))[..., 0]

    for _ in range(400):
        clean = torch.randint(2, (64, 2, 8)) * 2.0 - 1.0 + 0.1 * torch.randn(64, 2, 8)
        loss = flow_loss(denoise, clean, torch.randn_like(clean), draw_times(64))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        motion = sample(denoise, (1, 2, 2000), "heun", 16, seeded(1), clip_range=10.0)
    high = motion > 0.0
    assert high.float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert motion[high].mean().item() == pytest.approx(1.0, abs=0.1) and motion[~high].mean().item() == pytest.approx(-1.0, abs=0.1)
    assert motion[high].std() < 0.25


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20])
def test_the_number_of_steps_is_the_number_of_calls(name, steps):
    calls = []

    def denoise(noisy, step):
        calls.append(step.tolist())
        return exact(noisy, step)

    motion = sample(denoise, (2, 4, 8), name, steps, seeded(0, 1), clip_range=0.5)
    assert len(calls) == steps and calls[0] == [1000.0, 1000.0]
    assert torch.isfinite(motion).all() and motion.abs().max() <= 0.5


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_clip_is_the_same_in_any_batch(name):
    together = sample(exact, (3, 4, 8), name, 5, seeded(5, 6, 7), clip_range=3.0)
    alone = sample(exact, (1, 4, 8), name, 5, seeded(6), clip_range=3.0)
    assert torch.allclose(together[1:2], alone, atol=1e-6)
    assert (together[0] - together[1]).abs().max() > 0.1


def test_unknown_samplers_and_numbers_of_steps_are_refused():
    with pytest.raises(ValueError, match="expected one of euler, heun, found 'ddim'"):
        sample(exact, (1, 4, 8), "ddim", 4, seeded(0), clip_range=1.0)
    for steps in (0, 1001):
        with pytest.raises(ValueError, match=f"expected 1 to 1000, found {steps}"):
            sample(exact, (1, 4, 8), "euler", steps, seeded(0), clip_range=1.0)
