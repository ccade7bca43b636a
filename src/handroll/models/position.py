"""Stage one of PianoMotion10M's baseline: predicts the positions of both hands from audio features.

W. Gan et al., "PianoMotion10M: Dataset and Benchmark for Hand Motion Generation in Piano Performance", ICLR 2025.

Positions are normalised by the caller. The released weights predict positions divided by a constant, within -1..1 (`bounded`).
handroll trains on (position - mean) / standard deviation, which is unbounded.

Axis letters: B clip in batch; T frame; F audio feature; C width of the context; D width of the decoder.
"""

from dataclasses import dataclass

import torch
from torch import nn

from handroll.models.audio_context import FeatureContext
from handroll.models.memory_decoder import new_decoder

POSITIONS = 6
"""Channels of a frame: the right hand's x, y, z, then the left hand's."""

HEAD_WIDTH = 128
"""Width between the two linear layers of the output head; as released."""


@dataclass(frozen=True)
class PositionSettings:
    """Sizes of a `PositionPredictor`. The defaults are those of the paper's base model.

    Attributes
    ----------
    features : int
        F.
    context_width : int
        C.
    context_layers : int
        Blocks of the `FeatureContext`; 0 for features of a speech encoder, where F equals C.
    width : int
        D.
    decoder : str
        One of `memory_decoder.KINDS`.
    layers, state, feedforward : int
        As of `memory_decoder.new_decoder`.
    bounded : bool
        Apply tanh to the output.
    dropout : float
        Dropout rate of context and decoder.
    """

    features: int
    context_width: int = 768
    context_layers: int = 0
    width: int = 512
    decoder: str = "transformer"
    layers: int = 4
    state: int = 16
    feedforward: int = 2048
    bounded: bool = False
    dropout: float = 0.1


class PositionPredictor(nn.Module):
    """Positions of both hands from audio features.

    Parameters
    ----------
    settings : PositionSettings
    """

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        width = settings.width
        self.context = FeatureContext(settings.features, settings.context_width, settings.context_layers, settings.dropout)
        self.project = nn.Linear(settings.context_width, width)
        self.decoder = new_decoder(settings.decoder, width, settings.layers, settings.state, settings.feedforward, settings.dropout)
        # No nonlinearity between the two layers, as released.
        self.head = nn.Sequential(nn.Linear(width, HEAD_WIDTH), nn.Linear(HEAD_WIDTH, POSITIONS))

    def forward(self, features, with_context=False, released=False):
        """Predict positions.

        Parameters
        ----------
        features : tensor (B, T, F)
        with_context : bool
            Also return the context, which can condition gestures.
        released : bool
            Mask as the released code does; see `memory_decoder`.

        Returns
        -------
        positions : tensor (B, T, 6)
            Normalised; right xyz, left xyz.
        context : tensor (B, T, C)
            Detached; only with `with_context`.
        """
        context = self.context(features)
        positions = self.head(self.decoder(self.project(context), released=released))
        positions = positions.tanh() if self.settings.bounded else positions
        return (positions, context.detach()) if with_context else positions


def position_loss(predicted, target, visible, position_weight=1.0, velocity_weight=1.0, released=False):
    """Mean absolute error of positions plus weighted mean absolute error of their change from frame to frame.

    Parameters
    ----------
    predicted, target : tensor (B, T, 6)
        Normalised; right xyz, left xyz. Targets of hidden hands may be NaN, except with `released`.
    visible : bool tensor (B, T, hand 2)
        Right, left.
    position_weight, velocity_weight : float
        1 and 1 as released.
    released : bool
        Include the change between all frames, as the released code does. Otherwise both frames must be visible.

    Returns
    -------
    scalar tensor
        A term without visible frames is 0.
    """
    error = (predicted - target).unflatten(-1, (2, 3))
    change = error[:, 1:] - error[:, :-1]
    both = torch.ones_like(visible[:, 1:]) if released else visible[:, 1:] & visible[:, :-1]
    return position_weight * _mean_absolute(error[visible]) + velocity_weight * _mean_absolute(change[both])


def _mean_absolute(error):
    """Mean absolute value; 0, with a gradient, if empty."""
    return error.abs().sum() / max(error.numel(), 1)
