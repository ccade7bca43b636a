"""Training of the regression model (row EmoTalk): positions and poses of both hands from audio features."""

from dataclasses import asdict, replace

import torch
from torch import nn

from handroll.models.regression_network import RegressionNetwork, RegressionSettings, regression_loss
from handroll.training.loop import train
from handroll.training.position import total_distance
from handroll.training.training_run import fingerprint, save_trained, set_up

VERSION = 1
"""Version of the training. Increase it manually when the same settings and data give a different model."""


class RegressionObjective(nn.Module):
    """Training objective: computes the loss of a batch.

    Parameters
    ----------
    network : RegressionNetwork
    scales : training_data.windows.Scales
    velocity_weight : float
        Weight of the errors of the change from frame to frame; see `models.regression_network.regression_loss`.
    """

    def __init__(self, network, scales, velocity_weight):
        super().__init__()
        self.network, self.scales, self.velocity_weight = network, scales, velocity_weight

    def forward(self, batch):
        """Compute the loss of a batch. Return the loss and an empty dict, because there are no other values to log."""
        target = tuple(self.scales.scaled(kind, batch[kind]) for kind in ("position", "pose"))
        return regression_loss(self.network(batch["features"]), target, batch["visible"], self.velocity_weight), {}


def train_regression(source, training_path, model, earlier, settings, folder, path):
    """Train the model and save it.

    Parameters
    ----------
    source, training_path, earlier, settings, folder, path
        Same as in `training.position.train_position`.
    model : dict
        Arguments of `RegressionSettings` without `features`. It may contain `velocity_weight` (default 1); see `RegressionObjective`.
    """
    model = dict(model)
    velocity_weight = model.pop("velocity_weight", 1.0)
    setup = set_up(source, training_path, settings)
    width = setup.batches.clips[0].features.shape[1]
    sizes = RegressionSettings(features=width, **model)
    # Without context layers, the width of the context must equal the number of features.
    sizes = sizes if sizes.context_layers else replace(sizes, context_width=width)
    torch.manual_seed(settings["seed"])
    objective = RegressionObjective(RegressionNetwork(sizes), setup.scales, velocity_weight)
    run_id = fingerprint(source, training_path, VERSION, asdict(sizes), velocity_weight, settings)
    trained = train(objective, setup.batches, setup.loop, folder, run_id, setup.device, lambda model: _validate(model, setup))
    if trained is not None:
        save_trained(path, "regression", asdict(sizes), "network.", source, setup, trained, settings)


def _validate(objective, setup):
    """Compute mean errors over the validation windows.

    "error" is the distance of the positions from the truth, in the coordinate frame's unit. "pose_error" is the mean absolute error of
    the rotations' channels (rad).
    """
    error, pose_error, count = 0.0, 0.0, 0
    for batch in setup.valid_batches():
        scaled = zip(("position", "pose"), objective.network(batch["features"]), strict=True)
        position, pose = (setup.scales.unscaled(kind, values) for kind, values in scaled)
        error += total_distance(position, batch)
        pose_error += float((pose - batch["pose"]).abs().unflatten(-1, (2, -1)).mean(dim=-1)[batch["visible"]].sum())
        count += int(batch["visible"].sum())
    return {"error": error / max(count, 1), "pose_error": pose_error / max(count, 1)}
