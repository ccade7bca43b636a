"""Weights, inputs and checkpoints that follow from names and seeds, so that any implementation with the same names can compare."""

from zlib import crc32

import numpy as np
import pytest
import torch

from handroll.models.diffusion import schedule
from handroll.models.gesture import GestureSettings, GestureUNet
from handroll.models.position import PositionPredictor, PositionSettings
from handroll.models.released import released_names
from handroll.models.speech_encoder import KINDS, SpeechEncoder

COEFFICIENTS = (
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
)


def _filled(name, shape):
    """A tensor that its name determines: near 0, scales near 1."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith(("running_mean", "running_var")):
        return torch.full(shape, float(name.endswith("var")))
    values = np.random.default_rng(crc32(name.encode())).normal(0.0, 0.05, shape).astype(np.float32)
    scale = name.endswith(".g") or (name.endswith(".weight") and len(shape) == 1)
    return torch.from_numpy(values + scale)


def _released_state(*networks):
    """What the released file would hold of networks, filled by the released names."""
    return {
        released: _filled(released, network.state_dict()[name].shape)
        for network in networks
        for name, released in released_names(network).items()
    }


@pytest.fixture(scope="session")
def released_state():
    return _released_state


@pytest.fixture(scope="session")
def arr():
    """The function that makes normal numbers of a seed."""
    return lambda seed, *shape, scale=1.0: torch.from_numpy(np.random.default_rng(seed).normal(0.0, scale, shape).astype(np.float32))


@pytest.fixture(scope="session")
def small_speech():
    """The function that makes a speech encoder of few channels and a given width."""

    def make(width, **settings):
        config, network = KINDS["hubert"]
        sizes = {"num_hidden_layers": 1, "num_attention_heads": width // 64, "intermediate_size": 16, "num_conv_pos_embeddings": 8}
        with torch.device("meta"):
            return SpeechEncoder(network(config(hidden_size=width, conv_dim=(8,) * 7, **sizes | settings)))

    return make


@pytest.fixture(scope="session")
def position_state(small_speech):
    """First stage, as released but for fewer layers."""

    def make(width=768, **settings):
        sizes = {"context_width": width, "layers": 2, "bounded": True} | settings
        with torch.device("meta"):
            predictor = PositionPredictor(PositionSettings(width, **sizes))
        unused = {"pos_feature_map.weight": (512, 6), "pos_feature_map.bias": (512,)}
        unused |= {"audio_encoder_cont.lm_head.weight": (32, 1024), "audio_encoder_cont.lm_head.bias": (32,)}
        return _released_state(predictor, small_speech(width)) | {name: _filled(name, shape) for name, shape in unused.items()}

    return make


@pytest.fixture(scope="session")
def gesture_state(position_state):
    """Second stage, as released but for smaller sizes."""

    def make(**settings):
        sizes = {"condition_width": 64, "layers": 2, "dim": 32} | settings
        with torch.device("meta"):
            unet = GestureUNet(GestureSettings(64, **sizes))
        share = schedule().alphas_cumprod
        state = {f"model.{name}": value for name, value in _released_state(unet).items()}
        state |= {f"piano2posi.{name}": value for name, value in position_state(64).items()}
        state |= {name: torch.zeros(1000) for name in COEFFICIENTS}
        return state | {"betas": schedule().betas, "alphas_cumprod": share, "loss_weight": share}

    return make


@pytest.fixture
def write(tmp_path):
    """The function that writes a checkpoint and returns its path."""

    def save(content, name="released.ckpt"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save
