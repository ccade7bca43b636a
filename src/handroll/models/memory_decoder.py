"""Decoders of the position predictor and the gesture generator: networks that add information from the whole clip to every frame.

There are two kinds: the encoder-decoder transformer of PianoMotion10M's baseline (Gan et al., ICLR 2025), and one state-space block. The
transformer's encoder layers compute a memory: a vector for each frame, with information from the whole clip. In the transformer's decoder
layers, the cross-attention of a frame is restricted to the same frame of the memory.

Cross-attention to a single frame is a linear map of that frame, because the softmax over one key is 1. Queries and keys are therefore
not computed. Their parameters exist nevertheless, so that released weights can be loaded.

**Masks.** Self-attention includes the whole clip for every batch size, as in the training of the released weights. The released
code masks the self-attention of the decoder layers if the batch contains a single clip. `released=True` reproduces this.

Axis letters: B clip in batch; T frame; D width; H attention head.
"""

import torch
from torch import nn
from torch.nn import functional

from handroll.models.ssm import SelectiveStateSpace

HEADS = 4
"""Number of attention heads, as in the released network."""

PERIOD_FRAMES = 30
"""Distance in time (frames) after which the penalty of the released mask grows by the slope of the head: 30 frames are 1 s at 30 Hz."""

KINDS = ("transformer", "ssm")
"""Names of the decoders that `new_decoder` creates."""


def new_decoder(kind, width, layers, state, feedforward, dropout):
    """Create a decoder, a module that maps (B, T, D) to (B, T, D).

    Parameters
    ----------
    kind : str
        "transformer", or "ssm" for one state-space block.
    width : int
        Number of channels (D).
    layers : int
        Number of layers of a transformer's encoder, and of its decoder.
    state : int
        State size of each channel of a state-space block. Not used by a transformer.
    feedforward : int
        Hidden width of the feed-forward layers in a transformer's encoder. In its decoder the hidden width is D, as in the released
        network.
    dropout : float
        Dropout rate of a transformer.

    Returns
    -------
    MemoryDecoder or StateSpaceDecoder

    Raises
    ------
    ValueError
        Unknown kind.
    """
    if kind == "transformer":
        return MemoryDecoder(width, layers, feedforward, dropout)
    if kind == "ssm":
        return StateSpaceDecoder(width, state)
    raise ValueError(f"decoder: expected one of {', '.join(KINDS)}, found {kind!r}")


class StateSpaceDecoder(SelectiveStateSpace):
    """A single state-space block with the interface of `MemoryDecoder`."""

    def forward(self, frames, released=False):
        """Apply the block to frames (B, T, D); the shape is unchanged. `released` has no effect."""
        return super().forward(frames)


class MemoryDecoder(nn.Module):
    """Transformer with an encoder, which computes the memory, and a decoder.

    Parameters
    ----------
    width, layers, feedforward, dropout
        See `new_decoder`. The width is a multiple of `HEADS`.
    """

    def __init__(self, width, layers, feedforward, dropout):
        super().__init__()
        encoder_layer = nn.TransformerEncoderLayer(width, HEADS, feedforward, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(encoder_layer, layers, enable_nested_tensor=False)
        self.layers = nn.ModuleList(DecoderLayer(width, dropout) for _ in range(layers))

    def forward(self, frames, released=False):
        """Apply the transformer to the frames of each clip.

        Parameters
        ----------
        frames : tensor (B, T, D)
        released : bool
            If the batch contains a single clip, mask its self-attention as the released code does.

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
    """`nn.TransformerDecoderLayer` (post-norm, ReLU) whose cross-attention is restricted to the same frame of the memory.

    Parameters
    ----------
    width, dropout
        See `new_decoder`.
    """

    def __init__(self, width, dropout):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, HEADS, dropout, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(width, HEADS, dropout, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, width), nn.Linear(width, width)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames, memory, mask=None):
        """Apply the layer to frames.

        Parameters
        ----------
        frames, memory : tensor (B, T, D)
        mask : tensor (H, T, T), optional
            Added to the self-attention scores. Only for a batch of one clip.

        Returns
        -------
        tensor (B, T, D)
        """
        attended, _ = self.self_attn(frames, frames, frames, attn_mask=mask, need_weights=False)
        frames = self.norm1(frames + self.dropout(attended))
        frames = self.norm2(frames + self.dropout(self._same_frame_attention(memory)))
        return self.norm3(frames + self.dropout(self.linear2(self.dropout(functional.relu(self.linear1(frames))))))

    def _same_frame_attention(self, memory):
        """Compute the cross-attention (B, T, D) of each frame to the same frame of the memory: value and output projection only."""
        attention = self.multihead_attn
        *_, weight = attention.in_proj_weight.chunk(3)
        *_, bias = attention.in_proj_bias.chunk(3)
        value = functional.linear(memory, weight, bias)
        # Attention applies dropout to attention weights. Each head has a single weight here, so dropout acts on whole heads.
        heads = functional.dropout1d(value.flatten(0, 1).unflatten(-1, (HEADS, -1)), attention.dropout, self.training)
        return attention.out_proj(heads.reshape(value.shape))


def released_mask(frames):
    """Compute the self-attention mask of the released code: causal, with a penalty that grows with the distance in time.

    The slopes of the penalty are those of O. Press et al., "Train Short, Test Long", ICLR 2022, arXiv:2108.12409, for `HEADS` heads.

    Parameters
    ----------
    frames : int
        Number of frames (T).

    Returns
    -------
    float32 tensor (H, T, T)
        Axes: head, query frame, key frame; -inf where the key is later than the query.
    """
    slopes = 2.0 ** (-8.0 / HEADS * torch.arange(1, HEADS + 1))
    frame = torch.arange(frames)
    ago = frame[:, None] - frame
    bias = -slopes[:, None, None] * (ago // PERIOD_FRAMES)
    return bias.masked_fill(ago < 0, -torch.inf)
