"""Training of the second stage (Gan et al., ICLR 2025): poses of both hands by diffusion, from audio features and the first stage's
positions.

`train_denoiser` trains the second stage of PianoMotion10M's model or of another model with the same interface (`training.s2c`).
"""

from dataclasses import asdict

import torch
from torch import nn

from handroll.models.checkpoint import KINDS, check_features, load_checkpoint
from handroll.models.diffusion import STEPS, diffusion_loss
from handroll.provenance import file_sha256
from handroll.training.loop import train
from handroll.training.training_run import fingerprint, save_trained, set_up
from handroll.training_data.feature_cache import feature_manifest

VERSION = 2
"""Version of the training. Increase it manually when the same settings and data give a different model."""

VALID_SEED = 7
"""Random seed of the noise and the diffusion steps in validation. They are the same at each validation, so that losses can be compared."""


class GestureObjective(nn.Module):
    """Training objective of the second stage: computes the loss of a batch.

    The first stage, whose positions guide the second, is not trained and stays in evaluation mode.

    Parameters
    ----------
    network : GestureUNet, or a module with the same interface
        Second stage.
    position : PositionPredictor, or a module with the same interface
        First stage.
    scales : training_data.windows.Scales
    change_weights : tuple of 2 floats
        Weights of the errors of first and second differences in time; see `models.diffusion.diffusion_loss`.
    """

    def __init__(self, network, position, scales, change_weights=(0.0, 0.0)):
        super().__init__()
        self.network, self.position, self.scales = network, position.requires_grad_(False), scales
        self.change_weights = change_weights

    def train(self, mode=True):
        """Set the training mode of the second stage only."""
        super().train(mode)
        self.position.eval()
        return self

    def forward(self, batch, generator=None):
        """Compute the loss of a batch. Return the loss and an empty dict, because there are no other values to log.

        `generator` is the source of the noise and the diffusion steps. None uses torch's default generator.
        """
        clean = self.scales.scaled("pose", batch["pose"]).transpose(1, 2)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        step = torch.randint(STEPS, (len(clean),), generator=generator).to(clean.device)
        with torch.no_grad():
            guide = self.position(batch["features"]).transpose(1, 2)
        condition = self.network.encode_condition(batch["features"])

        def denoise(noisy, at):
            return self.network(noisy, at, condition, guide)

        return diffusion_loss(denoise, clean, noise, step, batch["visible"], self.change_weights), {}


def train_gesture(source, training_path, position_path, model, settings, folder, path):
    """Train the second stage of PianoMotion10M's model and save it.

    Parameters
    ----------
    source, training_path, settings, folder, path
        Same as in `training.position.train_position`.
    position_path : path
        Checkpoint of the first stage.
    model : dict
        Arguments of `GestureSettings` without `features`.
    """
    kinds = "position", "gesture"
    train_denoiser(kinds, GestureObjective, [VERSION], source, training_path, position_path, model, settings, folder, path)


def train_denoiser(kinds, new_objective, identity, source, training_path, position_path, model, settings, folder, path):
    """Train a denoiser and save it.

    Parameters
    ----------
    kinds : tuple of 2 str
        Kinds of the checkpoints of the first and of the second stage, of `models.checkpoint.KINDS`.
    new_objective : callable (network, position, scales) -> GestureObjective
    identity : list of JSON values
        Version of the training, and what it depends on besides the other arguments; see `training_run.fingerprint`.
    source, training_path, position_path, settings, folder, path
        Same as in `train_gesture`.
    model : dict
        Arguments of the network's settings without `features`.
    """
    new_settings, new_network = KINDS[kinds[1]]
    setup = set_up(source, training_path, settings)
    first = load_checkpoint(position_path, kinds[0])
    check_features(position_path, first.about, feature_manifest(source.features))
    position = first.network()
    sizes = new_settings(features=position.settings.features, **model)
    torch.manual_seed(settings["seed"])
    objective = new_objective(new_network(sizes), position, setup.scales)
    run_id = fingerprint(source, training_path, *identity, asdict(sizes), file_sha256(position_path), settings)
    trained = train(objective, setup.batches, setup.loop, folder, run_id, setup.device, lambda model: _validate(model, setup))
    if trained is not None:
        save_trained(path, kinds[1], asdict(sizes), "network.", source, setup, trained, settings)


def _validate(objective, setup):
    """Compute the mean loss of the validation windows. Noise and diffusion steps are the same each time."""
    generator = torch.Generator().manual_seed(VALID_SEED)
    losses = [(float(objective(batch, generator)[0]), len(batch["pose"])) for batch in setup.valid_batches()]
    return {"loss": sum(loss * count for loss, count in losses) / max(sum(count for _, count in losses), 1)}
