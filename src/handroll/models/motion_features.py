"""Features of whole windows of motion, places and poses, by handroll's own auto-encoder; and of poses by the released one."""

import torch

from handroll.models.checkpoint import load_checkpoint

FEATURE_BATCH = 64
"""Windows at a time."""


def whole_motion(scales, place, pose):
    """Scaled poses, then scaled places, as one series: tensor (window, frame, 102) of (window, frame, 6) and (window, frame, 96)."""
    return torch.cat([scales.scaled("pose", pose), scales.scaled("place", place)], dim=-1)


def motion_features(path):
    """The features of a trained auto-encoder.

    Parameters
    ----------
    path : path of a checkpoint

    Returns
    -------
    callable (place (window, frame, 6), pose (window, frame, 96)) -> array (window, 256)
    """
    checkpoint = load_checkpoint(path, "autoencoder")
    network = checkpoint.network()

    def features(place, pose):
        motion = whole_motion(checkpoint.scales, *(torch.from_numpy(part).float() for part in (place, pose)))
        return torch.cat([network.features(part) for part in motion.split(FEATURE_BATCH)]).numpy()

    return features


def released_features(path):
    """The features of PianoMotion10M's released auto-encoder.

    Parameters
    ----------
    path : path of its checkpoint

    Returns
    -------
    callable (pose (window, frame 240, 96)) -> array (window, 256)
    """
    from handroll.models.released import load_autoencoder

    network = load_autoencoder(path)

    def features(pose):
        return torch.cat([network.features(part) for part in torch.from_numpy(pose).float().split(FEATURE_BATCH)]).numpy()

    return features
