"""Stage one of PianoMotion10M's baseline: where both hands are, from the sound.

W. Gan et al., "PianoMotion10M: Dataset and Benchmark for Hand Motion Generation in Piano Performance", ICLR 2025.

Positions are normalised, whichever way the caller chooses: the released weights give shares of a scale, within -1..1
(`bounded`), and others may be trained on positions less their mean over their deviation, which have no bounds.

Axis letters: B clip in batch; T frame; F audio feature; C width of the context; D width of the decoder.
"""

from dataclasses import dataclass

import torch
from torch import nn

from handroll.models.audio_context import FeatureContext
from handroll.models.memory_decoder import new_decoder

POSITIONS = 6
"""Numbers of a frame: the right hand's x, y, z, then the left hand's."""

HEAD_WIDTH = 128
"""Between the two linear layers that read positions out; as released."""


@dataclass(frozen=True)
class PositionSettings:
    """Sizes of a `PositionPredictor`; all but the features as in the paper's base model by default.

    Attributes
    ----------
    features : int
        F.
    context_width : int
        C.
    context_layers : int
        Blocks of the `FeatureContext`; 0 for features of a speech encoder, where F is C.
    width : int
        D.
    decoder : str
        One of `memory_decoder.KINDS`.
    layers, state, feedforward : int
        As of `memory_decoder.new_decoder`.
    bounded : bool
        End in tanh.
    dropout : float
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
        # No nonlinearity between them, as released.
        self.head = nn.Sequential(nn.Linear(width, HEAD_WIDTH), nn.Linear(HEAD_WIDTH, POSITIONS))

    def forward(self, features, with_context=False, released=False):
        """Predict positions.

        Parameters
        ----------
        features : tensor (B, T, F)
        with_context : bool
            Return the context too, on which gestures may be conditioned.
        released : bool
            Mask as the released code does, see `memory_decoder`.

        Returns
        -------
        positions : tensor (B, T, 6)
            Normalised; right xyz, left xyz.
        context : tensor (B, T, C)
            Detached; only where asked for.
        """
        context = self.context(features)
        positions = self.head(self.decoder(self.project(context), released=released))
        positions = positions.tanh() if self.settings.bounded else positions
        return (positions, context.detach()) if with_context else positions


def position_loss(predicted, target, visible, position_weight=1.0, velocity_weight=1.0, released=False):
    """Mean absolute error of positions and of their change from frame to frame.

    Parameters
    ----------
    predicted, target : tensor (B, T, 6)
        Normalised; right xyz, left xyz. Targets may be NaN where a hand is hidden, except with `released`.
    visible : bool tensor (B, T, hand 2)
        Right, left.
    position_weight, velocity_weight : float
        1 and 1 as released.
    released : bool
        Take the change over all frames, hidden or not, as the released code does; else over neighbours that are both visible.

    Returns
    -------
    scalar tensor
        A term without a visible frame is 0.
    """
    error = (predicted - target).unflatten(-1, (2, 3))
    change = error[:, 1:] - error[:, :-1]
    both = torch.ones_like(visible[:, 1:]) if released else visible[:, 1:] & visible[:, :-1]
    return position_weight * _mean_absolute(error[visible]) + velocity_weight * _mean_absolute(change[both])


def _mean_absolute(error):
    """Mean of absolute values; 0 of nothing, with a gradient."""
    return error.abs().sum() / max(error.numel(), 1)
