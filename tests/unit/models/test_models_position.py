import dataclasses

import pytest
import torch

from handroll.models.position import PositionPredictor, PositionSettings, position_loss

SMALL = PositionSettings(8, context_width=32, context_layers=1, width=16, layers=1, feedforward=24)


@pytest.fixture(params=["transformer", "ssm"])
def predictor(request):
    torch.manual_seed(0)
    return PositionPredictor(dataclasses.replace(SMALL, decoder=request.param, state=4)).eval()


def test_positions_and_their_context(predictor, arr):
    features = arr(1, 3, 20, 8)
    positions, context = predictor(features, with_context=True)
    assert positions.shape == (3, 20, 6)
    assert context.shape == (3, 20, 32)
    assert positions.requires_grad and not context.requires_grad
    assert torch.equal(predictor(features), positions)


def test_a_clip_is_the_same_in_any_batch(predictor, arr):
    features = arr(2, 3, 20, 8)
    assert torch.allclose(predictor(features)[1:2], predictor(features[1:2]), atol=1e-5)


def test_bounds_are_tanh(predictor, arr):
    bounded = PositionPredictor(dataclasses.replace(predictor.settings, bounded=True)).eval()
    bounded.load_state_dict(predictor.state_dict())
    features = arr(3, 1, 20, 8)
    assert torch.allclose(bounded(features), predictor(features).tanh())


def test_every_parameter_learns(predictor, arr):
    predictor(arr(4, 2, 20, 8)).square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0.0 for value in predictor.parameters())


def test_the_loss_of_a_small_case():
    target, visible = torch.zeros(1, 3, 6), torch.tensor([[[True, True], [True, False], [True, True]]])
    predicted = torch.zeros(1, 3, 6)
    predicted[0, 1, :3], predicted[0, 1, 3:] = 3.0, 100.0
    # Right: 3 in one of five visible frames; its changes are 3 and -3, and the left hand has no pair of visible frames.
    assert position_loss(predicted, target, visible, velocity_weight=0.0).item() == pytest.approx(3.0 / 5.0)
    assert position_loss(predicted, target, visible, position_weight=0.0).item() == pytest.approx(3.0)
    released = position_loss(predicted, target, visible, position_weight=0.0, released=True)
    assert released.item() == pytest.approx((3.0 + 100.0) / 2.0)


def test_hidden_targets_may_be_unknown(arr):
    predicted = arr(5, 2, 10, 6).requires_grad_()
    target, visible = arr(6, 2, 10, 6), torch.ones(2, 10, 2, dtype=torch.bool)
    visible[0, 3:6, 1] = False
    known = position_loss(predicted, target, visible)
    target[0, 3:6, 3:] = torch.nan
    loss = position_loss(predicted, target, visible)
    assert loss == known
    (gradient,) = torch.autograd.grad(loss, predicted)
    assert torch.isfinite(gradient).all()
    assert (gradient[0, 3:6, 3:] == 0.0).all() and (gradient[0, 3:6, :3] != 0.0).all()


def test_the_loss_without_visible_hands_is_zero(arr):
    predicted = arr(7, 1, 4, 6).requires_grad_()
    loss = position_loss(predicted, torch.full((1, 4, 6), torch.nan), torch.zeros(1, 4, 2, dtype=torch.bool))
    loss.backward()
    assert loss == 0.0
    assert (predicted.grad == 0.0).all()
