"""Training of the second stage (Gan et al., ICLR 2025): poses of both hands by diffusion or flow matching, from audio features and the
first stage's positions.

`train_denoiser` trains the second stage of PianoMotion10M's model or of another model with the same interface (`training.s2c_gesture`).
"""

from dataclasses import asdict, replace

import torch
from torch import nn

from handroll.models.checkpoint import DENOISERS, KINDS, check_features, load_checkpoint
from handroll.models.objectives import OBJECTIVES
from handroll.provenance import file_sha256
from handroll.training.loop import train
from handroll.training.training_run import fingerprint, save_trained, set_up
from handroll.training_data.feature_cache import feature_manifest

VERSION = 3
"""Version of the training. Increase it manually when the same settings and data give a different model."""

VALID_SEED = 7
"""Random seed of the noise and the diffusion steps in validation. They are the same at each validation, so that losses can be compared."""


class GestureObjective(nn.Module):
    """Training objective of the second stage: computes the loss of a batch.

    The first stage, whose positions guide the second, is not trained and stays in evaluation mode.

    Parameters
    ----------
    network : GestureUNet, or a module with the same interface
        Second stage. Its settings contain the objective (`models.objectives`).
    position : PositionPredictor, or a module with the same interface
        First stage.
    scales : training_data.windows.Scales
    change_weights : tuple of 2 floats
        Weights of the errors of first and second differences in time; see `models.diffusion.diffusion_loss`.
    """

    def __init__(self, network, position, scales, change_weights=(0.0, 0.0)):
        super().__init__()
        if any(change_weights) and network.settings.objective != "v":
            raise ValueError(
                f"second stage: change_weights: expected weights of 0 with the objective {network.settings.objective}, found "
                f"{tuple(change_weights)}; only the objective v (diffusion) has errors of changes"
            )
        self.network, self.position, self.scales = network, position.requires_grad_(False), scales
        self.change_weights = change_weights

    def train(self, mode=True):
        """Set the training mode of the second stage only."""
        super().train(mode)
        self.position.eval()
        return self

    def forward(self, batch, generator=None):
        """Compute the loss of a batch. Return the loss and an empty dict, because there are no other values to log.

        `generator` is the source of the noise and of the diffusion steps or times. None uses torch's default generator.
        """
        clean = self.scales.scaled("pose", batch["pose"]).transpose(1, 2)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        objective = OBJECTIVES[self.network.settings.objective]
        drawn = objective.draw(len(clean), generator).to(clean.device)
        with torch.no_grad():
            guide = self.position(batch["features"]).transpose(1, 2)
        condition = self.network.encode_condition(batch["features"])

        def denoise(noisy, at):
            return self.network(noisy, at, condition, guide)

        # Only the objective of diffusion has weights of differences in time.
        options = (self.change_weights,) if any(self.change_weights) else ()
        return objective.loss(denoise, clean, noise, drawn, batch["visible"], *options), {}


def train_gesture(source, training_path, model, earlier, settings, folder, path, kind="gesture"):
    """Train the second stage and save it.

    Parameters
    ----------
    source, training_path, settings, folder, path
        Same as in `training.position.train_position`.
    model : dict
        Arguments of the settings class of the denoiser (`models.checkpoint.KINDS`) without `features`. `objective` is "v" (default) or
        "flow". The number of frames of a mixer is that of the windows.
    earlier : dict of str to path
        Checkpoint of the first stage, `position`.
    kind : {"gesture", "mixer"}
        Kind of the denoiser.

    Raises
    ------
    ValueError
        The kind is not a denoiser, or the features are not those of the first stage.
    """
    if kind not in DENOISERS:
        raise ValueError(f"second stage: expected one of {', '.join(DENOISERS)}, found {kind!r}")
    train_denoiser(("position", kind), GestureObjective, [VERSION], source, training_path, model, earlier, settings, folder, path)


def train_denoiser(kinds, new_objective, identity, source, training_path, model, earlier, settings, folder, path):
    """Train a denoiser and save it.

    Parameters
    ----------
    kinds : tuple of 2 str
        Kinds of the checkpoints of the first and of the second stage, of `models.checkpoint.KINDS`.
    new_objective : callable (network, position, scales) -> GestureObjective
    identity : list of JSON values
        Version of the training, and what it depends on besides the other arguments; see `training_run.fingerprint`.
    source, training_path, settings, folder, path
        Same as in `train_gesture`.
    model : dict
        Arguments of the network's settings without `features`.
    earlier : dict of str to path
        Checkpoint of the first stage, by its kind.
    """
    first_kind, kind = kinds
    new_settings, new_network = KINDS[kind]
    setup = set_up(source, training_path, settings)
    position_path = earlier[first_kind]
    first = load_checkpoint(position_path, first_kind)
    check_features(position_path, first.about, feature_manifest(source.features))
    position = first.network()
    sizes = new_settings(features=position.settings.features, **model)
    sizes = replace(sizes, frames=setup.frames) if kind == "mixer" else sizes
    torch.manual_seed(settings["seed"])
    objective = new_objective(new_network(sizes), position, setup.scales)
    run_id = fingerprint(source, training_path, *identity, asdict(sizes), file_sha256(position_path), settings)
    trained = train(objective, setup.batches, setup.loop, folder, run_id, setup.device, lambda model: _validate(model, setup))
    if trained is not None:
        save_trained(path, kind, asdict(sizes), "network.", source, setup, trained, settings)


def _validate(objective, setup):
    """Compute the mean loss of the validation windows. Noise and diffusion steps are the same each time."""
    generator = torch.Generator().manual_seed(VALID_SEED)
    losses = [(float(objective(batch, generator)[0]), len(batch["pose"])) for batch in setup.valid_batches()]
    return {"loss": sum(loss * count for loss, count in losses) / max(sum(count for _, count in losses), 1)}
