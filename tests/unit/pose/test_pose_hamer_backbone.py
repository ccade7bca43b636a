from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from handroll.pose.hamer.backbone import Backbone, backbone_state, by_convolution, by_product, typed_backbone
from handroll.pose.hamer.checkpoint import load_checkpoint
from handroll.pose.hamer.settings import RELEASED, read_settings
from toy_hamer import TOY, random_state

TINY = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "hamer" / "tiny"


def build(state, sizes, dtype=torch.float32):
    backbone = Backbone(sizes).requires_grad_(False)
    backbone.load_state_dict(backbone_state(typed_backbone(state, dtype)), assign=True)
    return backbone


def plain_backbone(state, sizes, images):
    """Reference implementation: tokens of images step by step, in float64, patch by patch and head by head."""
    p = {name.removeprefix("backbone."): value.double() for name, value in state.items()}
    padded = torch.zeros(len(images), 3, 260, 196, dtype=torch.float64)
    padded[:, :, 2:258, 2:194] = images
    weight = p["patch_embed.proj.weight"].flatten(1)
    tokens = []
    for row in range(16):
        for column in range(12):
            patch = padded[:, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16].flatten(1)
            position = p["pos_embed"][0, 1 + 12 * row + column] + p["pos_embed"][0, 0]
            tokens.append(patch @ weight.T + p["patch_embed.proj.bias"] + position)
    x = torch.stack(tokens, dim=1)

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt() * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(x, name):
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    width = sizes.dim // sizes.heads
    for index in range(sizes.depth):
        block = f"blocks.{index}"
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv")
        heads = []
        for head in range(sizes.heads):
            q, k, v = (qkv[..., part * sizes.dim + head * width :][..., :width] for part in range(3))
            heads.append(torch.softmax(q @ k.transpose(1, 2) / width**0.5, dim=-1) @ v)
        x = x + linear(torch.cat(heads, dim=-1), f"{block}.attn.proj")
        hidden = linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
        x = x + linear(hidden * 0.5 * (1.0 + torch.erf(hidden / 2**0.5)), f"{block}.mlp.fc2")
    return norm(x, "last_norm")


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 256, 192, generator=torch.Generator().manual_seed(5))


def test_it_equals_the_reference_implementation(images):
    state = random_state(TOY, 3)
    tokens = build(state, TOY.backbone)(images)
    assert tokens.shape == (2, 192, 48)
    torch.testing.assert_close(tokens.double(), plain_backbone(state, TOY.backbone, images.double()), atol=1e-5, rtol=0)


@pytest.mark.skipif(not TINY.exists(), reason="needs the shared fixtures")
def test_it_equals_the_released_code():
    settings = read_settings(TINY / "model_config.yaml")
    backbone = build(load_checkpoint(TINY / "hamer.ckpt", settings).state, settings.backbone)
    tokens = backbone(torch.from_numpy(np.load(TINY / "input.npz")["img"])[..., 32:-32])
    features = tokens.transpose(1, 2).unflatten(2, (16, 12))
    np.testing.assert_allclose(features, np.load(TINY / "official.npz")["feat"], atol=1e-5, rtol=0)


def test_both_embeddings_of_patches_are_equal(images):
    random = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(8, 3, 16, 16, generator=random), torch.randn(8, generator=random)
    torch.testing.assert_close(by_product(images, weight, bias), by_convolution(images, weight, bias), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        by_product(images.double(), weight.double(), bias.double()),
        by_convolution(images.double(), weight.double(), bias.double()),
        atol=1e-10,
        rtol=0,
    )


def test_the_last_rows_and_columns_have_no_effect(images):
    backbone = build(random_state(TOY), TOY.backbone)
    edge = images.clone()
    edge[:, :, 254:] = 9.0
    edge[:, :, :, 190:] = 9.0
    assert torch.equal(backbone(edge), backbone(images))
    edge[:, :, 253] = 9.0
    assert not torch.equal(backbone(edge), backbone(images))


def test_crops_are_independent(images):
    backbone = build(random_state(TOY), TOY.backbone)
    torch.testing.assert_close(backbone(images)[1:], backbone(images[1:]), atol=1e-5, rtol=0)


def test_bfloat16_keeps_norms_and_positions(images):
    state = random_state(TOY)
    backbone = build(state, TOY.backbone, torch.bfloat16)
    assert backbone.blocks[0].attn.qkv.weight.dtype == torch.bfloat16
    assert backbone.blocks[0].norm1.weight.dtype == backbone.position.dtype == torch.float32
    tokens = backbone(images)
    assert tokens.dtype == torch.float32
    exact = build(state, TOY.backbone)(images)
    assert functional.cosine_similarity(tokens, exact, dim=-1).min() > 0.999


def test_the_released_size():
    with torch.device("meta"):
        backbone = Backbone(RELEASED.backbone)
    # The slot of the class token is folded into the positions.
    count = sum(value.numel() for value in backbone.state_dict().values())
    assert count + RELEASED.backbone.dim == 630_912_000
