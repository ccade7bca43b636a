"""Regression of positions and poses from audio features with one network: the row EmoTalk of the benchmark.

PianoMotion10M (Gan et al., ICLR 2025, Table 3) compares its model with EmoTalk (Z. Peng et al., "EmoTalk: Speech-Driven Emotional
Disentanglement for 3D Face Animation", ICCV 2023, arXiv:2303.11089): one network that regresses motion from audio features, without
diffusion. The code of this comparison is not public, and the paper describes it in one sentence. This module is therefore a
re-implementation:

- The decoder is EmoTalk's: transformer decoder layers after a periodic positional encoding (Y. Fan et al., "FaceFormer", CVPR 2022,
  arXiv:2112.05329), whose cross-attention is restricted to the same frame. The input of the decoder is also its memory, because there is
  no second encoder for emotions.
- Self-attention includes the whole window. EmoTalk's is limited to the past, but a hand moves before its note.
- Training is that of handroll's first stage: mean absolute errors of normalised motion and of its change from frame to frame.

The network has no noise. Where the audio leaves several motions possible, it predicts their median.

Axis letters: B clip in batch; T frame; F audio feature; C width of the context; D width of the decoder.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from handroll.models.audio_context import FeatureContext
from handroll.models.memory_decoder import DecoderLayer
from handroll.models.position import position_loss
from handroll.training_data.model_frame import N_POSE, N_POSITION

PERIOD_FRAMES = 30
"""Period of the positional encoding (frames), as in EmoTalk: 30 frames are 1 s at 30 Hz."""

MAX_WAVELENGTH = 10_000
"""Maximum wavelength of the sines of the positional encoding (frames), divided by 2 pi; A. Vaswani et al., "Attention Is All You Need",
NeurIPS 2017, section 3.5."""


@dataclass(frozen=True)
class RegressionSettings:
    """Settings of a `RegressionNetwork`.

    Attributes
    ----------
    features : int
        Number of audio features of a frame (F).
    context_width : int
        Number of channels of the context (C).
    context_layers : int
        Number of residual blocks of the `FeatureContext`. Use 0 for features of a speech encoder; F must equal C then.
    width : int
        Number of channels of the decoder (D); a multiple of `memory_decoder.HEADS`.
    layers : int
        Number of decoder layers.
    dropout : float
        Dropout rate of the context and the decoder.
    """

    features: int
    context_width: int = 768
    context_layers: int = 0
    width: int = 512
    layers: int = 8
    dropout: float = 0.1


class RegressionNetwork(nn.Module):
    """Network that predicts the positions and poses of both hands from audio features.

    Parameters
    ----------
    settings : RegressionSettings
    """

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        width = settings.width
        self.context = FeatureContext(settings.features, settings.context_width, settings.context_layers, settings.dropout)
        self.project = nn.Linear(settings.context_width, width)
        self.layers = nn.ModuleList(DecoderLayer(width, settings.dropout) for _ in range(settings.layers))
        self.head = nn.Linear(width, N_POSITION + N_POSE)

    def forward(self, features):
        """Predict a motion.

        Parameters
        ----------
        features : tensor (B, T, F)

        Returns
        -------
        position : tensor (B, T, 6)
            Normalised positions, right hand first.
        pose : tensor (B, T, 96)
            Normalised rotations, right hand first.
        """
        memory = self.project(self.context(features))
        frames = memory + periodic_encoding(memory.shape[1], memory.shape[2]).to(memory)
        for layer in self.layers:
            frames = layer(frames, memory)
        return self.head(frames).split([N_POSITION, N_POSE], dim=-1)


def periodic_encoding(frames, width):
    """Compute the periodic positional encoding: sines (even channels) and cosines (odd channels) of the frame number modulo the period.

    Parameters
    ----------
    frames : int
        Number of frames (T).
    width : int
        Number of channels (D); even.

    Returns
    -------
    float32 tensor (T, D)
    """
    frame = torch.arange(frames) % PERIOD_FRAMES
    angles = frame[:, None] * torch.exp(-math.log(MAX_WAVELENGTH) * torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def regression_loss(predicted, target, visible, velocity_weight=1.0):
    """Compute the loss: the sum of `models.position.position_loss` for positions and for poses.

    Parameters
    ----------
    predicted, target : (tensor (B, T, 6), tensor (B, T, 96))
        Normalised positions and poses. Targets of hidden hands may be NaN.
    visible : bool tensor (B, T, hand 2)
        Visibility of the right hand, then the left.
    velocity_weight : float
        Weight of the errors of the change from frame to frame.

    Returns
    -------
    scalar tensor
    """
    parts = zip(predicted, target, strict=True)
    return sum(position_loss(*part, visible, velocity_weight=velocity_weight) for part in parts)
