"""Weights, inputs and checkpoints that follow from names and seeds, so that any implementation with the same names can compare."""

from zlib import crc32

import numpy as np
import pytest
import torch

from handroll.models.diffusion import schedule
from handroll.models.gesture import GestureSettings, GestureUNet
from handroll.models.position import POSITIONS, PositionPredictor, PositionSettings
from handroll.models.released import released_names
from handroll.models.s2c import HandDenoiser, S2CSettings
from handroll.models.s2c_fusion import CrossAttention
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
    states = [(network.state_dict(), released_names(network)) for network in networks]
    return {released: _filled(released, state[name].shape) for state, names in states for name, released in names.items()}


@pytest.fixture(scope="session")
def released_state():
    return _released_state


@pytest.fixture(scope="session")
def filled():
    """The function that makes a tensor from a name and a shape."""
    return _filled


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

    def make(width=768, positions=POSITIONS, **settings):
        sizes = {"context_width": width, "layers": 2, "bounded": True} | settings
        with torch.device("meta"):
            predictor = PositionPredictor(PositionSettings(width, **sizes), positions)
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
        return _gesture_file(_released_state(unet), position_state(64))

    return make


def _gesture_file(unet, position):
    """What the released file of a second stage would hold, from the tensors of its networks."""
    share = schedule().alphas_cumprod
    state = {f"model.{name}": value for name, value in unet.items()} | {f"piano2posi.{name}": value for name, value in position.items()}
    state |= {name: torch.zeros(1000) for name in COEFFICIENTS}
    return state | {"betas": schedule().betas, "alphas_cumprod": share, "loss_weight": share}


@pytest.fixture(scope="session")
def s2c_state(position_state):
    """Second stage of a hand of S2C, as released but for smaller sizes, with the layers that are never called."""

    def make(fusion=4, **settings):
        sizes = {"condition_width": 64, "layers": 2, "dim": 32, "channels": 48} | settings
        with torch.device("meta"):
            hand = HandDenoiser(S2CSettings(64, fusion=fusion, **sizes))
            unused = CrossAttention(hand.settings.multipliers[-1] * hand.settings.dim)
        state = _released_state(hand)
        if fusion in (1, 4):
            shapes = {name.replace("attention.", "cross_attn."): value.shape for name, value in unused.state_dict().items()}
            state |= {f"cross_attn.{name}": _filled(f"cross_attn.{name}", shape) for name, shape in shapes.items()}
        return _gesture_file(state, position_state(64, positions=3))

    return make


@pytest.fixture
def write(tmp_path):
    """The function that writes a checkpoint and returns its path."""

    def save(content, name="released.ckpt"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save
