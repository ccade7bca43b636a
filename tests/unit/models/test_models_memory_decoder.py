import pytest
import torch
from torch import nn

from handroll.models.memory_decoder import HEADS, DecoderLayer, MemoryDecoder, new_decoder, released_mask


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    return new_decoder("transformer", 32, 2, 0, 48, 0.1).eval()


def plain(decoder, frames, mask=None):
    """The same by PyTorch's own decoder, with a memory mask."""
    layer = nn.TransformerDecoderLayer(32, HEADS, 32, batch_first=True)
    reference = nn.TransformerDecoder(layer, 2).eval()
    reference.layers.load_state_dict(decoder.layers.state_dict())
    return reference(frames, decoder.encoder(frames), tgt_mask=mask, memory_mask=~torch.eye(frames.shape[1], dtype=torch.bool))


def test_cross_attention_to_the_own_frame_is_that_of_pytorch_with_a_mask(decoder, arr):
    frames = arr(1, 3, 20, 32).requires_grad_()
    expected, found = plain(decoder, frames), decoder(frames)
    assert torch.allclose(found, expected, atol=1e-5)
    (expected_gradient,), (gradient,) = (torch.autograd.grad(value.square().sum(), frames) for value in (expected, found))
    assert torch.allclose(gradient, expected_gradient, atol=1e-4)


def test_the_released_mask_of_a_single_clip(decoder, arr):
    frames = arr(2, 1, 70, 32)
    assert torch.allclose(decoder(frames, released=True), plain(decoder, frames, released_mask(70)), atol=1e-5)
    assert (decoder(frames, released=True) - decoder(frames)).abs().max() > 0.01


def test_figures_of_the_released_mask():
    mask = released_mask(900)
    assert mask.shape == (4, 900, 900)
    assert mask[0, 899, 0] == -7.25
    assert mask[:, 60, 0].tolist() == [-2 / 4, -2 / 16, -2 / 64, -2 / 256]
    assert (mask[:, 5, :6] == 0.0).all() and (mask[:, 5, 6:] == -torch.inf).all()


def test_a_clip_is_the_same_in_any_batch(decoder, arr):
    frames = arr(3, 3, 40, 32)
    for released in (False, True):
        assert torch.allclose(decoder(frames, released)[1:], decoder(frames[1:], released), atol=1e-5)
    assert torch.allclose(decoder(frames)[1:2], decoder(frames[1:2]), atol=1e-5)


def test_training_drops_whole_heads_of_the_memory():
    torch.manual_seed(1)
    layer = DecoderLayer(32, dropout=0.5).train()
    with torch.no_grad():
        layer.multihead_attn.out_proj.weight.copy_(torch.eye(32))
    own = layer._same_frame_attention(torch.randn(4, 25, 32)).detach().reshape(100, HEADS, 8)
    dropped = (own == 0.0).float().mean(-1)
    assert set(dropped.unique().tolist()) == {0.0, 1.0}
    assert 0.35 < dropped.mean() < 0.65


def test_a_state_space_decoder(arr):
    torch.manual_seed(2)
    block, frames = new_decoder("ssm", 32, 2, 4, 48, 0.1), arr(4, 1, 10, 32)
    assert not isinstance(block, MemoryDecoder)
    assert block(frames).shape == frames.shape
    assert torch.equal(block(frames, released=True), block(frames))


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="expected one of transformer, ssm, found 'mlp'"):
        new_decoder("mlp", 32, 2, 4, 48, 0.1)
