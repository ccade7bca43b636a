"""Training of the model `fingertips`: residuals of fingertips, wrists and poses relative to a planned motion."""

from dataclasses import asdict

import torch
from torch import nn

from handroll.models.fingertip_network import FingertipNetwork, FingertipSettings, fingertip_loss, fingertips_of, split_plan
from handroll.training.loop import train
from handroll.training.training_run import fingerprint, save_trained, set_up

VERSION = 1
"""Version of the training. Increase it manually when the same settings and data give a different model."""


class FingertipObjective(nn.Module):
    """Training objective: computes the loss of a batch.

    Parameters
    ----------
    network : FingertipNetwork
    """

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, batch):
        """Compute the loss of a batch. Return the loss and an empty dict, because there are no other values to log."""
        scale = split_plan(batch["features"])["scale"]
        predicted = self.network(batch["features"])
        return fingertip_loss(predicted, (batch["position"], batch["pose"]), scale, batch["visible"]), {}


def train_fingertips(source, training_path, model, earlier, settings, folder, path):
    """Train the model and save it.

    Parameters
    ----------
    source, training_path, earlier, settings, folder, path
        Same as in `training.position.train_position`; the features of `source` are those of a plan
        (`generation.feature_encoders`).
    model : dict
        Arguments of `FingertipSettings` without `features`.
    """
    setup = set_up(source, training_path, settings)
    sizes = FingertipSettings(features=setup.batches.clips[0].features.shape[1], **model)
    torch.manual_seed(settings["seed"])
    objective = FingertipObjective(FingertipNetwork(sizes))
    run_id = fingerprint(source, training_path, VERSION, asdict(sizes), settings)
    trained = train(objective, setup.batches, setup.loop, folder, run_id, setup.device, lambda model: _validate(model, setup))
    if trained is not None:
        save_trained(path, "fingertips", asdict(sizes), "network.", source, setup, trained, settings)


def _validate(objective, setup):
    """Compute the mean error of the fingertips over the validation windows, mm. "error_of_plan" is that of the plan, for comparison."""
    totals, count = {"error": 0.0, "error_of_plan": 0.0}, 0
    for batch in setup.valid_batches():
        plan = split_plan(batch["features"])
        truth = fingertips_of(batch["position"], batch["pose"], plan["scale"])
        _, *predicted = objective.network(batch["features"])
        for name, motion in (("error", predicted), ("error_of_plan", (plan["position"], plan["pose"]))):
            distance = (fingertips_of(*motion, plan["scale"]) - truth).norm(dim=-1).mean(dim=-1)
            totals[name] += float(distance[batch["visible"]].sum())
        count += int(batch["visible"].sum())
    return {name: total / max(count, 1) for name, total in totals.items()}
