"""HaMeR's head: a transformer decoder whose single query token attends to the backbone's tokens and yields rotations, shape and camera.

Axis letters: B crops; N tokens of the backbone (192) and C their channels; E channels of the query; L layers; H attention
heads, D channels of a head; J joints of MANO (16).

Three exact simplifications save most of the work:

1. The initial query is the same for every crop, so the output of its first self-attention is a constant.
2. With one query, self-attention has one key, whose softmax is 1. So self-attention is a linear map of the query.
3. With one query q and a token c, q . (W_k c) = (W_k' q) . c: the key matrix is applied to the query instead of each token. The value
   matrix is likewise applied to the weighted sum of the tokens. So the keys and values of the 192 tokens are never computed.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from handroll.pose.hamer.parameter_layout import BETAS, CAMERA, POSE

JOINTS = 16
"""Number of predicted rotations: one for each joint of MANO."""

NORM_EPS = 1e-5
"""Epsilon of every LayerNorm in the head. The backbone has another value."""

NORMALIZE_EPS = 1e-12
"""Minimum divisor when a column of a rotation matrix is normalised."""


class HandParameters(NamedTuple):
    """Predicted parameters of the hands in crops of right hands (or mirrored left hands).

    Attributes
    ----------
    rotations : float32 tensor (B, J, 3, 3)
        Joint 0 is the hand's orientation in the frame of the crop's camera. The others are relative to their parents and to the flat
        hand.
    betas : float32 tensor (B, 10)
        Shape parameters of MANO.
    cam : float32 tensor (B, 3)
        Weak-perspective camera (s, tx, ty): for points (X, Y) of the hand in metres, s (X + tx) and s (Y + ty) are -1..1 inside the
        crop.
    """

    rotations: torch.Tensor
    betas: torch.Tensor
    cam: torch.Tensor


class SelfAttention(nn.Module):
    """Self-attention of a single token, which is a linear map of the normalised token."""

    def __init__(self, sizes):
        super().__init__()
        self.norm = nn.LayerNorm(sizes.dim, NORM_EPS)
        self.to_v = nn.Linear(sizes.dim, sizes.inner_dim, bias=False)
        self.to_out = nn.Linear(sizes.inner_dim, sizes.dim)

    def forward(self, query):
        """Apply self-attention to the query (B, E)."""
        return self.to_out(self.to_v(self.norm(query)))


class CrossAttention(nn.Module):
    """Multi-head attention of the query to the backbone's tokens."""

    def __init__(self, sizes):
        super().__init__()
        self.heads, self.scale = sizes.heads, sizes.dim_head**-0.5
        self.norm = nn.LayerNorm(sizes.dim, NORM_EPS)
        self.to_q = nn.Linear(sizes.dim, sizes.inner_dim, bias=False)
        self.key = nn.Parameter(torch.zeros(sizes.heads, sizes.dim_head, sizes.context_dim))
        self.value = nn.Parameter(torch.zeros(sizes.heads, sizes.dim_head, sizes.context_dim))
        self.to_out = nn.Linear(sizes.inner_dim, sizes.dim)

    def forward(self, query, context):
        """Return the attention (B, E) of the query (B, E) to the context (B, N, C)."""
        q = self.to_q(self.norm(query)).unflatten(-1, (self.heads, -1))
        q_in_context = torch.einsum("bhd,hdc->bhc", q * self.scale, self.key)
        weights = torch.softmax(q_in_context @ context.transpose(1, 2), dim=-1)
        attended = torch.einsum("bhc,hdc->bhd", weights @ context, self.value)
        return self.to_out(attended.flatten(1))


class FeedForward(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, sizes):
        super().__init__()
        self.norm = nn.LayerNorm(sizes.dim, NORM_EPS)
        self.fc1 = nn.Linear(sizes.dim, sizes.mlp_dim)
        self.fc2 = nn.Linear(sizes.mlp_dim, sizes.dim)

    def forward(self, query):
        """Apply the layers to the query (B, E)."""
        return self.fc2(functional.gelu(self.fc1(self.norm(query))))


class Layer(nn.Module):
    """Pre-norm decoder layer. The first layer has no self-attention, because `Head.start` already includes its constant output."""

    def __init__(self, sizes, first):
        super().__init__()
        self.self_attention = None if first else SelfAttention(sizes)
        self.cross_attention = CrossAttention(sizes)
        self.feed_forward = FeedForward(sizes)

    def forward(self, query, context):
        """Return the query (B, E) after attention to itself, attention to the context (B, N, C), and the feed-forward layers."""
        if self.self_attention is not None:
            query = query + self.self_attention(query)
        query = query + self.cross_attention(query, context)
        return query + self.feed_forward(query)


