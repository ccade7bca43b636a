"""Networks of the model S2C: one position predictor and one denoiser for each hand.

Z. Liu et al., "Separate to Collaborate: Dual-Stream Diffusion Model for Coordinated Piano Hand Motion Synthesis", ACM MM 2025,
arXiv:2504.09885. The networks of a hand are those of PianoMotion10M with half of the channels. The two hands have separate weights. They
share the diffusion step, both denoisers receive the predicted positions of both hands, and each denoiser receives the lowest level of the
other. `S2CPositions` and `S2CDenoisers` have the interfaces of `PositionPredictor` and `GestureUNet`, so `TwoStage` samples from them.

**Fusion modes.** Each mode combines the lowest levels of the own hand and of the other hand in another way:

- 0: concatenation, then the middle blocks of the U-Net.
- 1: the first middle block and its attention for each hand separately, then concatenation and the second middle block.
- 2: cross-attention from the own hand to the other, then the middle blocks.
- 3: the middle blocks for each hand separately, then cross-attention.
- 4: the middle blocks for each hand separately, then hand-coordinated asymmetric attention (HCAA), the paper's choice.

**Deviations from the released code.** Each has a switch, which is off by default:

1. Attention of HCAA includes all frames. The released code masks later frames (`S2CSettings.causal`), although no other layer of the
   denoiser is causal.
2. The initial noise of the hands is independent, as in training and in the paper. The released code samples both hands from the same
   initial noise (`two_stage.TwoStage.generate`, `shared_noise`).
3. The masks of the decoders do not depend on the batch size (`released`; see `memory_decoder`).

The released networks also contain a cross-attention that modes 1 and 4 never call. `released` reads its tensors and drops them.

**Evaluation of the released code.** The released evaluation samples all motions ten times, and reports the best of the ten runs beside the
mean. The best run is chosen by a weighted sum of the test metrics themselves. A result chosen in this way is too good: its choice uses the
ground truth. handroll does not copy this; it scores the samples of all seeds and reports intervals.

Axis letters: B clip in batch; T frame; F audio feature; C width of the condition; M channel of the motion of both hands; W channel of the
lowest level; E width of the step's embedding.
"""

from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import nn

from handroll.models.gesture import GestureSettings, GestureUNet, ResnetBlock
from handroll.models.position import POSITIONS, PositionPredictor
from handroll.models.s2c_fusion import AsymmetricAttention, CrossAttention

FUSIONS = range(5)
"""Numbers of the fusion modes, as in the released code; see the module docstring."""

SEPARATE_MIDDLE = {0: 0, 1: 2, 2: 0, 3: 3, 4: 3}
"""Number of the three middle layers (block, attention, block) that a fusion mode applies to each hand before the fusion."""


@dataclass(frozen=True)
class S2CSettings(GestureSettings):
    """Settings of `S2CDenoisers`. `channels` is the number of channels of both hands; each denoiser has half of them.

    Attributes
    ----------
    fusion : int
        Fusion mode, one of `FUSIONS`.
    causal : bool
        Whether the attention of fusion mode 4 is restricted to the same and to earlier frames, as in the released code.
    """

    fusion: int = 4
    causal: bool = False


