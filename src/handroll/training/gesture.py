"""Training of the second stage (Gan et al., ICLR 2025): poses by diffusion or flow matching, from audio features and the first stage's
positions."""

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
    network : GestureUNet or GestureMixer
        Second stage. Its settings contain the objective (`models.objectives`).
    position : PositionPredictor
        First stage.
    scales : training_data.windows.Scales
    """

    def __init__(self, network, position, scales):
        super().__init__()
        self.network, self.position, self.scales = network, position.requires_grad_(False), scales

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
        loss = objective.loss(lambda noisy, step: self.network(noisy, step, condition, guide), clean, noise, drawn, batch["visible"])
        return loss, {}


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
    setup = set_up(source, training_path, settings)
    first = load_checkpoint(earlier["position"], "position")
    check_features(earlier["position"], first.about, feature_manifest(source.features))
    position = first.network()
    settings_class, network_class = KINDS[kind]
    sizes = settings_class(features=position.settings.features, **model)
    sizes = replace(sizes, frames=setup.frames) if kind == "mixer" else sizes
    torch.manual_seed(settings["seed"])
    objective = GestureObjective(network_class(sizes), position, setup.scales)
    run_id = fingerprint(source, training_path, VERSION, asdict(sizes), file_sha256(earlier["position"]), settings)
    trained = train(objective, setup.batches, setup.loop, folder, run_id, setup.device, lambda model: _validate(model, setup))
    if trained is not None:
        save_trained(path, kind, asdict(sizes), "network.", source, setup, trained, settings)


def _validate(objective, setup):
    """Compute the mean loss of the validation windows. Noise and diffusion steps are the same each time."""
    generator = torch.Generator().manual_seed(VALID_SEED)
    losses = [(float(objective(batch, generator)[0]), len(batch["pose"])) for batch in setup.valid_batches()]
    return {"loss": sum(loss * count for loss, count in losses) / max(sum(count for _, count in losses), 1)}
