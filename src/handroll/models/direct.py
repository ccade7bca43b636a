"""Motion in one pass, without noise: the models `fingertips` (`fingertip_network`) and `emotalk` (`regression_network`).

Axis letters: B window in batch; T frame; F feature.
"""

import numpy as np
import torch

from handroll.device import torch_device
from handroll.models.checkpoint import load_checkpoint
from handroll.models.two_stage import blend_windows


class DirectModel:
    """Trained network that computes motion from features in one pass.

    Parameters
    ----------
    network : torch.nn.Module
        Network whose last two results are positions (B, T, 6) and poses (B, T, 96).
    frames : int
        Number of frames of the training windows.
    device : str
        Device on which the network runs.
    scales : training_data.windows.Scales, optional
        Normalisation of the network's results. None: they are not normalised.

    Attributes
    ----------
    parameters : int
        Number of parameters.
    """

    def __init__(self, network, frames, device="cpu", scales=None):
        self._device = torch_device(device)
        self._network = network.eval().requires_grad_(False).to(self._device)
        self._frames, self._scales = frames, scales
        self.parameters = sum(value.numel() for value in network.parameters())

    @torch.inference_mode()
    def generate(self, features):
        """Generate motion for windows of features.

        Parameters
        ----------
        features : array (B, T, F)
            Features of the kind with which the network was trained.

        Returns
        -------
        position : array (B, T, 6), float32
            Positions of the wrists, right hand first, in the unit of the coordinate frame of training.
        pose : array (B, T, 96), float32
            Axis-angle rotations, right hand first, rad.
        """
        *_, position, pose = self._network(torch.from_numpy(np.asarray(features, dtype=np.float32)).to(self._device))
        motion = {"position": position, "pose": pose}
        if self._scales is not None:
            motion = {kind: self._scales.unscaled(kind, values).float() for kind, values in motion.items()}
        return tuple(values.cpu().numpy() for values in motion.values())

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


def load_fingertips(path, device="cpu"):
    """Load the model `fingertips` from a checkpoint.

    Returns
    -------
    model : DirectModel
        Its features are those of fingered notes and of a plan.
    about : dict
        The `about` of the checkpoint.

    Raises
    ------
    FileNotFoundError, CheckpointError
        The file is missing, is not a checkpoint, or contains another kind of model.
    """
    checkpoint = load_checkpoint(path, "fingertips")
    return DirectModel(checkpoint.network(), checkpoint.about["frames"], device), checkpoint.about


def load_regression(path, device="cpu"):
    """Load the model `emotalk` from a checkpoint. Result and errors are those of `load_fingertips`; its features are of audio or notes."""
    checkpoint = load_checkpoint(path, "regression")
    return DirectModel(checkpoint.network(), checkpoint.about["frames"], device, checkpoint.scales), checkpoint.about
