"""Second stage of PianoMotion10M's baseline: a diffusion denoiser of hand poses, conditioned on audio features and hand positions.

W. Gan et al., "PianoMotion10M: Dataset and Benchmark for Hand Motion Generation in Piano Performance", ICLR 2025. The U-Net
is the one-dimensional form of J. Ho et al., "Denoising Diffusion Probabilistic Models", NeurIPS 2020, arXiv:2006.11239.
Modules have the names of the released weights where those names are descriptive.

Axis letters: B clip in batch; T frame (each level but the last halves their number); M channel of the motion; F audio feature; C width of
the condition; G channel of the guide; W channel of a level; E width of the step's embedding; H attention head; K channel of a head.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from handroll.models.denoiser import Denoiser, DenoiserSettings

HEADS = 4
"""Number of heads of every attention layer, as in the released network."""

HEAD_WIDTH = 32
"""Number of channels of an attention head, as in the released network."""

NORM_GROUPS = 8
"""Number of groups of every GroupNorm, as in the released network."""

MAX_PERIOD = 10_000
"""Maximum wavelength of the sines that embed a diffusion step, divided by 2 pi; A. Vaswani et al., "Attention Is All You Need",
NeurIPS 2017, section 3.5."""


@dataclass(frozen=True)
class GestureSettings(DenoiserSettings):
    """Settings of a `GestureUNet`. The defaults are those of the paper's base model.

    Attributes
    ----------
    dim : int
        Number of channels of the first level of the U-Net; a multiple of `NORM_GROUPS`.
    multipliers : tuple of int
        Number of output channels of each level, as a multiple of `dim`.
    """

    dim: int = 256
    multipliers: tuple[int, ...] = (1, 2, 4, 8)

    @property
    def frames_multiple(self):
        """The number of frames must be a multiple of this number, because every level but the last halves the frames."""
        return 2 ** (len(self.multipliers) - 1)


@dataclass(frozen=True)
class Levels:
    """Values of a U-Net's way down that its way up needs.

    Attributes
    ----------
    start : tensor (B, dim, T)
        Result of the first convolution.
    embedding : tensor (B, E)
        Embedding of the diffusion step.
    skips : tuple of tensors (B, W, frame)
        Two results of each level, from the highest level to the lowest.
    """

    start: torch.Tensor
    embedding: torch.Tensor
    skips: tuple[torch.Tensor, ...]


class GestureUNet(Denoiser):
    """Denoiser that predicts v or a velocity (`handroll.models.objectives`) from a noisy motion.

    Parameters
    ----------
    settings : GestureSettings
    """

    def __init__(self, settings):
        super().__init__(settings)
        dim, condition = settings.dim, settings.condition_width
        widths = [dim, *(multiplier * dim for multiplier in settings.multipliers)]
        levels = list(pairwise(widths))
        lowest, embedding = widths[-1], 4 * dim
        self.init_conv = nn.Conv1d(2 * condition + settings.guide, dim, 7, padding=3)
        self.time_mlp = nn.Sequential(StepEmbedding(dim), nn.Linear(dim, embedding), nn.GELU(), nn.Linear(embedding, embedding))
        self.downs = nn.ModuleList()
        for level, (upper, lower) in enumerate(levels):
            last = level == len(levels) - 1
            shrink = nn.Conv1d(upper, lower, 3, padding=1) if last else nn.Conv1d(upper, lower, 4, stride=2, padding=1)
            blocks = ResnetBlock(upper, upper, embedding), ResnetBlock(upper, upper, embedding)
            self.downs.append(nn.ModuleList([*blocks, LinearAttention(upper), shrink]))
        self.mid_block1 = ResnetBlock(lowest, lowest, embedding)
        self.mid_attn = Attention(lowest)
        self.mid_block2 = ResnetBlock(lowest, lowest, embedding)
        self.ups = nn.ModuleList()
        for level, (upper, lower) in reversed(list(enumerate(levels))):
            widen = nn.Conv1d(lower, upper, 3, padding=1)
            grow = widen if level == 0 else nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), widen)
            blocks = ResnetBlock(lower + upper, lower, embedding), ResnetBlock(lower + upper, lower, embedding)
            self.ups.append(nn.ModuleList([*blocks, LinearAttention(lower), grow]))
        self.final_res_block = ResnetBlock(2 * dim, dim, embedding)
        self.final_conv = nn.Conv1d(dim, settings.channels, 1)

    def forward(self, noisy, step, condition, guide):
        """Predict v or the velocity of a noisy motion.

        Parameters
        ----------
        noisy : tensor (B, M, T)
        step : tensor (B,)
            Diffusion step; a real number with flow matching (`models.flow`).
        condition : tensor (B, C, T)
            Result of `encode_condition`.
        guide : tensor (B, G, T)
            Normalised positions of both hands.

        Returns
        -------
        tensor (B, M, T)

        Raises
        ------
        ValueError
            The number of frames is not a multiple of `settings.frames_multiple`.
        """
        x, levels = self.down(noisy, step, condition, guide)
        x = self.mid_block2(self.mid_attn(self.mid_block1(x, levels.embedding)), levels.embedding)
        return self.up(x, levels)

    def down(self, noisy, step, condition, guide):
        """Compute the levels of the U-Net down to the lowest. For the arguments, see `forward`.

        Returns
        -------
        lowest : tensor (B, W, T / frames_multiple)
        levels : Levels
            Values that `up` needs.
        """
        multiple = self.settings.frames_multiple
        if noisy.shape[-1] % multiple:
            raise ValueError(f"gesture U-Net: expected a multiple of {multiple} frames, found {noisy.shape[-1]}; pad the motion")
        motion = self.project_motion(noisy.transpose(1, 2)).transpose(1, 2)
        x = start = self.init_conv(torch.cat([condition, motion, guide], dim=1))
        embedding = self.time_mlp(step)
        skips = []
        for block1, block2, attention, shrink in self.downs:
            x = block1(x, embedding)
            skips.append(x)
            x = attention(block2(x, embedding))
            skips.append(x)
            x = shrink(x)
        return x, Levels(start, embedding, tuple(skips))

    def up(self, lowest, levels):
        """Compute v (B, M, T) from the lowest level (B, W, T / frames_multiple) and the `Levels` that `down` returned."""
        x, skips = lowest, list(levels.skips)
        for block1, block2, attention, grow in self.ups:
            x = block1(torch.cat([x, skips.pop()], dim=1), levels.embedding)
            x = block2(torch.cat([x, skips.pop()], dim=1), levels.embedding)
            x = grow(attention(x))
        return self.final_conv(self.final_res_block(torch.cat([x, levels.start], dim=1), levels.embedding))


class StepEmbedding(nn.Module):
    """Sinusoidal embedding of a diffusion step. The first half of the channels are sines, the second half cosines.

    Parameters
    ----------
    width : int
        Number of channels of the embedding; even.
    """

    def __init__(self, width):
        super().__init__()
        self.half = width // 2

    def forward(self, step):
        """Embed steps (B,) as (B, width)."""
        exponents = torch.arange(self.half, device=step.device) / (self.half - 1)
        angles = step[:, None] * torch.exp(-math.log(MAX_PERIOD) * exponents)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class ResnetBlock(nn.Module):
    """Residual block of two convolutions. The embedding of the diffusion step scales and shifts the result of the first convolution.

    Parameters
    ----------
    inputs, outputs : int
        Number of input and of output channels.
    embedding : int
        Number of channels of the step's embedding (E).
    """

    def __init__(self, inputs, outputs, embedding):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * outputs))
        self.block1 = ConvolutionBlock(inputs, outputs)
        self.block2 = ConvolutionBlock(outputs, outputs)
        self.res_conv = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, embedding):
        """Apply the block to `x` (B, inputs, T), given the step's embedding (B, E). Return a tensor (B, outputs, T)."""
        scale, shift = self.mlp(embedding)[..., None].chunk(2, dim=1)
        return self.block2(self.block1(x, scale, shift)) + self.res_conv(x)


