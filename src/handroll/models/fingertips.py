"""Motion from fingered notes and a plan with the trained model `fingertips` (`fingertip_network`).

Axis letters: B window in batch; T frame; F feature of fingered notes.
"""

import numpy as np
import torch

from handroll.device import torch_device
from handroll.models.checkpoint import load_checkpoint
from handroll.models.two_stage import blend_windows


class Fingertips:
    """Trained model that generates motion from fingered notes and a plan.

    Parameters
    ----------
    network : FingertipNetwork
    frames : int
        Number of frames of the training windows.
    device : str
        Device on which the network runs.

    Attributes
    ----------
    parameters : int
        Number of parameters.
    """

    def __init__(self, network, frames, device="cpu"):
        self._device = torch_device(device)
        self._network, self._frames = network.eval().requires_grad_(False).to(self._device), frames
        self.parameters = sum(value.numel() for value in network.parameters())

    @torch.inference_mode()
    def generate(self, features):
        """Generate motion for windows of features.

        Parameters
        ----------
        features : array (B, T, F + `N_PLAN`)

        Returns
        -------
        position : array (B, T, 6), float32
            Wrists, mm; right hand first.
        pose : array (B, T, 96), float32
            Axis-angle rotations, right hand first, rad.
        """
        _, *motion = self._network(torch.from_numpy(np.asarray(features, dtype=np.float32)).to(self._device))
        return tuple(part.cpu().numpy() for part in motion)

    def generate_long(self, features):
        """Generate motion of any length; see `two_stage.blend_windows`.

        Parameters
        ----------
        features : array (T, F + `N_PLAN`)

        Returns
        -------
        position : array (T, 6)
        pose : array (T, 96)
        """
        return blend_windows(self.generate, features, self._frames)


def load_fingertips(path, device="cpu"):
    """Load the model from a checkpoint.

    Returns
    -------
    model : Fingertips
    about : dict
        The `about` of the checkpoint.

    Raises
    ------
    FileNotFoundError, CheckpointError
        The file is missing, is not a checkpoint, or contains another kind of model.
    """
    checkpoint = load_checkpoint(path, "fingertips")
    return Fingertips(checkpoint.network(), checkpoint.about["frames"], device), checkpoint.about
