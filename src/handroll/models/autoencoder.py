"""Auto-encoder of motion. The Fréchet distance (FID) compares its features of generated and true motion.

The network follows the feature extractor of Y. Yoon et al., "Speech Gesture Generation from the Trimodal Context of Text, Audio, and
Speaker Identity", ACM TOG 39 (2020), doi:10.1145/3414685.3417838, which PianoMotion10M (Gan et al., ICLR 2025) applies to
the rotations of both hands. The training of its released weights is not published. handroll trains a variational auto-encoder
(D. Kingma and M. Welling, ICLR 2014, arXiv:1312.6114). The small weight of the Kullback-Leibler divergence (`DIVERGENCE_WEIGHT`) keeps
the features informative.

Axis letters: B clip in batch; T frame; M channel of the motion; Z feature (256).
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

FEATURES = 256
"""Number of features of a clip (Z), as in the released network."""

CONVOLUTION_SLOPE = 0.2
"""Negative slope of the leaky ReLUs between convolutions, as in the released network."""

DIVERGENCE_WEIGHT = 1e-3
"""Weight of the mean Kullback-Leibler divergence per feature in the loss; the mean absolute error has the weight 1. handroll's choice."""

START_CHANNELS = 4
"""Number of channels at the input of the decoder's convolutions, as in the released network."""

# Number of channels of most convolutions, as in the released network.
_CHANNELS = 32


@dataclass(frozen=True)
class AutoencoderSettings:
    """Settings of a `MotionAutoencoder`.

    Attributes
    ----------
    channels : int
        Number of channels of the motion (M): the right hand's rotations, then the left hand's.
    frames : int
        Number of frames of a clip (T), at least 12. The default is 8 s at 30 Hz.
    slope : float
        Negative slope of the leaky ReLUs between the linear layers. The released network uses 1, which turns these ReLUs into
        identities. This is an error of the released code, but its weights were trained with it.
    """

    channels: int = 96
    frames: int = 240
    slope: float = 0.2


class MotionAutoencoder(nn.Module):
    """Variational auto-encoder of a clip's motion.

    Parameters
    ----------
    settings : AutoencoderSettings
    """

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings)
        self.decoder = Decoder(settings)

    def forward(self, motion, noise):
        """Encode motion as features, and reconstruct the motion from them.

        Parameters
        ----------
        motion : tensor (B, T, M)
        noise : tensor (B, Z)
            Standard normal noise of the features. With zeros, the motion is reconstructed from the mean features.

        Returns
        -------
        reconstruction : tensor (B, T, M)
        mean, log_variance : tensor (B, Z)
            Mean and log variance of each feature.
        """
        mean, log_variance = self.encoder(motion)
        return self.decoder(mean + (0.5 * log_variance).exp() * noise), mean, log_variance

    @torch.no_grad()
    def features(self, motion):
        """Compute the features of clips: for each clip, the mean of its latent distribution, without sampling.

        The features of a clip do not depend on the rest of the batch.

        Parameters
        ----------
        motion : tensor (B, T, M)

        Returns
        -------
        tensor (B, Z)

        Raises
        ------
        RuntimeError
            The network is in training mode, where features depend on the batch.
        """
        if self.training:
            raise RuntimeError("auto-encoder features: expected a network in evaluation mode, found training mode; call its eval() first")
        return self.encoder(motion)[0]


class Encoder(nn.Module):
    """Encoder of a motion: convolutions over time, then linear layers.

    Parameters
    ----------
    settings : AutoencoderSettings

    Raises
    ------
    ValueError
        Fewer than 12 frames.
    """

    def __init__(self, settings):
        super().__init__()
        wide = 2 * _CHANNELS
        self.net = nn.Sequential(
            _convolution(settings.channels, _CHANNELS, 3, 1),
            _convolution(_CHANNELS, wide, 3, 1),
            _convolution(wide, wide, 4, 2),
            nn.Conv1d(wide, _CHANNELS, 3),
        )
        frames = (settings.frames - 4 - 4) // 2 + 1 - 2
        if frames < 1:
            raise ValueError(f"auto-encoder: expected at least 12 frames, found {settings.frames}")
        self.out_net = nn.Sequential(
            *_linear(_CHANNELS * frames, 2 * FEATURES, settings.slope),
            *_linear(2 * FEATURES, FEATURES, settings.slope),
            nn.Linear(FEATURES, FEATURES),
        )
        self.fc_mu, self.fc_logvar = nn.Linear(FEATURES, FEATURES), nn.Linear(FEATURES, FEATURES)

    def forward(self, motion):
        """Encode motion (B, T, M). Return the mean and the log variance of its features, (B, Z) each."""
        hidden = self.out_net(self.net(motion.transpose(1, 2)).flatten(1))
        return self.fc_mu(hidden), self.fc_logvar(hidden)


class Decoder(nn.Module):
    """Decoder of a motion: linear layers, then transposed convolutions over time.

    Parameters
    ----------
    settings : AutoencoderSettings
    """

    def __init__(self, settings):
        super().__init__()
        self.pre_net = nn.Sequential(
            *_linear(FEATURES, FEATURES // 2, settings.slope), nn.Linear(FEATURES // 2, START_CHANNELS * settings.frames)
        )
        self.net = nn.Sequential(
            *(nn.ConvTranspose1d(START_CHANNELS, _CHANNELS, 3), nn.BatchNorm1d(_CHANNELS), nn.LeakyReLU(CONVOLUTION_SLOPE)),
            *(nn.ConvTranspose1d(_CHANNELS, _CHANNELS, 3), nn.BatchNorm1d(_CHANNELS), nn.LeakyReLU(CONVOLUTION_SLOPE)),
            nn.Conv1d(_CHANNELS, _CHANNELS, 3),
            nn.Conv1d(_CHANNELS, settings.channels, 3),
        )

    def forward(self, features):
        """Decode features (B, Z) into motion (B, T, M)."""
        return self.net(self.pre_net(features).unflatten(1, (START_CHANNELS, -1))).transpose(1, 2)


def _convolution(inputs, outputs, kernel, stride):
    """Return a block of three layers: convolution without padding, batch norm, leaky ReLU."""
    return nn.Sequential(nn.Conv1d(inputs, outputs, kernel, stride), nn.BatchNorm1d(outputs), nn.LeakyReLU(CONVOLUTION_SLOPE))


def _linear(inputs, outputs, slope):
    """Return the three layers of a block: linear layer, batch norm, leaky ReLU."""
    return nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(slope)


def autoencoder_loss(motion, reconstruction, mean, log_variance):
    """Compute the loss: mean absolute error of the reconstruction plus the weighted Kullback-Leibler divergence of the features.

    The divergence is that from the standard normal distribution, and its weight is `DIVERGENCE_WEIGHT`.

    Parameters
    ----------
    motion, reconstruction : tensor (B, T, M)
    mean, log_variance : tensor (B, Z)

    Returns
    -------
    scalar tensor
    """
    divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).mean()
    return functional.l1_loss(reconstruction, motion) + DIVERGENCE_WEIGHT * divergence