class S2CPositions(nn.Module):
    """A position predictor for each hand. Both start from the same weights, as in the released code.

    Parameters
    ----------
    settings : PositionSettings
        Settings of each predictor.
    own_features : bool
        Whether each hand has its own features, as in the released networks.
    """

    def __init__(self, settings, own_features=False):
        super().__init__()
        self.settings, self.own_features = settings, own_features
        self.right = PositionPredictor(settings, POSITIONS // 2)
        self.left = deepcopy(self.right)

    def forward(self, features, with_context=False, released=False):
        """Predict the positions of both hands.

        Parameters
        ----------
        features : tensor (B, T, F), or (B, T, 2 F) if each hand has its own features
            Audio features: those of the right hand, then of the left.
        with_context, released : bool
            See `PositionPredictor.forward`.

        Returns
        -------
        positions : tensor (B, T, 6)
        context : tensor (B, T, 2 C)
            Context of the right hand's predictor, then of the left's. Only returned if `with_context` is true.
        """
        inputs = features_by_hand(features, self.own_features)
        found = [hand(part, with_context, released) for hand, part in zip((self.right, self.left), inputs, strict=True)]
        if not with_context:
            return torch.cat(found, dim=-1)
        return tuple(torch.cat(parts, dim=-1) for parts in zip(*found, strict=True))


class HandDenoiser(GestureUNet):
    """Denoiser of one hand, whose lowest level is fused with that of the other hand.

    Parameters
    ----------
    settings : S2CSettings
        Settings with the channels of one hand.

    Raises
    ------
    ValueError
        Unknown fusion mode.
    """

    def __init__(self, settings):
        if settings.fusion not in FUSIONS:
            raise ValueError(f"S2C: expected a fusion mode from {FUSIONS[0]} to {FUSIONS[-1]}, found {settings.fusion}; change `fusion`")
        super().__init__(settings)
        lowest, embedding = settings.multipliers[-1] * settings.dim, 4 * settings.dim
        if settings.fusion == 0:
            self.mid_block1 = ResnetBlock(2 * lowest, lowest, embedding)
        elif settings.fusion == 1:
            self.mid_block2 = ResnetBlock(2 * lowest, lowest, embedding)
        elif settings.fusion in (2, 3):
            self.cross_attention = CrossAttention(lowest)
        else:
            self.hcaa = AsymmetricAttention(lowest, settings.causal)

    def down(self, noisy, step, condition, guide):
        """Compute the levels down to the lowest, including the middle layers before the fusion. See `GestureUNet.down`."""
        lowest, levels = super().down(noisy, step, condition, guide)
        return self._middle(lowest, levels.embedding, slice(SEPARATE_MIDDLE[self.settings.fusion])), levels

    def forward(self, own, other, levels):
        """Predict v of this hand from the lowest levels of both hands.

        Parameters
        ----------
        own, other : tensor (B, W, T / frames_multiple)
            Results of `down` for this hand and for the other.
        levels : gesture.Levels
            The levels of this hand, which `down` returned.

        Returns
        -------
        tensor (B, M / 2, T)
        """
        after = slice(SEPARATE_MIDDLE[self.settings.fusion], None)
        return self.up(self._middle(self._fuse(own, other), levels.embedding, after), levels)

    def _fuse(self, own, other):
        """Fuse the lowest levels of both hands (B, W, T / frames_multiple). In modes 0 and 1, the result has 2 W channels."""
        if self.settings.fusion in (0, 1):
            return torch.cat([own, other], dim=1)
        return self.hcaa(own, other) if self.settings.fusion == 4 else self.cross_attention(own, other)

    def _middle(self, lowest, embedding, part):
        """Apply a part (slice) of the middle layers to the lowest level (B, W, T / frames_multiple)."""
        layers = [
            lambda x: self.mid_block1(x, embedding),
            self.mid_attn,
            lambda x: self.mid_block2(x, embedding),
        ]
        for layer in layers[part]:
            lowest = layer(lowest)
        return lowest


class S2CDenoisers(nn.Module):
    """A denoiser for each hand; together they predict v of both hands. Both start from the same weights, as in the released code.

    Parameters
    ----------
    settings : S2CSettings
    own_features : bool
        Whether each hand has its own features, as in the released networks.
    """

    def __init__(self, settings, own_features=False):
        super().__init__()
        self.settings, self.own_features = settings, own_features
        self.right = HandDenoiser(replace(settings, channels=settings.channels // 2))
        self.left = deepcopy(self.right)

    def encode_condition(self, features, released=False):
        """Encode audio features as the condition of the denoisers.

        Parameters
        ----------
        features : tensor (B, T, F), or (B, T, 2 F) if each hand has its own features
            Audio features: those of the right hand, then of the left.
        released : bool
            Mask the self-attention as the released code does; see `memory_decoder`.

        Returns
        -------
        tensor (B, 2 C, T)
            Condition of the right hand's denoiser, then of the left's.
        """
        inputs = features_by_hand(features, self.own_features)
        hands = zip((self.right, self.left), inputs, strict=True)
        return torch.cat([hand.encode_condition(part, released) for hand, part in hands], dim=1)

    def forward(self, noisy, step, condition, guide):
        """Predict v of the noisy motion of both hands. Gradients of a hand's result reach the denoisers of both hands.

        Parameters
        ----------
        noisy : tensor (B, M, T)
            Motion of the right hand, then of the left.
        step : int tensor (B,)
            Diffusion step of both hands.
        condition : tensor (B, 2 C, T)
            Result of `encode_condition`.
        guide : tensor (B, 6, T)
            Normalised positions of the right hand, then of the left. The denoiser of each hand receives its own positions first.

        Returns
        -------
        tensor (B, M, T)

        Raises
        ------
        ValueError
            The number of frames is not a multiple of `settings.frames_multiple`.
        """
        (right_motion, left_motion), (right_condition, left_condition) = noisy.chunk(2, dim=1), condition.chunk(2, dim=1)
        right_guide, left_guide = guide.chunk(2, dim=1)
        right, right_levels = self.right.down(right_motion, step, right_condition, guide)
        left, left_levels = self.left.down(left_motion, step, left_condition, torch.cat([left_guide, right_guide], dim=1))
        return torch.cat([self.right(right, left, right_levels), self.left(left, right, left_levels)], dim=1)


def features_by_hand(features, own_features):
    """Return the features of the right and of the left hand: both halves of the channels if `own_features`, else the same tensor twice."""
    return features.chunk(2, dim=-1) if own_features else (features, features)
