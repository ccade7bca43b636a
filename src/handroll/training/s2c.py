"""Training of S2C (Liu et al., ACM MM 2025): a position predictor for each hand, then a denoiser for each hand.

Both hands are trained in one run. In the released code each hand has its own optimiser. AdamW scales the gradient of every weight
separately, so one optimiser for both hands makes the same steps, except with a limit of the gradient's norm.
"""

from functools import partial

from handroll.models.position import position_loss
from handroll.models.two_stage import S2C_KINDS
from handroll.training.gesture import GestureObjective, train_denoiser
from handroll.training.position import PositionObjective, train_predictor

VERSION = "S2C 1"
"""Version of both trainings. Increase it manually when the same settings and data give a different model."""


class HandPositionsObjective(PositionObjective):
    """Training objective of the position predictors: the sum of the losses of both hands. For the parameters, see `PositionObjective`."""

    def forward(self, batch):
        """Compute the loss of a batch. Return the sum, and the loss of each hand to log."""
        target, predicted = self.scales.scaled("position", batch["position"]), self.network(batch["features"])
        hands = zip(predicted.chunk(2, dim=-1), target.chunk(2, dim=-1), batch["visible"].split(1, dim=-1), strict=True)
        right, left = (position_loss(*hand, velocity_weight=self.velocity_weight) for hand in hands)
        return right + left, {"loss_right": right.detach(), "loss_left": left.detach()}


def train_s2c_position(source, training_path, model, velocity_weight, settings, folder, path):
    """Train the position predictors of both hands and save them. For the parameters, see `training.position.train_position`."""
    kind, _ = S2C_KINDS
    train_predictor(kind, HandPositionsObjective, VERSION, source, training_path, model, velocity_weight, settings, folder, path)


def train_s2c_gesture(source, training_path, position_path, model, change_weights, settings, folder, path):
    """Train the denoisers of both hands and save them.

    Parameters
    ----------
    source, training_path, position_path, settings, folder, path
        Same as in `training.gesture.train_gesture`. `position_path` is a checkpoint of `train_s2c_position`.
    model : dict
        Arguments of `S2CSettings` without `features`.
    change_weights : tuple of 2 floats
        Weights of the errors of first and second differences in time; see `models.diffusion.diffusion_loss`. The released training
        uses 0 for both, and the defaults of its class are 0.1.
    """
    objective = partial(GestureObjective, change_weights=tuple(change_weights))
    identity = [VERSION, *change_weights]
    train_denoiser(S2C_KINDS, objective, identity, source, training_path, position_path, model, settings, folder, path)
