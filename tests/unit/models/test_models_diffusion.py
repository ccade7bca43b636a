import numpy as np
import pytest
import torch

from handroll.models.diffusion import SAMPLERS, diffusion_loss, new_sampler, sample, sampling_steps, schedule

AT = (0, 1, 500, 998, 999)
MEANS, DEVIATIONS, SHARES = np.array([-0.8, 0.1, 0.9]), np.array([0.05, 0.2, 0.1]), np.array([0.3, 0.5, 0.2])


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_the_released_schedule():
    assert schedule().betas[list(AT)].tolist() == pytest.approx([4.12842e-05, 4.61418e-05, 0.00315569, 0.749999, 0.999], rel=1e-4)
    shares = [0.999959, 0.999913, 0.492285, 2.42877e-06, 2.42877e-09]
    assert schedule().alphas_cumprod[list(AT)].tolist() == pytest.approx(shares, rel=1e-4)


def test_the_released_way_back():
    sampler = new_sampler("ddpm")
    sampler.set_timesteps(timesteps=sampling_steps(1000).tolist())
    zero, one = torch.zeros(1, 1, 4), torch.ones(1, 1, 4)
    noise = torch.randn(1, 1, 4, generator=seeded(0)[0])

    def back(clean, step):
        return sampler.step(clean, torch.tensor(step), zero, generator=seeded(0)[0]).prev_sample

    coefficients = [(back(one, step) - back(zero, step)).mean().item() for step in AT]
    variances = [(back(zero, step) / noise).square().mean().item() for step in AT]
    assert coefficients == pytest.approx([1, 0.527781, 0.00436787, 0.00233768, 0.00155689], rel=5e-4)
    assert variances == pytest.approx([0, 2.17895e-05, 0.00314601, 0.749994, 0.998998], rel=2e-4)


def test_the_true_v_has_no_loss_and_errors_are_weighted_by_the_signal(arr):
    clean, noise, step = arr(1, 2, 4, 8), arr(2, 2, 4, 8), torch.tensor([100, 800])
    share = schedule().alphas_cumprod[step]

    def denoise(noisy, at):
        assert torch.allclose(noisy, share[:, None, None].sqrt() * clean + (1 - share[:, None, None]).sqrt() * noise)
        return share[:, None, None].sqrt() * noise - (1 - share[:, None, None]).sqrt() * clean

    assert diffusion_loss(denoise, clean, noise, step).item() == pytest.approx(0.0, abs=1e-10)
    off = diffusion_loss(lambda noisy, at: denoise(noisy, at) + 2.0, clean, noise, step)
    assert off.item() == pytest.approx(4.0 * share.mean().item(), rel=1e-5)


def test_hidden_hands_are_left_out(arr):
    clean, noise, step = arr(3, 1, 4, 6), arr(4, 1, 4, 6), torch.tensor([10])
    visible = torch.ones(1, 6, 2, dtype=torch.bool)
    everything = diffusion_loss(lambda noisy, at: noisy, clean, noise, step)
    assert diffusion_loss(lambda noisy, at: noisy, clean, noise, step, visible).item() == pytest.approx(everything.item(), rel=1e-6)
    visible[0, 2:5, 1] = False
    error = torch.zeros(1, 4, 6)
    error[0, 2:, 2:5] = 100.0
    seen = [diffusion_loss(lambda noisy, at, e=e: noisy + e, clean, noise, step, visible) for e in (0.0, error)]
    assert seen[0] == seen[1]
    assert diffusion_loss(lambda noisy, at: noisy, clean, noise, step, torch.zeros_like(visible)) == 0.0


def exact(noisy, step):
    """The v of a mixture of three normal distributions, every number of a motion by itself."""
    share = schedule().alphas_cumprod[step[0]].double()
    means, deviations, shares = (torch.from_numpy(values) for values in (MEANS, DEVIATIONS, SHARES))
    x = noisy.double()[..., None]
    variance = share * deviations**2 + 1.0 - share
    belongs = torch.softmax(-((x - share.sqrt() * means) ** 2) / (2 * variance) - 0.5 * variance.log() + shares.log(), dim=-1)
    clean = (belongs * (means + share.sqrt() * deviations**2 / variance * (x - share.sqrt() * means))).sum(-1)
    return ((share.sqrt() * noisy - clean) / (1 - share).sqrt()).float()


def drawn_well(motion):
    """Mean, deviation, and distance of the quantiles from those of the mixture."""
    random = np.random.default_rng(0)
    component = random.choice(3, motion.numel(), p=SHARES)
    true = np.sort(random.normal(MEANS[component], DEVIATIONS[component]))
    found = np.sort(motion.flatten().numpy())
    return abs(found.mean() - true.mean()), abs(found.std() - true.std()), np.abs(found - true).mean()


@pytest.mark.parametrize(
    ("name", "steps", "tolerance"),
    [("ddpm", 1000, 0.015), ("dpmsolver++", 20, 0.015), ("sde-dpmsolver++", 20, 0.015), ("ddim", 100, 0.025)],
)
def test_samples_are_of_the_distribution(name, steps, tolerance):
    motion = sample(exact, (1, 20, 500), name, steps, seeded(0), clip_range=3.0)
    assert max(drawn_well(motion)) < tolerance


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 7, 300, 999])
def test_every_number_of_steps_works(name, steps):
    calls = []

    def denoise(noisy, step):
        calls.append(step.tolist())
        return exact(noisy, step)

    motion = sample(denoise, (2, 4, 8), name, steps, seeded(0, 1), clip_range=1.0)
    assert len(calls) == steps
    assert calls[0] == [999, 999]
    assert torch.isfinite(motion).all() and motion.abs().max() <= 1.0


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_clip_is_the_same_in_any_batch(name):
    together = sample(exact, (3, 4, 8), name, 12, seeded(5, 6, 7), clip_range=1.0)
    alone = sample(exact, (1, 4, 8), name, 12, seeded(6), clip_range=1.0)
    assert torch.allclose(together[1:2], alone, atol=1e-6)
    assert (together[0] - together[1]).abs().max() > 0.1


def test_the_same_generator_gives_the_same_motion():
    first, second = (sample(exact, (2, 4, 8), "ddpm", 10, torch.Generator().manual_seed(3), clip_range=1.0) for _ in range(2))
    assert torch.equal(first, second)


def test_steps_go_down_to_the_clean_motion():
    assert sampling_steps(1000).tolist() == list(range(999, -1, -1))
    assert sampling_steps(1).tolist() == [999]
    for steps in range(2, 1001):
        taken = sampling_steps(steps)
        assert (taken[0], taken[-1], len(taken)) == (999, 0, steps)
        assert (np.diff(taken) < 0).all()


def test_unknown_samplers_and_numbers_of_steps_are_refused():
    with pytest.raises(ValueError, match="expected one of ddpm, ddim, dpmsolver\\+\\+, sde-dpmsolver\\+\\+, found 'euler'"):
        sample(exact, (1, 4, 8), "euler", 10, seeded(0), clip_range=1.0)
    for steps in (0, 1001):
        with pytest.raises(ValueError, match=f"expected 1 to 1000, found {steps}"):
            sample(exact, (1, 4, 8), "ddpm", steps, seeded(0), clip_range=1.0)
