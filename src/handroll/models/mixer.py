"""Denoiser of hand poses with an MLP-mixer in place of the U-Net: the row LivelySpeaker of the benchmark.

PianoMotion10M (Gan et al., ICLR 2025, Table 3) compares its model with LivelySpeaker (Y. Zhi et al., "LivelySpeaker: Towards
Semantic-Aware Co-Speech Gesture Generation", ICCV 2023, arXiv:2309.09294), whose diffusion model is a stack of multi-layer perceptrons.
The code of this comparison is not public, and the paper describes it in one sentence. This module is therefore a re-implementation:

- The condition, the guide and the first stage are those of handroll's U-Net, so that the two models differ in the backbone only.
- As in LivelySpeaker, a block mixes the frames of each channel, then the channels of each frame, and every block receives the embedding
  of the diffusion step. The blocks themselves are those of I. Tolstikhin et al., "MLP-Mixer", NeurIPS 2021, arXiv:2105.01601, with two
  layers and a residual connection for each of the two mixings.
- LivelySpeaker's text branch, speaker embedding and start frames have no counterpart here.

The weights of a mixer depend on the position of a frame in the window, so the number of frames is fixed. Longer motions are blended from
windows (`models.two_stage`).

Axis letters: B clip in batch; T frame; M channel of the motion; C width of the condition; G channel of the guide; W width of the mixer.
"""

from dataclasses import dataclass

import torch
from torch import nn

from handroll.models.denoiser import Denoiser, DenoiserSettings
from handroll.models.gesture import StepEmbedding

EXPANSION = 2
"""Hidden width of both perceptrons of a block, as a multiple of their input width. MLP-Mixer uses 4 over channels, and a fixed width over
image patches."""


@dataclass(frozen=True)
class MixerSettings(DenoiserSettings):
    """Settings of a `GestureMixer`. The defaults give about as many parameters as those of `GestureSettings`; the paper states no sizes.

    Attributes
    ----------
    frames : int
        Number of frames of a window (T). The default is the paper's: 8 s at 30 Hz.
    width : int
        Number of channels of a frame in the mixer (W); even.
    blocks : int
        Number of blocks.
    """

    frames: int = 240
    width: int = 2048
    blocks: int = 12

    @property
    def frames_multiple(self):
        """The number of frames must be this number."""
        return self.frames


class GestureMixer(Denoiser):
    """Denoiser that predicts v or a velocity (`handroll.models.objectives`) from a noisy motion, like `models.gesture.GestureUNet`.

    Parameters
    ----------
    settings : MixerSettings
    """

    def __init__(self, settings):
        super().__init__(settings)
        width = settings.width
        self.project = nn.Linear(2 * settings.condition_width + settings.guide, width)
        self.time_mlp = nn.Sequential(StepEmbedding(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(MixerBlock(settings.frames, width) for _ in range(settings.blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, settings.channels)

    def forward(self, noisy, step, condition, guide):
        """Predict v or the velocity of a noisy motion.

        Parameters
        ----------
        noisy, step, condition, guide
            Same as in `GestureUNet.forward`.

        Returns
        -------
        tensor (B, M, T)

        Raises
        ------
        ValueError
            The number of frames differs from `settings.frames`.
        """
        frames = self.settings.frames
        if noisy.shape[-1] != frames:
            raise ValueError(
                f"gesture mixer: expected {frames} frames, as in training, found {noisy.shape[-1]}; use windows of this length"
            )
        motion = self.project_motion(noisy.transpose(1, 2))
        x = self.project(torch.cat([condition.transpose(1, 2), motion, guide.transpose(1, 2)], dim=-1))
        embedding = self.time_mlp(step)[:, None]
        for block in self.blocks:
            x = block(x + embedding)
        return self.head(self.norm(x)).transpose(1, 2)


class MixerBlock(nn.Module):
    """Block of a perceptron over frames and a perceptron over channels, each with a norm before it and a residual connection.

    Parameters
    ----------
    frames, width : int
        Number of frames (T) and of channels (W).
    """

    def __init__(self, frames, width):
        super().__init__()
        self.frame_norm, self.frame_mlp = nn.LayerNorm(width), _perceptron(frames)
        self.channel_norm, self.channel_mlp = nn.LayerNorm(width), _perceptron(width)

    def forward(self, x):
        """Apply the block to `x` (B, T, W); the shape is unchanged."""
        x = x + self.frame_mlp(self.frame_norm(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channel_mlp(self.channel_norm(x))


def _perceptron(size):
    """Create a perceptron with one hidden layer over the last axis; the size of the axis is unchanged."""
    return nn.Sequential(nn.Linear(size, EXPANSION * size), nn.GELU(), nn.Linear(EXPANSION * size, size))
