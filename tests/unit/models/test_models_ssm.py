import sys

import pytest
import torch

from handroll.models.ssm import SelectiveStateSpace


@pytest.fixture
def reference(monkeypatch):
    """Transformers' block of the same sizes and weights."""
    # Its binary has to match torch's; transformers can do without.
    if "torchaudio" not in sys.modules:
        monkeypatch.setitem(sys.modules, "torchaudio", None)
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    def make(block, width, state):
        config = MambaConfig(hidden_size=width, state_size=state, num_hidden_layers=1, use_mambapy=False)
        mixer = MambaMixer(config, layer_idx=0)
        mixer.load_state_dict(block.state_dict())
        return mixer.eval()

    return make


@pytest.mark.parametrize(("width", "state"), [(32, 16), (40, 3)])
def test_it_is_mamba(reference, arr, width, state):
    torch.manual_seed(0)
    block = SelectiveStateSpace(width, state)
    frames = arr(1, 2, 25, width).requires_grad_()
    expected = reference(block, width, state)(frames)
    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), frames)
    (gradient,) = torch.autograd.grad(block(frames).square().sum(), frames)
    assert torch.allclose(block(frames), expected, atol=1e-6)
    assert torch.allclose(gradient, expected_gradient, atol=1e-6)


def test_the_block_is_causal(arr):
    torch.manual_seed(2)
    block, frames = SelectiveStateSpace(16, 4), arr(2, 1, 20, 16)
    changed = frames.clone()
    changed[:, 12:] += 1.0
    difference = (block(changed) - block(frames)).abs().amax(dim=(0, 2))
    assert difference[:12].max() == 0.0
    assert difference[12:].min() > 0.0


def test_steps_start_within_their_range():
    torch.manual_seed(3)
    step = torch.nn.functional.softplus(SelectiveStateSpace(64, 4).dt_proj.bias)
    assert 0.9e-3 < step.min() < 3e-3 and 3e-2 < step.max() < 1.1e-1
