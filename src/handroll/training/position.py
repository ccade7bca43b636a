"""Training of the first stage (Gan et al., ICLR 2025): positions of both hands from audio features.

`train_predictor` trains the first stage of PianoMotion10M's model or of another model with the same interface (`training.s2c_position`).
"""

from dataclasses import asdict

import torch
from torch import nn

from handroll.models.checkpoint import KINDS
from handroll.models.position import position_loss
from handroll.training.loop import train
from handroll.training.training_run import fingerprint, save_trained, set_up

VERSION = 2
"""Version of the training. Increase it manually when the same settings and data give a different model."""


class PositionObjective(nn.Module):
    """Training objective of the first stage: computes the loss of a batch.

    Parameters
    ----------
    network : PositionPredictor, or a module with the same interface
    scales : training_data.windows.Scales
    velocity_weight : float
        Weight of the error of the change from frame to frame; see `models.position.position_loss`.
    """

    def __init__(self, network, scales, velocity_weight):
        super().__init__()
        self.network, self.scales, self.velocity_weight = network, scales, velocity_weight

    def forward(self, batch):
        """Compute the loss of a batch. Return the loss and an empty dict, because there are no other values to log."""
        target = self.scales.scaled("position", batch["position"])
        return position_loss(self.network(batch["features"]), target, batch["visible"], velocity_weight=self.velocity_weight), {}


def train_position(source, training_path, model, earlier, settings, folder, path):
    """Train the first stage and save it.

    Parameters
    ----------
    source : training_data.loader.Source
        Training and validation clips, with features.
    training_path : path of training.json
        Scales and windows that rule `prepare_training` has chosen.
    model : dict
        Arguments of `PositionSettings` without `features`, and `velocity_weight` (default 1); see `PositionObjective`.
    earlier : dict of str to path
        Checkpoints of the stages that are trained before this one: none.
    settings : dict
        See `training_run.set_up`.
    folder : path
        Folder for the state and the log; see `loop.train`.
    path : path
        Checkpoint to write, ending in .safetensors.
    """
    train_predictor("position", PositionObjective, VERSION, source, training_path, model, settings, folder, path)


def train_predictor(kind, new_objective, version, source, training_path, model, settings, folder, path):
    """Train a position predictor and save it.

    Parameters
    ----------
    kind : str
        Kind of the checkpoint, one of `models.checkpoint.KINDS` with `PositionSettings`.
    new_objective : callable (network, scales, velocity_weight) -> PositionObjective
    version : int or str
        Version of the training; see `training_run.fingerprint`.
    source, training_path, model, settings, folder, path
        Same as in `train_position`.
    """
    new_settings, new_network = KINDS[kind]
    model = dict(model)
    velocity_weight = model.pop("velocity_weight", 1.0)
    setup = set_up(source, training_path, settings)
    width = setup.batches.clips[0].features.shape[1]
    # Without context layers, the width of the context must equal the number of features.
    sizes = new_settings(features=width, **{**model, "context_width": model["context_width"] if model["context_layers"] else width})
    torch.manual_seed(settings["seed"])
    objective = new_objective(new_network(sizes), setup.scales, velocity_weight)
    run_id = fingerprint(source, training_path, version, asdict(sizes), velocity_weight, settings)
    trained = train(objective, setup.batches, setup.loop, folder, run_id, setup.device, lambda model: _validate(model, setup))
    if trained is not None:
        save_trained(path, kind, asdict(sizes), "network.", source, setup, trained, settings)


def _validate(objective, setup):
    """Compute the mean position error over the validation windows, in the coordinate frame's unit.

    "error" is that of the predicted positions. "error_of_mean" is that of the mean position of the training data, for comparison.
    """
    error, error_of_mean, count = 0.0, 0.0, 0
    for batch in setup.valid_batches():
        predicted = setup.scales.unscaled("position", objective.network(batch["features"]))
        mean = setup.scales.unscaled("position", torch.zeros_like(predicted))
        error += total_distance(predicted, batch)
        error_of_mean += total_distance(mean, batch)
        count += int(batch["visible"].sum())
    return {"error": error / max(count, 1), "error_of_mean": error_of_mean / max(count, 1)}


def total_distance(positions, batch):
    """Sum the distances of positions (B, T, 6) from the ground truth over visible hands."""
    return float((positions - batch["position"]).unflatten(-1, (2, 3)).norm(dim=-1)[batch["visible"]].sum())
