"""Training of the auto-encoder of motion. The Fréchet distance between motions compares its features."""

from dataclasses import asdict

import torch
from torch import nn

from handroll.models.autoencoder import FEATURES, AutoencoderSettings, MotionAutoencoder, autoencoder_loss
from handroll.models.motion_features import whole_motion
from handroll.training.loop import train
from handroll.training.training_run import fingerprint, save_trained, set_up
from handroll.training_data.model_frame import N_POSE, N_POSITION

VERSION = 2
"""Version of the training. Increase it manually when the same settings and data give a different model."""


class AutoencoderObjective(nn.Module):
    """Training objective of the auto-encoder: computes the loss of a batch.

    Parameters
    ----------
    network : MotionAutoencoder
    scales : training_data.windows.Scales
    """

    def __init__(self, network, scales):
        super().__init__()
        self.network, self.scales = network, scales

    def forward(self, batch):
        """Compute the loss of a batch. Return the loss and an empty dict, because there are no other values to log."""
        motion = whole_motion(self.scales, batch["position"], batch["pose"])
        noise = torch.randn(len(motion), FEATURES, device=motion.device) * self.training
        return autoencoder_loss(motion, *self.network(motion, noise)), {}


def train_autoencoder(source, training_path, settings, folder, path):
    """Train the auto-encoder and save it.

    Parameters
    ----------
    source, training_path, settings, folder, path
        Same as in `training.position.train_position`. Features are not used.
    """
    setup = set_up(source, training_path, settings)
    sizes = AutoencoderSettings(channels=N_POSE + N_POSITION, frames=setup.frames)
    torch.manual_seed(settings["seed"])
    objective = AutoencoderObjective(MotionAutoencoder(sizes), setup.scales)
    run_id = fingerprint(source, training_path, VERSION, asdict(sizes), settings)
    trained = train(objective, setup.batches, setup.loop, folder, run_id, setup.device, lambda model: _validate(model, setup))
    if trained is not None:
        save_trained(path, "autoencoder", asdict(sizes), "network.", source, setup, trained, settings)


def _validate(objective, setup):
    """Compute the mean absolute error of the reconstruction of scaled motion, over the validation windows."""
    errors = []
    for batch in setup.valid_batches():
        motion = whole_motion(setup.scales, batch["position"], batch["pose"])
        rebuilt, *_ = objective.network(motion, torch.zeros(len(motion), FEATURES, device=motion.device))
        errors += (rebuilt - motion).abs().mean(dim=(1, 2)).tolist()
    return {"error": sum(errors) / max(len(errors), 1)}