class Head(nn.Module):
    """Transformer decoder and the linear layer that reads the parameters from the query, in float32.

    Parameters
    ----------
    sizes : settings.DecoderSizes
    """

    def __init__(self, sizes):
        super().__init__()
        self.register_buffer("start", torch.zeros(1, sizes.dim))
        self.layers = nn.ModuleList(Layer(sizes, first=layer == 0) for layer in range(sizes.depth))
        self.readout = nn.Linear(sizes.dim, POSE + BETAS + CAMERA)

    def forward(self, context):
        """Predict the parameters of hands from the backbone's tokens, float32 (B, N, C).

        Returns
        -------
        HandParameters
        """
        query = self.start.expand(context.shape[0], -1)
        for layer in self.layers:
            query = layer(query, context)
        pose, betas, cam = self.readout(query).split((POSE, BETAS, CAMERA), dim=-1)
        return HandParameters(rotations_from_6d(pose.unflatten(-1, (JOINTS, 6))), betas, cam)


def rotations_from_6d(numbers):
    """Compute rotation matrices from their first two columns, by Gram-Schmidt orthonormalisation.

    Y. Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", CVPR 2019, arXiv:1812.07035.

    Parameters
    ----------
    numbers : float32 tensor (..., 6)
        The first column, then the second one. (In the code of SPIN and HMR, the numbers of the two columns alternate.)

    Returns
    -------
    float32 tensor (..., 3, 3)
    """
    first, second = numbers[..., :3], numbers[..., 3:]
    x = functional.normalize(first, dim=-1, eps=NORMALIZE_EPS)
    y = functional.normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1, eps=NORMALIZE_EPS)
    return torch.stack((x, y, torch.linalg.cross(x, y)), dim=-1)


def head_state(state, sizes):
    """Rename the released parameters to this module's names, and compute the constant initial query.

    Parameters
    ----------
    state : dict of str to tensor
        Parameters with the released names `mano_head.*`; others are ignored.
    sizes : settings.DecoderSizes

    Returns
    -------
    dict of str to tensor, for `Head.load_state_dict`
    """
    own = {name.removeprefix("mano_head."): value.float() for name, value in state.items() if name.startswith("mano_head.")}
    result = {}
    for index in range(sizes.depth):
        for part, layer in zip(("self_attention", "cross_attention", "feed_forward"), _layer_state(own, index, sizes), strict=True):
            result |= {f"layers.{index}.{part}.{name}": value for name, value in layer.items()}
    # The input token is zero, so its embedding is the bias.
    start = own["transformer.to_token_embedding.bias"] + own["transformer.pos_embedding"][0]
    with torch.device("meta"):
        first = SelfAttention(sizes)
    prefix = "layers.0.self_attention."
    first_state = {name.removeprefix(prefix): result.pop(name) for name in list(result) if name.startswith(prefix)}
    result["start"] = start + torch.func.functional_call(first, first_state, (start,))
    readouts = (("decpose", "init_hand_pose"), ("decshape", "init_betas"), ("deccam", "init_cam"))
    result["readout.weight"] = torch.cat([own[f"{name}.weight"] for name, _ in readouts])
    result["readout.bias"] = torch.cat([own[f"{name}.bias"] + own[initial][0] for name, initial in readouts])
    return result


def _layer_state(own, index, sizes):
    """Return the parameters of one layer by this module's names: three dicts, of self-attention, cross-attention and feed-forward.

    `own` contains the released parameters of the head without their prefix `mano_head.`; `index` is the number of the layer.
    """
    names = f"transformer.transformer.layers.{index}"

    def linear(ours, theirs):
        """Return weight and bias of the released layer `theirs` under the name `ours`."""
        return {f"{ours}.{kind}": own[f"{names}.{theirs}.{kind}"] for kind in ("weight", "bias")}

    key, value = own[f"{names}.1.fn.to_kv.weight"].reshape(2, sizes.heads, sizes.dim_head, sizes.context_dim)
    # Only the values are used. Queries and keys have no effect, because the softmax over one key is 1.
    to_v = own[f"{names}.0.fn.to_qkv.weight"][2 * sizes.inner_dim :]
    return (
        {"to_v.weight": to_v} | linear("norm", "0.norm") | linear("to_out", "0.fn.to_out.0"),
        {"to_q.weight": own[f"{names}.1.fn.to_q.weight"], "key": key, "value": value}
        | linear("norm", "1.norm")
        | linear("to_out", "1.fn.to_out.0"),
        linear("norm", "2.norm") | linear("fc1", "2.fn.net.0") | linear("fc2", "2.fn.net.3"),
    )
