import numpy as np
import pytest
import torch

from handroll.pose.hamer.head import Head, head_state, rotations_from_6d
from handroll.pose.hamer.settings import RELEASED
from toy_hamer import TOY, random_state


def build(state, sizes):
    head = Head(sizes).requires_grad_(False)
    head.load_state_dict(head_state(state, sizes))
    return head


def plain_head(state, sizes, context):
    """Reference implementation, step by step in float64: outputs (B, 96), (B, 10), (B, 3)."""
    p = {name.removeprefix("mano_head."): value.double() for name, value in state.items()}
    token = torch.zeros(len(context), 1, 1, dtype=torch.float64)
    x = token @ p["transformer.to_token_embedding.weight"].T + p["transformer.to_token_embedding.bias"] + p["transformer.pos_embedding"]

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(x, name):
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def attend(q, k, v):
        heads = []
        for head in range(sizes.heads):
            own = slice(head * sizes.dim_head, (head + 1) * sizes.dim_head)
            shares = torch.softmax(q[..., own] @ k[..., own].transpose(1, 2) / sizes.dim_head**0.5, dim=-1)
            heads.append(shares @ v[..., own])
        return torch.cat(heads, dim=-1)

    for index in range(sizes.depth):
        layer = f"transformer.transformer.layers.{index}"
        q, k, v = (norm(x, f"{layer}.0.norm") @ p[f"{layer}.0.fn.to_qkv.weight"].T).split(sizes.inner_dim, dim=-1)
        x = x + linear(attend(q, k, v), f"{layer}.0.fn.to_out.0")
        q = norm(x, f"{layer}.1.norm") @ p[f"{layer}.1.fn.to_q.weight"].T
        k, v = (context @ p[f"{layer}.1.fn.to_kv.weight"].T).split(sizes.inner_dim, dim=-1)
        x = x + linear(attend(q, k, v), f"{layer}.1.fn.to_out.0")
        hidden = linear(norm(x, f"{layer}.2.norm"), f"{layer}.2.fn.net.0")
        x = x + linear(hidden * 0.5 * (1.0 + torch.erf(hidden / 2**0.5)), f"{layer}.2.fn.net.3")
    starts = {"decpose": "init_hand_pose", "decshape": "init_betas", "deccam": "init_cam"}
    return tuple(linear(x[:, 0], name) + p[start] for name, start in starts.items())


@pytest.fixture(scope="module")
def context():
    return torch.randn(3, 192, 48, generator=torch.Generator().manual_seed(5))


def test_as_the_rules_say(context):
    state = random_state(TOY, 3)
    hands = build(state, TOY.decoder)(context)
    pose, betas, cam = plain_head({n: v for n, v in state.items() if n.startswith("mano_head.")}, TOY.decoder, context.double())
    assert (hands.rotations.shape, hands.betas.shape, hands.cam.shape) == ((3, 16, 3, 3), (3, 10), (3, 3))
    torch.testing.assert_close(hands.betas.double(), betas, atol=5e-6, rtol=0)
    torch.testing.assert_close(hands.cam.double(), cam, atol=5e-6, rtol=0)
    # By NumPy, column by column.
    for numbers, rotation in zip(pose.reshape(-1, 6).numpy(), hands.rotations.reshape(-1, 3, 3).numpy(), strict=True):
        x = numbers[:3] / np.linalg.norm(numbers[:3])
        y = numbers[3:] - (x @ numbers[3:]) * x
        y /= np.linalg.norm(y)
        np.testing.assert_allclose(rotation, np.stack([x, y, np.cross(x, y)], axis=1), atol=5e-6)


def test_the_context_matters_and_crops_are_independent(context):
    head = build(random_state(TOY), TOY.decoder)
    hands = head(context)
    assert (hands.rotations[0] - hands.rotations[1]).abs().max() > 0.01
    torch.testing.assert_close(head(context[1:2]).rotations[0], hands.rotations[1], atol=5e-6, rtol=0)


def test_making_the_state_draws_no_random_numbers():
    state = random_state(TOY)
    before = torch.get_rng_state()
    head_state(state, TOY.decoder)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_first_three_numbers_are_the_first_column():
    rotation = rotations_from_6d(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.5]))
    np.testing.assert_allclose(rotation[:, 0], [0.2673, 0.5345, 0.8018], atol=1e-4)
    assert torch.linalg.det(rotation) == pytest.approx(1.0, abs=1e-6)


def test_rotations_are_orthonormal_and_finite():
    numbers = torch.randn(1000, 6, generator=torch.Generator().manual_seed(0)) * 10.0 ** torch.arange(-3, 7).repeat(100)[:, None]
    rotations = rotations_from_6d(numbers)
    torch.testing.assert_close(rotations.transpose(1, 2) @ rotations, torch.eye(3).expand(1000, 3, 3), atol=1e-5, rtol=0)
    assert torch.isfinite(rotations_from_6d(torch.zeros(6))).all()


def test_the_released_size():
    sizes = RELEASED.decoder
    with torch.device("meta"):
        head = Head(sizes)
    count = sum(value.numel() for value in head.state_dict().values())
    # Left out: queries and keys of self-attention, and all of the first layer's, which is folded into the start with the
    # embedding; the start values, which are folded into the readout's biases.
    queries_and_keys = sizes.depth * 2 * sizes.inner_dim * sizes.dim
    first = sizes.inner_dim * sizes.dim * 2 + 3 * sizes.dim
    assert count + queries_and_keys + first + 2 * sizes.dim + 109 == 39_497_946
