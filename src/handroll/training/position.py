"""Training of the first stage: places of both hands from features of the sound (Gan et al., ICLR 2025)."""

from dataclasses import asdict

import torch
from torch import nn

from handroll.models.position import PositionPredictor, PositionSettings, position_loss
from handroll.training.loop import train
from handroll.training.setup import fingerprint, save_trained, set_up

VERSION = 2
"""Raised by hand when the same settings and data give another model."""


class PositionObjective(nn.Module):
    """The loss of a batch.

    Parameters
    ----------
    network : PositionPredictor
    scales : dataset.windows.Scales
    velocity_weight : float
    """

    def __init__(self, network, scales, velocity_weight):
        super().__init__()
        self.network, self.scales, self.velocity_weight = network, scales, velocity_weight

    def forward(self, batch):
        """Loss, and nothing else to log."""
        target = self.scales.scaled("place", batch["place"])
        return position_loss(self.network(batch["features"]), target, batch["visible"], velocity_weight=self.velocity_weight), {}


def train_position(source, training_path, model, velocity_weight, settings, folder, path):
    """Train a position predictor and save it.

    Parameters
    ----------
    source : dataset.loader.Source
        With features.
    training_path : path of training.json
    model : dict
        Of `PositionSettings`, without the features' width.
    velocity_weight : float
    settings : dict
        As of `setup.set_up`.
    folder : path
        As of `loop.train`.
    path : path
        Of the checkpoint.
    """
    setup = set_up(source, training_path, settings)
    width = setup.batches.clips[0].features.shape[1]
    # Features that no convolution looks at go through as wide as they are.
    sizes = PositionSettings(features=width, **{**model, "context_width": model["context_width"] if model["context_layers"] else width})
    torch.manual_seed(settings["seed"])
    objective = PositionObjective(PositionPredictor(sizes), setup.scales, velocity_weight)
    print_of = fingerprint(source, training_path, VERSION, asdict(sizes), velocity_weight, settings)
    trained = train(objective, setup.batches, setup.loop, folder, print_of, setup.device, lambda model: _validate(model, setup))
    if trained is not None:
        save_trained(path, "position", asdict(sizes), "network.", source, setup, trained, settings)


def _validate(objective, setup):
    """Mean distance of the hands from their true places, in the frame's unit, and that of the mean place."""
    error, still, count = 0.0, 0.0, 0
    for batch in setup.valid_batches():
        predicted = setup.scales.unscaled("place", objective.network(batch["features"]))
        mean = setup.scales.unscaled("place", torch.zeros_like(predicted))
        shown = batch["visible"]
        for kind in (predicted, mean):
            distance = (kind - batch["place"]).unflatten(-1, (2, 3)).norm(dim=-1)[shown].sum()
            error, still = (error + float(distance), still) if kind is predicted else (error, still + float(distance))
        count += int(shown.sum())
    return {"error": error / max(count, 1), "error_of_mean": still / max(count, 1)}
