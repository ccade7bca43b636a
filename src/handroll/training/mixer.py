"""Training of the second stage with an MLP-mixer as the denoiser; see `training.gesture`."""

from handroll.training.gesture import train_gesture

VERSION = 3
"""Version of the training. Increase it manually together with that of `training.gesture`."""


def train_mixer(*arguments):
    """Train the mixer and save it. Arguments: see `training.gesture.train_gesture`."""
    train_gesture(*arguments, kind="mixer")
