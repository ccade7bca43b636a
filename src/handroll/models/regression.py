"""Motion from audio features with a trained regression model (`regression_network`).

Axis letters: B window in batch; T frame; F audio feature.
"""

import numpy as np
import torch

from handroll.device import torch_device
from handroll.models.checkpoint import load_checkpoint
from handroll.models.two_stage import blend_windows


class Regression:
    """Trained model that regresses motion from audio features.

    Parameters
    ----------
    network : RegressionNetwork
    scales : training_data.windows.Scales
        Normalisation of positions and poses.
    frames : int
        Number of frames of the training windows.
    device : str
        Device on which the network runs.

    Attributes
    ----------
    parameters : int
        Number of parameters.
    """

    def __init__(self, network, scales, frames, device="cpu"):
        self._device = torch_device(device)
        self._network = network.eval().requires_grad_(False).to(self._device)
        self._scales, self._frames = scales, frames
        self.parameters = sum(value.numel() for value in network.parameters())

    @torch.inference_mode()
    def generate(self, features):
        """Generate motion for windows of features.

        Parameters
        ----------
        features : array (B, T, F)

        Returns
        -------
        position : array (B, T, 6), float32
            Positions, right hand first, in the unit of the coordinate frame of training.
        pose : array (B, T, 96), float32
            Axis-angle rotations, right hand first, rad.
        """
        motion = self._network(torch.from_numpy(np.asarray(features, dtype=np.float32)).to(self._device))
        kinds = zip(("position", "pose"), motion, strict=True)
        return tuple(self._scales.unscaled(kind, values).float().cpu().numpy() for kind, values in kinds)

    def generate_long(self, features):
        """Generate motion of any length; see `two_stage.blend_windows`.

        Parameters
        ----------
        features : array (T, F)

        Returns
        -------
        position : array (T, 6)
        pose : array (T, 96)
        """
        return blend_windows(self.generate, features, self._frames)


def load_regression(path, device="cpu"):
    """Load the model from a checkpoint.

    Returns
    -------
    model : Regression
    about : dict
        The `about` of the checkpoint.

    Raises
    ------
    FileNotFoundError, CheckpointError
        The file is missing, is not a checkpoint, or contains another kind of model.
    """
    checkpoint = load_checkpoint(path, "regression")
    return Regression(checkpoint.network(), checkpoint.scales, checkpoint.about["frames"], device), checkpoint.about
