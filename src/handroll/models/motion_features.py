"""Features of windows of motion, for Fréchet distances.

handroll's auto-encoder encodes positions and poses. PianoMotion10M's released auto-encoder encodes poses only.
"""

import torch

from handroll.models.checkpoint import load_checkpoint

FEATURE_BATCH = 64
"""Number of windows in a forward pass of an auto-encoder."""


def whole_motion(scales, position, pose):
    """Scale poses (window, frame, 96) and positions (window, frame, 6), and concatenate them in this order: tensor (window, frame, 102)."""
    return torch.cat([scales.scaled("pose", pose), scales.scaled("position", position)], dim=-1)


def motion_features(path):
    """Load a trained auto-encoder, and return the function that computes features with it.

    Parameters
    ----------
    path : path of a checkpoint

    Returns
    -------
    callable (position (window, frame, 6), pose (window, frame, 96)) -> array (window, 256)
    """
    checkpoint = load_checkpoint(path, "autoencoder")
    network = checkpoint.network()

    def features(position, pose):
        motion = whole_motion(checkpoint.scales, *(torch.from_numpy(part).float() for part in (position, pose)))
        return torch.cat([network.features(part) for part in motion.split(FEATURE_BATCH)]).numpy()

    return features


def released_features(path):
    """Load PianoMotion10M's released auto-encoder, and return the function that computes features with it.

    Parameters
    ----------
    path : path of the released checkpoint

    Returns
    -------
    callable (pose (window, frame 240, 96)) -> array (window, 256)
    """
    from handroll.models.released import load_autoencoder

    network = load_autoencoder(path)

    def features(pose):
        return torch.cat([network.features(part) for part in torch.from_numpy(pose).float().split(FEATURE_BATCH)]).numpy()

    return features
