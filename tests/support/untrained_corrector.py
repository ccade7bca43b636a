"""A checkpoint of a small MAPnet that moves the hands by random differences, or not at all."""

from dataclasses import asdict

import torch

from handroll.models.audio_features import feature_encoder
from handroll.models.checkpoint import Checkpoint, save_checkpoint
from handroll.models.mapnet import Mapnet, MapnetSettings
from handroll.training_data.windows import Scales

RATE_HZ = 30.0

WIDTHS = {"notes": 177, "logmel": 256}
"""Number of values of a frame, by name of the features."""


def write_corrector(path, features="notes", std=0.0, **about):
    """Write the checkpoint. `std`: standard deviation of the weights of its last layer. `about`: further entries of the header."""
    settings = MapnetSettings(WIDTHS.get(features, 1), 60, steps=10, width=16, layers=1, fusion_layers=1, heads=2, feedforward=16)
    torch.manual_seed(0)
    network = Mapnet(settings)
    torch.nn.init.normal_(network.head.weight, std=std)
    encoder = feature_encoder(features, RATE_HZ).version if features in WIDTHS else ""
    about = {"features": features, "encoder": encoder, "frame": "keyboard", "rate_hz": RATE_HZ, "frames": 60} | about
    scales = Scales((0.0,) * 6, (1.0,) * 6, (0.0,) * 96, (1.0,) * 96, 1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(path, Checkpoint("mapnet", asdict(settings), scales, about, network.state_dict()))
    return path
