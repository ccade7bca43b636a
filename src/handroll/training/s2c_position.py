"""Training of S2C's first stage (Liu et al., ACM MM 2025): a position predictor for each hand.

Both hands are trained in one run. In the released code each hand has its own optimiser. AdamW scales the gradient of every weight
separately, so one optimiser for both hands makes the same steps, except with a limit of the gradient's norm.
"""

from handroll.models.position import position_loss
from handroll.training.position import PositionObjective, train_predictor

VERSION = 1
"""Version of the training. Increase it manually when the same settings and data give a different model."""


class HandPositionsObjective(PositionObjective):
    """Training objective of the position predictors: the sum of the losses of both hands. For the parameters, see `PositionObjective`."""

    def forward(self, batch):
        """Compute the loss of a batch. Return the sum, and the loss of each hand to log."""
        target, predicted = self.scales.scaled("position", batch["position"]), self.network(batch["features"])
        hands = zip(predicted.chunk(2, dim=-1), target.chunk(2, dim=-1), batch["visible"].split(1, dim=-1), strict=True)
        right, left = (position_loss(*hand, velocity_weight=self.velocity_weight) for hand in hands)
        return right + left, {"loss_right": right.detach(), "loss_left": left.detach()}


def train_s2c_position(source, training_path, model, earlier, settings, folder, path):
    """Train the position predictors of both hands and save them. For the parameters, see `training.position.train_position`."""
    identity = f"S2C {VERSION}"
    train_predictor("s2c_position", HandPositionsObjective, identity, source, training_path, model, settings, folder, path)
