"""Input block of a decoder: adds temporal context and a positional embedding to the features of single frames.

Axis letters: B clip in batch; T frame; F audio feature; D width.
"""

from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

KERNEL = 5
"""Kernel size of the convolutions of a residual block, in frames: 5 frames are 0.17 s at 30 Hz."""

POSITION_KERNEL = 65
"""Kernel size of the positional embedding, in frames: 65 frames are 2.2 s at 30 Hz. The number is odd, so that the kernel is centred.
wav2vec 2.0 uses 128 frames at 50 Hz (2.6 s)."""

POSITION_GROUPS = 16
"""Number of groups of the convolution that computes the positional embedding, as in wav2vec 2.0."""


class FeatureContext(nn.Module):
    """Residual convolutions over time, then a convolutional positional embedding.

    A convolution computes the embedding of a frame from its neighbouring frames (A. Baevski et al., "wav2vec 2.0", NeurIPS 2020,
    arXiv:2006.11477, section 2). The decoder that follows has no positional embedding.

    Parameters
    ----------
    features : int
        Number of audio features of a frame (F).
    width : int
        Number of output channels (D); a multiple of `POSITION_GROUPS` unless `layers` is 0.
    layers : int
        Number of residual blocks. With 0 the features are returned unchanged, and F must equal D. Use 0 for a speech encoder, whose
        features already contain temporal context.
    dropout : float
        Dropout rate in a block.

    Raises
    ------
    ValueError
        With 0 layers, F differs from D. With layers, D is not a multiple of `POSITION_GROUPS`.
    """

    def __init__(self, features, width, layers, dropout=0.1):
        super().__init__()
        if layers == 0 and features != width:
            raise ValueError(
                f"audio context without layers: expected width {width} to equal the number of features, found {features} features; "
                "set context_layers above 0, or set the width to the number of features"
            )
        if layers > 0 and width % POSITION_GROUPS:
            raise ValueError(f"audio context: expected a width that is a multiple of {POSITION_GROUPS}, found {width}; change the width")
        self.layers = layers
        if layers == 0:
            return
        self.project = nn.Linear(features, width)
        self.blocks = nn.ModuleList(_Block(width, dropout) for _ in range(layers))
        self.position_embedding = weight_norm(
            nn.Conv1d(width, width, POSITION_KERNEL, padding=POSITION_KERNEL // 2, groups=POSITION_GROUPS), dim=2
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, features):
        """Add context and positional embedding to features.

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
        embedding = self.position_embedding(frames.transpose(1, 2)).transpose(1, 2)
        return self.norm(frames + functional.gelu(embedding))


class _Block(nn.Module):
    """Residual block: norm and two convolutions over time, added to the input."""

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
        """Apply the block to frames (B, T, D); the shape is unchanged."""
        return frames + self.convolutions(self.norm(frames).transpose(1, 2)).transpose(1, 2)
