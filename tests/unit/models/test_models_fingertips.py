import numpy as np
import pytest
import torch

from handroll.hand.skeleton import TIPS
from handroll.keyboard.geometry import STANDARD
from handroll.models.direct import DirectModel
from handroll.models.fingertip_network import (
    N_PLAN,
    FingertipNetwork,
    FingertipSettings,
    fingertip_loss,
    fingertips_of,
    split_plan,
)
from handroll.training_data.model_frame import RIGHT_FIRST, from_channels, motion_joints

FEATURES, FRAMES = 12, 40


@pytest.fixture
def features():
    """Random features of fingered notes, and a plan whose fingertips follow from its pose."""
    generator = torch.Generator().manual_seed(1)
    features = 0.3 * torch.randn(2, FRAMES, FEATURES + N_PLAN, generator=generator)
    plan = split_plan(features)
    plan["scale"][:] = torch.tensor([1.1, 0.9])
    plan["position"] *= 100.0
    tips = fingertips_of(plan["position"], plan["pose"], plan["scale"]) - plan["position"].unflatten(-1, (2, 1, 3))
    plan["tips"][:] = tips.flatten(-3)
    plan["aim"][:] = 0.0
    return features


def network(**settings):
    """A network whose residuals are not zero."""
    torch.manual_seed(0)
    made = FingertipNetwork(FingertipSettings(FEATURES + N_PLAN, 16, 1, **settings)).eval()
    for head in (made.tip_head, made.pose_head):
        torch.nn.init.normal_(head.weight, std=0.5)
    return made


def test_fingertips_are_those_of_the_hand_template(features):
    plan = split_plan(features)
    joints = motion_joints(*from_channels(plan["position"][0].numpy(), plan["pose"][0].numpy()), "keyboard", np.array([0.9, 1.1]))
    tips = joints[:, RIGHT_FIRST][:, :, list(TIPS)]
    tips[:, 1, :, 0] = STANDARD.width_mm - tips[:, 1, :, 0]
    found = fingertips_of(plan["position"], plan["pose"], plan["scale"])[0]
    np.testing.assert_allclose(found, tips, atol=1e-2)


def test_the_untrained_network_returns_the_plan(features):
    made = FingertipNetwork(FingertipSettings(FEATURES + N_PLAN, 16, 1)).eval()
    plan = split_plan(features)
    tips, position, pose = made(features)
    torch.testing.assert_close(position, plan["position"])
    torch.testing.assert_close(pose, plan["pose"])
    torch.testing.assert_close(tips, fingertips_of(position, pose, plan["scale"]), atol=1e-3, rtol=0.0)
    assert float(fingertip_loss((tips, position, pose), (position, pose), plan["scale"], torch.ones(2, FRAMES, 2, dtype=bool))) < 1e-3


@pytest.mark.parametrize("masked", [True, False])
def test_a_finger_at_its_key_moves_only_towards_the_fallboard(features, masked):
    plan = split_plan(features)
    plan["aim"][:, 20:, 3] = 1.0
    with torch.no_grad():
        tips, position, _ = network(masked=masked)(features)
    planned = plan["position"].unflatten(-1, (2, 1, 3)) + plan["tips"].unflatten(-1, (2, 5, 3))
    moved = (tips - planned).abs().amax(dim=(0, 1, 2))
    assert (moved > 0.1).all()
    pressing = (tips - planned)[:, 20:, 0, 3].abs().amax(dim=(0, 1))
    assert (pressing[[0, 2]] < 1e-4).all() == masked and pressing[1] > 0.1
    assert (position - plan["position"]).abs().max() > 0.1


def test_hidden_hands_do_not_count_in_the_loss(features):
    plan = split_plan(features)
    visible = torch.ones(2, FRAMES, 2, dtype=bool)
    visible[:, 10:, 1] = False
    truth = plan["position"].clone(), plan["pose"].clone()
    truth[0][:, 10:, 3:] += 500.0
    predicted = FingertipNetwork(FingertipSettings(FEATURES + N_PLAN, 16, 1)).eval()(features)
    assert float(fingertip_loss(predicted, truth, plan["scale"], visible)) < 1e-3
    assert float(fingertip_loss(predicted, truth, plan["scale"], torch.ones_like(visible))) > 1.0


def test_a_long_motion_equals_its_only_window_and_is_blended_beyond(features):
    model = DirectModel(network(), FRAMES)
    one = features[0].numpy()
    window, long = model.generate(one[None]), model.generate_long(one)
    for short, whole in zip(window, long, strict=True):
        np.testing.assert_allclose(short[0], whole, atol=1e-4)
    twice = np.concatenate([one, one[::-1]])
    position, pose = model.generate_long(twice)
    assert position.shape == (2 * FRAMES, 6) and pose.shape == (2 * FRAMES, 96) and np.isfinite(pose).all()
    assert model.parameters == sum(value.numel() for value in network().parameters())
