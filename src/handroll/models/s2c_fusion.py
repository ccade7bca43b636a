"""Attention that fuses the two hands of the model S2C at the lowest level of its denoisers.

Z. Liu et al., "Separate to Collaborate: Dual-Stream Diffusion Model for Coordinated Piano Hand Motion Synthesis", ACM MM 2025,
arXiv:2504.09885. Both modules compute the result of one hand ("own") from its frames and from those of the other hand.

Axis letters: B clip in batch; T frame; W channel of the lowest level; H attention head; K channel of a head.
"""

import torch
from torch import nn
from torch.nn import functional

HEADS = 8
"""Number of attention heads, as in the released network."""

LAMBDA_OFFSET = 0.1
"""Constant part of the weight of the other hand's attention in `AsymmetricAttention`, as in the released network."""

LAMBDA_SPREAD = 0.1
"""Standard deviation of the initial vectors that determine the weight of the other hand's attention, as in the released network."""


class CrossAttention(nn.Module):
    """Cross-attention: queries of the own hand, keys and values of the other.

    The result is added to the own frames and normalised. Two linear layers without a residual connection follow, as in the released
    network.

    Parameters
    ----------
    width : int
        Number of channels (W); a multiple of `HEADS`.
    """

    def __init__(self, width):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.mlp = _new_mlp(width)

    def forward(self, own, other):
        """Fuse frames (B, W, T) of the own and of the other hand. Return a tensor (B, W, T)."""
        own, other = own.transpose(1, 2), other.transpose(1, 2)
        attended, _ = self.attention(own, other, other, need_weights=False)
        return self.mlp(self.norm(attended + own)).transpose(1, 2)


class AsymmetricAttention(nn.Module):
    """Hand-coordinated asymmetric attention (HCAA): self-attention of the own hand minus lambda times self-attention of the other.

    Each self-attention is restricted to the frames of its hand. lambda is one learned number for all heads. There is no residual
    connection, as in the released network.

    Parameters
    ----------
    width : int
        Number of channels (W); a multiple of `HEADS`.
    causal : bool
        Whether to restrict attention to the same and to earlier frames, as the released code does.
    """

    def __init__(self, width, causal=False):
        super().__init__()
        self.causal = causal
        self.query_own, self.key_own, self.value_own = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.query_other, self.key_other, self.value_other = (nn.Linear(width, width, bias=False) for _ in range(3))
        vectors = (nn.Parameter(LAMBDA_SPREAD * torch.randn(width // HEADS)) for _ in range(4))
        self.lambda_query_own, self.lambda_key_own, self.lambda_query_other, self.lambda_key_other = vectors
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width, bias=False)
        self.mlp = _new_mlp(width)

    def forward(self, own, other):
        """Fuse frames (B, W, T) of the own and of the other hand. Return a tensor (B, W, T)."""
        own, other = own.transpose(1, 2), other.transpose(1, 2)
        attended = self._attend(self.query_own(own), self.key_own(own), self.value_own(own))
        foreign = self._attend(self.query_other(other), self.key_other(other), self.value_other(other))
        difference = (attended - self.other_weight() * foreign).transpose(1, 2).flatten(2)
        return self.mlp(self.out(self.norm(difference))).transpose(1, 2)

    def other_weight(self):
        """Return lambda, the weight of the other hand's attention, a scalar tensor."""
        own = (self.lambda_query_own * self.lambda_key_own).sum().exp()
        other = (self.lambda_query_other * self.lambda_key_other).sum().exp()
        return own - other + LAMBDA_OFFSET

    def _attend(self, query, key, value):
        """Apply self-attention to queries, keys and values (B, T, W). Return (B, H, T, K)."""
        heads = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (query, key, value))
        return functional.scaled_dot_product_attention(*heads, is_causal=self.causal)


def _new_mlp(width):
    """Create the two linear layers at the end of both modules."""
    return nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
