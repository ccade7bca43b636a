"""Training of S2C's second stage (Liu et al., ACM MM 2025): a denoiser for each hand, both in one run; see `training.s2c_position`."""

from functools import partial

from handroll.training.gesture import GestureObjective, train_denoiser

VERSION = 1
"""Version of the training. Increase it manually when the same settings and data give a different model."""

KINDS = "s2c_position", "s2c_gesture"
"""Kinds of the checkpoints of both stages."""


def train_s2c_gesture(source, training_path, model, earlier, settings, folder, path):
    """Train the denoisers of both hands and save them.

    Parameters
    ----------
    source, training_path, settings, folder, path
        Same as in `training.gesture.train_gesture`.
    model : dict
        Arguments of `S2CSettings` without `features`. It may contain `change_weights`, the weights of the errors of first and second
        differences in time (`models.diffusion.diffusion_loss`). The released training uses 0 for both, which is the default here; the
        defaults of its class are 0.1.
    earlier : dict of str to path
        Checkpoint of the first stage, `s2c_position`.
    """
    model = dict(model)
    change_weights = tuple(model.pop("change_weights", (0.0, 0.0)))
    objective = partial(GestureObjective, change_weights=change_weights)
    identity = [f"S2C {VERSION}", *change_weights]
    train_denoiser(KINDS, objective, identity, source, training_path, model, earlier, settings, folder, path)
