import dataclasses
from functools import partial

import numpy as np
import pytest
import torch

from handroll.models import diffusion, flow
from handroll.models.gesture import GestureSettings, GestureUNet
from handroll.models.mixer import GestureMixer, MixerSettings
from handroll.models.objectives import OBJECTIVES, check_sampling
from handroll.models.position import PositionPredictor, PositionSettings
from handroll.models.two_stage import TwoStage
from handroll.training_data.windows import Scales

WINDOW, FEATURES = 16, 5
SCALES = Scales((500.0,) * 6, (100.0,) * 6, (0.1,) * 96, (0.2,) * 96, 3.0)
SIZES = {
    "gesture": (GestureUNet, GestureSettings(FEATURES, 16, 1, layers=1, feedforward=16, dim=8, multipliers=(1, 2))),
    "mixer": (GestureMixer, MixerSettings(FEATURES, 16, 1, layers=1, feedforward=16, frames=WINDOW, width=16, blocks=2)),
}


@pytest.fixture(params=SIZES)
def model_of(request):
    """The function that makes a two-stage model of an objective, with each kind of denoiser."""
    network, sizes = SIZES[request.param]

    def make(objective):
        torch.manual_seed(3)
        position = PositionPredictor(PositionSettings(FEATURES, 16, 1, 16, layers=1, feedforward=16))
        return TwoStage(position, network(dataclasses.replace(sizes, objective=objective)), SCALES, WINDOW)

    return make


def heard(seed, *shape):
    return np.random.default_rng(seed).normal(size=(*shape, FEATURES)).astype(np.float32)


@pytest.mark.parametrize(("objective", "sampler"), [("v", "dpmsolver++"), ("v", "ddpm"), ("flow", "euler"), ("flow", "heun")])
def test_a_motion_does_not_depend_on_its_batch(model_of, objective, sampler):
    model, features = model_of(objective), heard(1, 3, WINDOW)
    together, alone = model.generate(features, sampler, 3, [1, 2, 3]), model.generate(features[1:2], sampler, 3, [2])
    for whole, single in zip(together, alone, strict=True):
        np.testing.assert_allclose(whole[1], single[0], atol=1e-4)
    assert np.abs(together[1][0] - together[1][1]).max() > 0.01


@pytest.mark.parametrize("sampler", flow.SAMPLERS)
def test_a_long_motion_of_a_flow_is_blended_from_windows(model_of, sampler):
    model, features = model_of("flow"), heard(2, WINDOW)
    long, (position, pose) = model.generate_long(features, sampler, 4, 11), model.generate(features[None], sampler, 4, [11])
    np.testing.assert_allclose(long[0], position[0], atol=1e-3)
    np.testing.assert_allclose(long[1], pose[0], atol=1e-5)
    position, pose = model.generate_long(heard(3, 50), sampler, 3, 0)
    assert position.shape == (50, 6) and pose.shape == (50, 96) and np.isfinite(pose).all()


def test_the_sampler_of_another_objective_is_refused(model_of):
    features = heard(1, 1, WINDOW)
    with pytest.raises(ValueError, match="expected one of euler, heun for a network that was trained with the objective flow, found ddim"):
        model_of("flow").generate(features, "ddim", 2, [0])
    with pytest.raises(ValueError, match=r"expected one of ddpm, .* with the objective v, found euler; change the sampler"):
        model_of("v").generate_long(features[0], "euler", 2, 0)


def test_unknown_names_and_numbers_are_refused(model_of):
    with pytest.raises(ValueError, match="objective: expected one of v, flow, found 'noise'"):
        model_of("noise")
    with pytest.raises(ValueError, match="expected one of ddpm, .*, euler, heun, found 'rk4'"):
        check_sampling("rk4", 5)
    with pytest.raises(ValueError, match="steps: expected 1 to 1000, found 0"):
        check_sampling("euler", 0)
    for name in (*diffusion.SAMPLERS, *flow.SAMPLERS):
        check_sampling(name, 1)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("kind", SIZES)
def test_a_denoiser_overfits_a_tiny_batch(kind, objective):
    network_class, sizes = SIZES[kind]
    torch.manual_seed(0)
    # A narrow network cannot pass on the noise of 96 channels.
    network, found = network_class(dataclasses.replace(sizes, objective=objective, dropout=0.0, channels=4)), OBJECTIVES[objective]
    clean, noise, features, guide = (torch.randn(2, *shape) for shape in ((4, WINDOW), (4, WINDOW), (WINDOW, FEATURES), (6, WINDOW)))
    drawn, optimiser = found.draw(2), torch.optim.AdamW(network.parameters(), 5e-3)
    losses = []
    for _ in range(60):
        condition = network.encode_condition(features)
        loss = found.loss(partial(network, condition=condition, guide=guide), clean, noise, drawn)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]
