import pytest
import torch

from handroll.models.mixer import GestureMixer, MixerBlock, MixerSettings

FRAMES = 12
SMALL = MixerSettings(8, 32, context_layers=1, layers=1, feedforward=24, channels=10, frames=FRAMES, width=16, blocks=2)


@pytest.fixture
def mixer():
    torch.manual_seed(0)
    return GestureMixer(SMALL).eval()


@pytest.fixture
def inputs(arr):
    """The function that makes noisy motion, steps, features and a guide of some clips."""
    return lambda clips: (arr(1, clips, 10, FRAMES), torch.arange(clips) * 300, arr(2, clips, FRAMES, 8), arr(3, clips, 6, FRAMES))


def run(mixer, noisy, step, features, guide):
    return mixer(noisy, step, mixer.encode_condition(features), guide)


def test_a_clip_is_the_same_in_any_batch(mixer, inputs):
    values = inputs(3)
    whole = run(mixer, *values)
    assert whole.shape == (3, 10, FRAMES)
    assert torch.allclose(whole[1:2], run(mixer, *(value[1:2] for value in values)), atol=1e-5)


def test_other_numbers_of_frames_are_refused(mixer, arr):
    assert SMALL.frames_multiple == FRAMES
    with pytest.raises(ValueError, match="expected 12 frames, as in training, found 24"):
        mixer(arr(1, 1, 10, 24), torch.tensor([0]), arr(2, 1, 32, 24), arr(3, 1, 6, 24))


@pytest.mark.parametrize("changed", range(4))
def test_every_input_has_an_effect(mixer, inputs, changed):
    values = list(inputs(1))
    before = run(mixer, *values)
    values[changed] = values[changed] + 1
    assert (run(mixer, *values) - before).abs().max() > 1e-4


def test_every_parameter_learns(mixer, inputs):
    run(mixer, *inputs(2)).square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0.0 for value in mixer.parameters())


def test_a_block_mixes_frames_and_channels(arr):
    torch.manual_seed(1)
    block, x = MixerBlock(FRAMES, 16), arr(4, 1, FRAMES, 16)
    for at in ((0, 3, 5), (0, 11, 0)):
        changed = x.clone()
        changed[at] += 1.0
        assert (block(changed) - block(x)).abs().min() > 0.0
