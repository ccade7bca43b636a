import dataclasses

import pytest
import torch

from handroll.models.gesture import Attention, GestureSettings, GestureUNet, LinearAttention

SMALL = GestureSettings(8, 32, context_layers=1, layers=1, state=4, feedforward=24, dim=16, multipliers=(1, 2, 2), channels=10)


@pytest.fixture(params=["transformer", "ssm"])
def unet(request):
    torch.manual_seed(0)
    return GestureUNet(dataclasses.replace(SMALL, decoder=request.param)).eval()


@pytest.fixture
def inputs(arr):
    """The function that makes noisy motion, steps, features and a guide of some clips."""
    return lambda clips, frames: (
        arr(1, clips, 10, frames),
        torch.arange(clips) * 300,
        arr(2, clips, frames, 8),
        arr(3, clips, 6, frames),
    )


def run(unet, noisy, step, features, guide):
    return unet(noisy, step, unet.encode_condition(features), guide)


@pytest.mark.parametrize("frames", [4, 12, 60])
def test_any_multiple_of_frames_works(unet, inputs, frames):
    assert run(unet, *inputs(2, frames)).shape == (2, 10, frames)


def test_other_numbers_of_frames_are_refused(unet, inputs):
    with pytest.raises(ValueError, match="expected a multiple of 4 frames, found 30"):
        run(unet, *inputs(1, 30))
    assert GestureSettings(768).frames_multiple == 8


def test_a_clip_is_the_same_in_any_batch(unet, inputs):
    values = inputs(3, 16)
    assert torch.allclose(run(unet, *values)[1:2], run(unet, *(value[1:2] for value in values)), atol=1e-5)


@pytest.mark.parametrize("changed", range(4))
def test_every_input_has_an_effect(unet, inputs, changed):
    values = list(inputs(1, 16))
    before = run(unet, *values)
    values[changed] = values[changed] + 1
    assert (run(unet, *values) - before).abs().max() > 1e-4


def test_every_parameter_learns(unet, inputs):
    run(unet, *inputs(2, 16)).square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0.0 for value in unet.parameters())


def test_attention_is_to_all_frames(arr):
    torch.manual_seed(1)
    for attention in (Attention(16), LinearAttention(16)):
        x = arr(4, 1, 16, 20)
        shuffled = torch.randperm(20)
        assert torch.allclose(attention(x[..., shuffled]), attention(x)[..., shuffled], atol=1e-5)
        changed = x.clone()
        changed[..., 0] += 1.0
        assert (attention(changed) - attention(x))[..., 1:].abs().amax(dim=1).min() > 0.0
