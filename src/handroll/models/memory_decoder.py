"""The decoder that position predictor and gesture generator share: it relates the frames of a clip to each other.

It is the transformer of PianoMotion10M's baseline (Gan et al., ICLR 2025): an encoder makes a memory of the clip, and a
decoder goes over the clip again, seeing of the memory only the frame that it is at. Or it is one state-space block instead.

A cross-attention that sees a single frame needs no attention: the softmax over one key is 1, so it is a linear map of that
frame, and its queries and keys are never computed. The parameters are all there, as in `nn.MultiheadAttention`.

**Masks.** Frames see the whole clip, whatever the size of the batch, which is how the released weights were trained.
The released code masks the decoder's self-attention where the batch holds one clip only; `released=True` does so too.

Axis letters: B clip in batch; T frame; D width; H attention head.
"""

import torch
from torch import nn
from torch.nn import functional

from handroll.models.ssm import SelectiveStateSpace

HEADS = 4
"""As released."""

PERIOD_FRAMES = 30
"""The released mask falls by one slope with every so many frames: a second."""

KINDS = ("transformer", "ssm")
"""Decoders that `new_decoder` makes."""


def new_decoder(kind, width, layers, state, feedforward, dropout):
    """A decoder of one of the `KINDS`, which takes and gives (B, T, D).

    Parameters
    ----------
    kind : str
        "transformer", or "ssm": one state-space block.
    width : int
        D.
    layers : int
        Of a transformer's encoder, and as many of its decoder.
    state : int
        Of a state-space block's channel.
    feedforward : int
        Hidden width of the feed-forward in a transformer's encoder; that in its decoder is D, as released.
    dropout : float
        Of a transformer.

    Returns
    -------
    MemoryDecoder or StateSpaceDecoder

    Raises
    ------
    ValueError
        There is no such kind.
    """
    if kind == "transformer":
        return MemoryDecoder(width, layers, feedforward, dropout)
    if kind == "ssm":
        return StateSpaceDecoder(width, state)
    raise ValueError(f"decoder: expected one of {', '.join(KINDS)}, found {kind!r}")


class StateSpaceDecoder(SelectiveStateSpace):
    """One state-space block in a decoder's place."""

    def forward(self, frames, released=False):
        """Transform frames (B, T, D) into (B, T, D); the released forward is the same."""
        return super().forward(frames)


class MemoryDecoder(nn.Module):
    """Transformer encoder and decoder.

    Parameters
    ----------
    width, layers, feedforward, dropout
        As of `new_decoder`; the width is a multiple of `HEADS`.
    """

    def __init__(self, width, layers, feedforward, dropout):
        super().__init__()
        encoder_layer = nn.TransformerEncoderLayer(width, HEADS, feedforward, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(encoder_layer, layers, enable_nested_tensor=False)
        self.layers = nn.ModuleList(DecoderLayer(width, dropout) for _ in range(layers))

    def forward(self, frames, released=False):
        """Relate the frames of each clip.

        Parameters
        ----------
        frames : tensor (B, T, D)
        released : bool
            Mask the self-attention of a batch of one clip, as the released code does.

        Returns
        -------
        tensor (B, T, D)
        """
        memory = self.encoder(frames)
        mask = released_mask(frames.shape[1]).to(frames) if released and len(frames) == 1 else None
        for layer in self.layers:
            frames = layer(frames, memory, mask)
        return frames


class DecoderLayer(nn.Module):
    """`nn.TransformerDecoderLayer` (post-norm, ReLU) with a memory mask that leaves each frame its own memory.

    Parameters
    ----------
    width, dropout
        As of `new_decoder`.
    """

    def __init__(self, width, dropout):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, HEADS, dropout, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(width, HEADS, dropout, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, width), nn.Linear(width, width)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames, memory, mask=None):
        """Update the frames.

        Parameters
        ----------
        frames, memory : tensor (B, T, D)
        mask : tensor (H, T, T), optional
            Added to the scores of the self-attention of a batch of one clip.

        Returns
        -------
        tensor (B, T, D)
        """
        attended, _ = self.self_attn(frames, frames, frames, attn_mask=mask, need_weights=False)
        frames = self.norm1(frames + self.dropout(attended))
        frames = self.norm2(frames + self.dropout(self._own_memory(memory)))
        return self.norm3(frames + self.dropout(self.linear2(self.dropout(functional.relu(self.linear1(frames))))))

    def _own_memory(self, memory):
        """Cross-attention of each frame to its own memory (B, T, D): value and output projection."""
        attention = self.multihead_attn
        *_, weight = attention.in_proj_weight.chunk(3)
        *_, bias = attention.in_proj_bias.chunk(3)
        value = functional.linear(memory, weight, bias)
        # Attention drops out its weights, of which each head has one here.
        heads = functional.dropout1d(value.flatten(0, 1).unflatten(-1, (HEADS, -1)), attention.dropout, self.training)
        return attention.out_proj(heads.reshape(value.shape))


def released_mask(frames):
    """The mask of the released code: the past weighs less the longer ago it is, and the future is not seen.

    The slopes are those of O. Press et al., "Train Short, Test Long", ICLR 2022, arXiv:2108.12409, for `HEADS` heads.

    Parameters
    ----------
    frames : int
        T.

    Returns
    -------
    float32 tensor (H, T, T)
        Head, frame that looks, frame that is looked at; -inf where it is later.
    """
    slopes = 2.0 ** (-8.0 / HEADS * torch.arange(1, HEADS + 1))
    frame = torch.arange(frames)
    ago = frame[:, None] - frame
    bias = -slopes[:, None, None] * (ago // PERIOD_FRAMES)
    return bias.masked_fill(ago < 0, -torch.inf)
