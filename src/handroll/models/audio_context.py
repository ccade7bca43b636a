"""What stands before a decoder: features of single frames become features that know their surroundings and their place.

Axis letters: B clip in batch; T frame; F audio feature; D width.
"""

from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

KERNEL = 5
"""Frames that a convolution sees, 0.17 s at 30 Hz; two of them in a block."""

PLACE_KERNEL = 65
"""Frames that the positional embedding sees: 2.2 s at 30 Hz, where wav2vec 2.0 has 128 of 50 Hz (2.6 s). Odd, so that it is centred."""

PLACE_GROUPS = 16
"""Groups of the positional embedding; as in wav2vec 2.0."""


class FeatureContext(nn.Module):
    """Residual convolutions over time, then a convolutional positional embedding.

    The embedding is that of A. Baevski et al., "wav2vec 2.0", NeurIPS 2020, arXiv:2006.11477, section 2: a frame's place is
    told by what is around it. The decoder behind it has none of its own.

    Parameters
    ----------
    features : int
        F.
    width : int
        D; a multiple of `PLACE_GROUPS`, where there are layers.
    layers : int
        Residual blocks. 0: the features go through as they are, as those of a speech encoder do, which know their
        surroundings already; F is D then.
    dropout : float
        Share of a block's channels that training drops.

    Raises
    ------
    ValueError
        The sizes do not fit.
    """

    def __init__(self, features, width, layers, dropout=0.1):
        super().__init__()
        if layers == 0 and features != width:
            raise ValueError(
                f"context of 0 layers: expected as many features as the width, {width}, found {features}; give it a layer or that width"
            )
        if layers > 0 and width % PLACE_GROUPS:
            raise ValueError(f"context: expected a width that is a multiple of {PLACE_GROUPS}, found {width}")
        self.layers = layers
        if layers == 0:
            return
        self.project = nn.Linear(features, width)
        self.blocks = nn.ModuleList(_Block(width, dropout) for _ in range(layers))
        self.place = weight_norm(nn.Conv1d(width, width, PLACE_KERNEL, padding=PLACE_KERNEL // 2, groups=PLACE_GROUPS), dim=2)
        self.norm = nn.LayerNorm(width)

    def forward(self, features):
        """Look around in time.

        Parameters
        ----------
        features : tensor (B, T, F)

        Returns
        -------
        tensor (B, T, D)
        """
        if self.layers == 0:
            return features
        frames = self.project(features)
        for block in self.blocks:
            frames = block(frames)
        place = self.place(frames.transpose(1, 2)).transpose(1, 2)
        return self.norm(frames + functional.gelu(place))


class _Block(nn.Module):
    """Two convolutions, added to what they see."""

    def __init__(self, width, dropout):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.convolutions = nn.Sequential(
            nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2),
        )

    def forward(self, frames):
        """Transform frames (B, T, D) into (B, T, D)."""
        return frames + self.convolutions(self.norm(frames).transpose(1, 2)).transpose(1, 2)
