"""MAPnet: correct the motion of both hands with music (Shrestha et al., "AIMusicGuru: Music Assisted Human Pose Correction").

Two transformers encode the input frames and the music. A rebalancing layer maps both along time to the same number of steps. A third
transformer without positional encoding receives both, one after the other in time. Three fully connected layers give the motion at the
full frame rate. The number of layers of the first two and of the third decides how late the streams meet. The paper compares early fusion
(2 and 12 layers), balanced fusion (7 and 7) and late fusion (12 and 2), which has the lowest errors.

The paper states the widths, the number of layers and the window. It does not state the number of heads, the width of the feed-forward
layers, the order of normalisation, or the axes of the fully connected layers. Here they are 8, 640, before each part, and: one along time,
then two along channels. The layers along time start as linear interpolation, so that every step starts with its own time. Input and output
are those of `correction_input`: rotations instead of joint positions, and differences from the interpolated input. Without music, the
network is the comparison method "transformer on pose only".

Axis letters: B window; I input frame; T output frame; F music feature; H step after rebalancing; D width.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from handroll.models.correction_input import N_MOTION, N_TOKEN, corrected, input_frames, interpolation_weights


@dataclass(frozen=True)
class MapnetSettings:
    """Settings of a `Mapnet`. The defaults are those of the paper for windows of 3 s at 50 Hz.

    Attributes
    ----------
    features : int
        Number of music features of a frame (F).
    frames : int
        Number of output frames of a window (T).
    every : int
        Number of output frames for each input frame: 1, 2, 3 for the paper's frame rate ratios tau 1.0, 0.5, 0.33.
    music : bool
        Whether the network receives music.
    rebalanced : bool
        Whether the rebalancing layer is used. Without it, the streams keep their I and T steps.
    steps : int
        Number of steps of each stream after the rebalancing layer (H).
    width : int
        Width of the transformers (D).
    layers : int
        Number of layers of the pose transformer, and of the music transformer.
    fusion_layers : int
        Number of layers of the fusion transformer.
    heads : int
        Number of attention heads.
    feedforward : int
        Width of the feed-forward layers.
    dropout : float
        Dropout rate.
    """

    features: int
    frames: int = 150
    every: int = 1
    music: bool = True
    rebalanced: bool = True
    steps: int = 150
    width: int = 160
    layers: int = 12
    fusion_layers: int = 2
    heads: int = 8
    feedforward: int = 640
    dropout: float = 0.1


class Mapnet(nn.Module):
    """Network that corrects a motion with music, or from the motion alone.

    Parameters
    ----------
    settings : MapnetSettings
    """

    token_width = N_TOKEN
    """Number of values of an input frame."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        frames, every, width = settings.frames, settings.every, settings.width
        inputs, outputs = every * np.arange(input_frames(frames, every)), np.arange(frames)
        streams = {"pose": (self.token_width, inputs)} | ({"music": (settings.features, outputs)} if settings.music else {})
        self.embeddings = nn.ModuleDict({name: nn.Linear(channels, width) for name, (channels, _) in streams.items()})
        self.transformers = nn.ModuleDict({name: _transformer(settings, settings.layers) for name in streams})
        times = {name: known for name, (_, known) in streams.items()}
        if settings.rebalanced:
            steps = np.linspace(0, frames - 1, settings.steps)
            self.rebalancing = nn.ModuleDict({name: _along_time(steps, [known]) for name, known in times.items()})
            times = dict.fromkeys(times, steps)
        self.fusion = _transformer(settings, settings.fusion_layers)
        self.to_frames = _along_time(outputs, list(times.values()))
        self.hidden = nn.Linear(width, width)
        self.head = nn.Linear(width, N_MOTION)
        # The untrained network returns the interpolated input.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, position, pose, observed, scale, music):
        """Correct a motion. Parameters and results: see `correction_input.corrected`. Without music, `music` is not used."""
        return corrected(self._difference, self.settings.every, position, pose, observed, scale, music)

    def _difference(self, tokens, music):
        """Predict the difference (B, T, `N_MOTION`) from tokens (B, I, `token_width`) and music (B, T, F)."""
        given, every = {"pose": tokens, "music": music}, {"pose": self.settings.every, "music": 1}
        streams = []
        for name, embedding in self.embeddings.items():
            stream = embedding(given[name])
            stream = self.transformers[name](stream + _positional_encoding(stream, every[name]))
            streams.append(self.rebalancing[name](stream.mT).mT if self.settings.rebalanced else stream)
        fused = self.fusion(torch.cat(streams, dim=1))
        return self.head(nn.functional.gelu(self.hidden(self.to_frames(fused.mT).mT)))


def _transformer(settings, layers):
    """Create a transformer encoder: a module that maps (B, step, D) to the same shape."""
    sizes = settings.width, settings.heads, settings.feedforward, settings.dropout
    made = [nn.TransformerEncoderLayer(*sizes, "gelu", batch_first=True, norm_first=True) for _ in range(layers)]
    return nn.Sequential(*made, nn.LayerNorm(settings.width))


def _along_time(wanted, streams):
    """Create a linear layer from the steps of streams, one after the other, to the times `wanted`.

    `streams` contains the times of each stream. The initial weights are those of the mean of the streams, interpolated linearly.
    """
    layer = nn.Linear(sum(map(len, streams)), len(wanted))
    # A layer on torch's device "meta" gets its weights from a file, whose header may state any length of a window.
    if not layer.weight.is_meta:
        with torch.no_grad():
            layer.weight.copy_(torch.cat([interpolation_weights(wanted, known) / len(streams) for known in streams], dim=1))
            layer.bias.zero_()
    return layer


def _positional_encoding(stream, every):
    """Return the sinusoids (step, D) of Vaswani et al. 2017 (arXiv:1706.03762) for steps that are `every` output frames apart."""
    steps, width = stream.shape[1:]
    frame = every * torch.arange(steps, device=stream.device, dtype=torch.float32)
    rate = torch.exp(-math.log(10_000.0) / width * torch.arange(0, width, 2, device=stream.device, dtype=torch.float32))
    angle = frame[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)[:, :width].to(stream.dtype)