class ConvolutionBlock(nn.Module):
    """Block of a convolution, a group norm, a scale and shift, and a SiLU.

    Parameters
    ----------
    inputs, outputs : int
        Number of input and of output channels.
    """

    def __init__(self, inputs, outputs):
        super().__init__()
        self.proj = nn.Conv1d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(NORM_GROUPS, outputs)

    def forward(self, x, scale=0.0, shift=0.0):
        """Apply the block to `x` (B, inputs, T), with scale and shift (B, outputs, 1). Return a tensor (B, outputs, T)."""
        return functional.silu(self.norm(self.proj(x)) * (scale + 1.0) + shift)


class ChannelNorm(nn.Module):
    """Root mean square normalisation over channels; B. Zhang and R. Sennrich, NeurIPS 2019, arXiv:1910.07467.

    Parameters
    ----------
    channels : int
        Number of channels (W).
    """

    def __init__(self, channels):
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x):
        """Normalise `x` (B, W, T) over its channels."""
        return functional.normalize(x, dim=1) * self.g * x.shape[1] ** 0.5


class Attention(nn.Module):
    """Self-attention over frames. The input is normalised first, and the result is added to the input.

    Parameters
    ----------
    channels : int
        Number of channels (W).
    """

    def __init__(self, channels):
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.to_qkv = nn.Conv1d(channels, 3 * HEADS * HEAD_WIDTH, 1, bias=False)
        self.to_out = nn.Conv1d(HEADS * HEAD_WIDTH, channels, 1)

    def heads(self, x):
        """Compute queries, keys and values, (B, H, K, T) each, from `x` (B, W, T)."""
        return self.to_qkv(self.norm(x)).unflatten(1, (3, HEADS, HEAD_WIDTH)).unbind(1)

    def forward(self, x):
        """Apply self-attention to `x` (B, W, T); the shape is unchanged."""
        q, k, v = (part.transpose(-1, -2) for part in self.heads(x))
        attended = functional.scaled_dot_product_attention(q, k, v)
        return x + self.to_out(attended.transpose(-1, -2).flatten(1, 2))


class LinearAttention(Attention):
    """Self-attention whose cost is linear in the number of frames; Z. Shen et al., "Efficient Attention", WACV 2021, arXiv:1812.01243.

    Parameters
    ----------
    channels : int
        Number of channels (W).
    """

    def __init__(self, channels):
        super().__init__(channels)
        self.to_out = nn.Sequential(self.to_out, ChannelNorm(channels))

    def forward(self, x):
        """Apply self-attention to `x` (B, W, T); the shape is unchanged."""
        q, k, v = self.heads(x)
        q, k = q.softmax(dim=-2) * HEAD_WIDTH**-0.5, k.softmax(dim=-1)
        context = k @ v.transpose(-1, -2)
        return x + self.to_out((context.transpose(-1, -2) @ q).flatten(1, 2))
