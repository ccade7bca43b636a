"""Write files like those of HaMeR, with random weights and any network size, for tests and demos without the released files."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml

from handroll.pose.hamer.network import HamerNetwork
from handroll.pose.hamer.parameter_layout import state_shapes
from handroll.pose.hamer.settings import RELEASED, BackboneSizes, DecoderSizes, HamerSettings

TOY = HamerSettings(
    backbone=BackboneSizes(dim=48, depth=3, heads=4),
    decoder=DecoderSizes(dim=40, depth=3, heads=2, dim_head=8, mlp_dim=56, context_dim=48),
)
"""Settings of a network with 0.2 million parameters. Most of its sizes differ, so that tests detect if two sizes are confused."""

START_CAM = (5.0, 0.0, 0.0)
"""Initial camera of random networks: a hand of 0.2 m fills half of a crop that is 0.4 m wide."""


class ToyFiles(NamedTuple):
    """Paths of a checkpoint file and of its file of settings."""

    checkpoint: Path
    config: Path


def random_state(settings=TOY, seed=0):
    """Return random parameters with the names in the released file.

    The scale of the weights preserves the variance of their input, so that the crop affects the output. The initial pose is that of an open
    hand. In the released file, it is near MANO's mean pose.

    Parameters
    ----------
    settings : pose.hamer.settings.HamerSettings
        Sizes of the network.
    seed : int
        Random seed.

    Returns
    -------
    dict of str to float32 tensor
    """
    generator = torch.Generator().manual_seed(seed)
    return {name: _random(name, shape, generator) for name, shape in state_shapes(settings).items()}


def _random(name, shape, generator):
    """Return a random tensor for the parameter with a name. Its distribution depends on the kind of the parameter; see `random_state`."""
    noise = torch.randn(shape, generator=generator)
    if name.endswith("init_hand_pose"):
        return torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).repeat(1, shape[1] // 6) + 0.1 * noise
    if name.endswith("init_cam"):
        return torch.tensor([START_CAM]) + 0.05 * noise
    if name.endswith(("bias", "init_betas")) or "pos_embed" in name:
        return noise.mul_(0.1)
    if "norm" in name:
        return noise.mul_(0.1).add_(1.0)
    return noise.mul_(np.prod(shape[1:]) ** -0.5)


def random_network(settings=TOY, seed=0, dtype=torch.float32):
    """Return a `HamerNetwork` with the parameters of `random_state`."""
    return HamerNetwork(random_state(settings, seed), settings, dtype)


def write_toy_checkpoint(folder, seed=0, settings=TOY, mano=None):
    """Write a checkpoint with the layout of the released one, and its settings.

    Parameters
    ----------
    folder : path
        Folder for `hamer.ckpt` and `model_config.yaml`.
    seed : int
    settings : pose.hamer.settings.HamerSettings
    mano : object, optional
        MANO model; see `pose.hamer.checkpoint.mano_differences`. Its arrays are added to the checkpoint.

    Returns
    -------
    ToyFiles
    """
    files = ToyFiles(Path(folder) / "hamer.ckpt", Path(folder) / "model_config.yaml")
    files.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    state = {"initialized": torch.tensor(True)} | random_state(settings, seed)
    # Like the released file, the checkpoint contains tensors that only training needs.
    state |= {"discriminator.D_conv1.weight": torch.zeros(32, 9, 1, 1), "discriminator.D_conv1.bias": torch.zeros(32)}
    if mano is not None:
        state |= {f"mano.{name}": torch.from_numpy(np.array(value)) for name, value in mano_buffers(mano).items()}
    torch.save({"epoch": 0, "global_step": 0, "pytorch-lightning_version": "0.0", "state_dict": state}, files.checkpoint)
    files.config.write_text(yaml.safe_dump(_config(settings, seed), sort_keys=False), encoding="utf-8")
    return files


def mano_buffers(model):
    """Return the arrays of a MANO model as they are stored in checkpoints.

    Names have no prefix `mano.`, arrays are float32, and pose directions have the shape (135, 2334).
    """
    floats = {
        "shapedirs": model.shape_directions,
        "v_template": model.template_m,
        "J_regressor": model.joint_regressor,
        "posedirs": np.reshape(model.pose_directions, (-1, np.shape(model.pose_directions)[-1])).T,
        "lbs_weights": model.weights,
        "hand_mean": model.hands_mean,
    }
    return {name: np.asarray(value, np.float32) for name, value in floats.items()} | {"parents": np.asarray(model.parents, np.int64)}


def _config(settings, seed):
    """Return the content of model_config.yaml in the released layout. For other sizes than the released ones, the sizes are added."""
    backbone, decoder = settings.backbone, settings.decoder
    sizes = {"depth": decoder.depth, "heads": decoder.heads, "mlp_dim": decoder.mlp_dim, "dim_head": decoder.dim_head}
    sizes |= {"dropout": 0.0, "emb_dropout": 0.0, "norm": "layer", "context_dim": decoder.context_dim}
    if decoder.dim != RELEASED.decoder.dim:
        sizes["dim"] = decoder.dim
    config = {
        "MANO": {
            "DATA_DIR": "_DATA/data/",
            "MODEL_PATH": "data/mano",
            "GENDER": "neutral",
            "NUM_HAND_JOINTS": 15,
            "MEAN_PARAMS": "data/mano_mean_params.npz",
            "CREATE_BODY_POSE": False,
        },
        "EXTRA": {"FOCAL_LENGTH": int(settings.focal_length_px)},
        "MODEL": {
            "IMAGE_SIZE": settings.image_size_px,
            "IMAGE_MEAN": list(settings.image_mean),
            "IMAGE_STD": list(settings.image_std),
            "BACKBONE": {"TYPE": "vit"},
            "MANO_HEAD": {"TYPE": "transformer_decoder", "IN_CHANNELS": 2048, "TRANSFORMER_DECODER": sizes},
        },
    }
    if settings != RELEASED:
        config["_PARITY"] = {"embed_dim": backbone.dim, "depth": backbone.depth, "num_heads": backbone.heads, "seed": seed}
    return config
