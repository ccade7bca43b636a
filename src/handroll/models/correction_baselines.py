"""Comparison methods of MAPnet: interpolation, moving average, and an LSTM on pose or on pose and music.

Axis letters: see `correction_input`.
"""

from dataclasses import dataclass

import torch
from torch import nn

from handroll.models.correction_input import N_MOTION, N_TOKEN, corrected, fill_missing, to_full_rate
from handroll.training_data.model_frame import N_POSE, N_POSITION

AVERAGE_S = 0.1
"""Width of the moving average (s). A longer average flattens key strokes."""


@dataclass(frozen=True)
class LstmSettings:
    """Settings of an `LstmCorrector`. The paper does not state the size of its LSTM.

    Attributes
    ----------
    features, frames, every, music
        See `mapnet.MapnetSettings`.
    width : int
        Width of each direction.
    layers : int
        Number of layers.
    dropout : float
        Dropout rate between layers.
    """

    features: int
    frames: int = 150
    every: int = 1
    music: bool = True
    width: int = 256
    layers: int = 2
    dropout: float = 0.0


class LstmCorrector(nn.Module):
    """Bidirectional LSTM over the output frames. Its input is the interpolated motion of a frame, and the music of the same frame.

    Parameters
    ----------
    settings : LstmSettings
    """

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        channels = N_TOKEN + (settings.features if settings.music else 0)
        sizes = channels, settings.width, settings.layers
        self.lstm = nn.LSTM(*sizes, batch_first=True, bidirectional=True, dropout=settings.dropout if settings.layers > 1 else 0.0)
        self.head = nn.Linear(2 * settings.width, N_MOTION)
        # The untrained network returns the interpolated input.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, position, pose, observed, scale, music):
        """Correct a motion. Parameters and results: see `correction_input.corrected`. Without music, `music` is not used."""
        return corrected(self._difference, self.settings.every, position, pose, observed, scale, music)

    def _difference(self, tokens, music):
        """Predict the difference (B, T, `N_MOTION`) from tokens (B, I, `N_TOKEN`) and music (B, T, F)."""
        given = to_full_rate(tokens, self.settings.frames, self.settings.every)
        return self.head(self.lstm(torch.cat([given, music], dim=-1) if self.settings.music else given)[0])


def interpolated(position, pose, observed, frames, every):
    """Interpolate missing frames, and the output frames between input frames. This is the input that all models correct.

    Parameters
    ----------
    position, pose, observed : tensors (B, I, 6), (B, I, 96), (B, I, hand 2)
    frames, every : int
        See `mapnet.MapnetSettings`.

    Returns
    -------
    position : tensor (B, T, 6)
    pose : tensor (B, T, 96)
    """
    return tuple(to_full_rate(fill_missing(values, observed), frames, every) for values in (position, pose))


def moving_average(position, pose, observed, frames, every, rate_hz):
    """Average the interpolated motion over `AVERAGE_S`. Parameters and results: see `interpolated`; `rate_hz` is the full frame rate.

    At the ends of a window, the average includes only frames of the window.
    """
    motion = torch.cat(interpolated(position, pose, observed, frames, every), dim=-1)
    half = round(0.5 * AVERAGE_S * rate_hz)
    average = nn.functional.avg_pool1d(motion.mT, 2 * half + 1, stride=1, padding=half, count_include_pad=False).mT
    return average.split((N_POSITION, N_POSE), dim=-1)
