"""Training of models that correct motion: MAPnet, the transformer on pose only, and the LSTMs."""

from dataclasses import asdict, replace

import numpy as np
import torch
from torch import nn

from handroll.models.checkpoint import KINDS
from handroll.models.correction_baselines import interpolated
from handroll.models.correction_input import correction_loss
from handroll.training.loop import train
from handroll.training.training_run import VALID_BATCH, fingerprint, save_trained, set_up
from handroll.training_data.noisy_windows import NoisyWindows, bone_scales, noisy_batch

VERSION = 1
"""Version of the training. Increase it manually when the same settings and data give a different model."""

INPUTS = ("noisy_position", "noisy_pose", "observed", "scale", "features")
"""Names of the arrays of a batch that a model receives, in the order of its arguments."""


class CorrectionObjective(nn.Module):
    """Training objective: computes the loss of a batch of `training_data.noisy_windows`.

    Parameters
    ----------
    network : Mapnet or LstmCorrector
    """

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, batch):
        """Compute the loss of a batch. Return the loss, and its mean distance of joints (mm) to log."""
        predicted = self.network(*(batch[name] for name in INPUTS))
        loss, mpjpe = correction_loss(predicted, (batch["position"], batch["pose"]), batch["scale"], batch["visible"])
        return loss, {"mpjpe_mm": mpjpe.detach()}


def train_correction(source, training_path, kind, model, noise, settings, folder, path):
    """Train a model and save it.

    Parameters
    ----------
    source, training_path, settings, folder, path
        Same as in `training.position.train_position`; the source is in the keyboard frame.
    kind : {"mapnet", "lstm"}
        Kind of the model (`models.checkpoint.KINDS`).
    model : dict
        Arguments of `MapnetSettings` or `LstmSettings` without `features` and `frames`.
    noise : sequence of MotionNoise
        Kinds of noise; each batch has one of them, in turn.
    """
    if source.frame != "keyboard":
        raise ValueError(f"training of {kind}: expected clips in the frame keyboard, found the frame {source.frame}; set `frame: keyboard`")
    setup = set_up(source, training_path, settings)
    of_kind, network = KINDS[kind]
    sizes = of_kind(features=setup.batches.clips[0].features.shape[1], frames=setup.frames, **model)
    setup = replace(setup, batches=NoisyWindows(setup.batches, sizes.every, noise, settings["seed"]))
    torch.manual_seed(settings["seed"])
    objective = CorrectionObjective(network(sizes))
    given = settings | {"noise": [asdict(one) for one in noise]}
    run_id = fingerprint(source, training_path, VERSION, kind, asdict(sizes), given)
    valid = list(_valid_batches(setup, sizes.every, noise))
    trained = train(objective, setup.batches, setup.loop, folder, run_id, setup.device, lambda model: _validate(model, valid))
    if trained is not None:
        save_trained(path, kind, asdict(sizes), "network.", source, setup, trained, given)


def _valid_batches(setup, every, noise):
    """Yield the validation windows with noise as batches of tensors. The noise does not depend on the training settings."""
    scales = bone_scales(setup.valid)
    for number, first in enumerate(range(0, len(setup.valid_windows), VALID_BATCH)):
        windows = setup.valid_windows[first : first + VALID_BATCH]
        rng = np.random.default_rng([3, number])
        arrays = noisy_batch(setup.valid, windows, scales, setup.frames, every, noise[number % len(noise)], rng)
        yield {name: torch.from_numpy(values).to(setup.device) for name, values in arrays.items()}


def _validate(objective, batches):
    """Compute the mean error of the joints over the validation windows, mm. "error_of_input" is that of the interpolated input."""
    totals, count = {"error": 0.0, "error_of_input": 0.0}, 0
    for batch in batches:
        given = [batch[name] for name in INPUTS]
        settings = objective.network.settings
        motions = {"error": objective.network(*given), "error_of_input": interpolated(*given[:3], settings.frames, settings.every)}
        shown = int(batch["visible"].sum())
        for name, motion in motions.items():
            _, mpjpe = correction_loss(motion, (batch["position"], batch["pose"]), batch["scale"], batch["visible"])
            totals[name] += float(mpjpe) * shown
        count += shown
    return {name: total / max(count, 1) for name, total in totals.items()}
