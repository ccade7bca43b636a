"""First stage of PianoMotion10M's baseline: a network that predicts the positions of both hands from audio features.

W. Gan et al., "PianoMotion10M: Dataset and Benchmark for Hand Motion Generation in Piano Performance", ICLR 2025.

The network works with normalised positions. For the released weights, these are positions divided by a constant, limited to -1..1
(`bounded`). For handroll's own training, they are (position - mean) / standard deviation, without limits.

Axis letters: B clip in batch; T frame; F audio feature; C width of the context; D width of the decoder.
"""

from dataclasses import dataclass

import torch
from torch import nn

from handroll.models.audio_context import FeatureContext
from handroll.models.memory_decoder import new_decoder

POSITIONS = 6
"""Number of position channels of a frame: x, y, z of the right hand, then of the left hand."""

HEAD_WIDTH = 128
"""Number of channels between the two linear layers of the output, as in the released network."""


@dataclass(frozen=True)
class PositionSettings:
    """Settings of a `PositionPredictor`. The defaults are those of the paper's base model.

    Attributes
    ----------
    features : int
        Number of audio features of a frame (F).
    context_width : int
        Number of channels of the context (C).
    context_layers : int
        Number of residual blocks of the `FeatureContext`. Use 0 for features of a speech encoder; F must equal C then.
    width : int
        Number of channels of the decoder (D).
    decoder : str
        Kind of the decoder, one of `memory_decoder.KINDS`.
    layers, state, feedforward : int
        Sizes of the decoder; see `memory_decoder.new_decoder`.
    bounded : bool
        Whether to apply tanh to the output.
    dropout : float
        Dropout rate of the context and the decoder.
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
    """Network that predicts the positions of hands from audio features.

    Parameters
    ----------
    settings : PositionSettings
    positions : int
        Number of position channels: `POSITIONS` for both hands, half of them for a single hand.
    """

    def __init__(self, settings, positions=POSITIONS):
        super().__init__()
        self.settings = settings
        width = settings.width
        self.context = FeatureContext(settings.features, settings.context_width, settings.context_layers, settings.dropout)
        self.project = nn.Linear(settings.context_width, width)
        self.decoder = new_decoder(settings.decoder, width, settings.layers, settings.state, settings.feedforward, settings.dropout)
        # As in the released network, there is no nonlinearity between the two layers.
        self.head = nn.Sequential(nn.Linear(width, HEAD_WIDTH), nn.Linear(HEAD_WIDTH, positions))

    def forward(self, features, with_context=False, released=False):
        """Predict positions.

        Parameters
        ----------
        features : tensor (B, T, F)
        with_context : bool
            Whether to return the context as well, which can be the condition of the gesture generator.
        released : bool
            Mask the self-attention as the released code does; see `memory_decoder`.

        Returns
        -------
        positions : tensor (B, T, 6), or (B, T, 3) for a single hand
            Normalised positions: xyz of the right hand, then of the left.
        context : tensor (B, T, C)
            Context of the frames, without gradient. Only returned if `with_context` is true.
        """
        context = self.context(features)
        positions = self.head(self.decoder(self.project(context), released=released))
        positions = positions.tanh() if self.settings.bounded else positions
        return (positions, context.detach()) if with_context else positions


def position_loss(predicted, target, visible, position_weight=1.0, velocity_weight=1.0, released=False):
    """Compute the loss: weighted mean absolute errors of positions and of their change from frame to frame.

    A term without visible frames is 0.

    Parameters
    ----------
    predicted, target : tensor (B, T, channel)
        Normalised positions: xyz of the right hand, then of the left. Targets of hidden hands may be NaN unless `released` is true. The
        loss also suits other channels, with equal numbers for each hand, such as poses.
    visible : bool tensor (B, T, hand)
        Visibility of the right hand, then the left. Both hands, or a single one.
    position_weight, velocity_weight : float
        Weights of the two errors. The released code uses 1 for both.
    released : bool
        Whether to include the change between all successive frames, as the released code does. Otherwise the hand must be visible in
        both frames.

    Returns
    -------
    scalar tensor
    """
    error = (predicted - target).unflatten(-1, (visible.shape[-1], -1))
    change = error[:, 1:] - error[:, :-1]
    both = torch.ones_like(visible[:, 1:]) if released else visible[:, 1:] & visible[:, :-1]
    return position_weight * _mean_absolute(error[visible]) + velocity_weight * _mean_absolute(change[both])


def _mean_absolute(error):
    """Compute the mean absolute value. For an empty tensor it is 0, and can still be differentiated."""
    return error.abs().sum() / max(error.numel(), 1)
