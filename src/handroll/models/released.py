"""Load the checkpoints that the authors of PianoMotion10M publish (Gan et al., ICLR 2025) into handroll's networks.

Sizes are taken from the tensors. Tables map the names, and no tensor may be missing or left over except those that the released code
never uses. No code in a file is run (`handroll.safe_pickle`). With `released=True`, the forward methods of the networks reproduce the
released code, including its quirks: loudness over the whole batch, and a mask for batches of one clip.

Settings that the tensors do not determine are those of the authors' README: positions end in tanh, and the denoiser predicts v. The
tensors do not distinguish HuBERT from wav2vec 2.0 either, which compute the same; they are loaded as HuBERT.
"""

import re
from dataclasses import dataclass

import torch

from handroll.models.autoencoder import START_CHANNELS, AutoencoderSettings, MotionAutoencoder
from handroll.models.diffusion import schedule
from handroll.models.gesture import GestureSettings, GestureUNet
from handroll.models.position import PositionPredictor, PositionSettings
from handroll.models.speech_encoder import KINDS, LARGE, SpeechEncoder
from handroll.safe_pickle import UnreadableError, load_torch
from handroll.state_dicts import layout_problems, listed, state_dict_at

SPEECH_HEAD_WIDTH = 64
"""Width of an attention head in every released HuBERT and wav2vec 2.0. The tensors do not determine it."""

SLOPE = 1.0
"""Negative slope of the auto-encoder's leaky ReLUs between linear layers, see `AutoencoderSettings`."""

_DECODER = (
    (r"^decoder\.encoder\.", "transformer_encoder."),
    (r"^decoder\.layers\.", "transformer_decoder.layers."),
    (r"^decoder\.", "mamba_encoder."),
)
_ATTENTION = r"^((?:downs|ups)\.\d+\.2|mid_attn)"
_RENAMED = {
    SpeechEncoder: ((r"^network\.", "audio_encoder_cont."),),
    PositionPredictor: (*_DECODER, (r"^project\.", "audio_feature_map_cont."), (r"^head\.", "bs_map_r.")),
    GestureUNet: (
        *_DECODER,
        (r"^project_motion\.", "cond_feature_map."),
        (_ATTENTION + r"\.norm\.", r"\1.fn.norm."),
        (_ATTENTION + r"\.to_", r"\1.fn.fn.to_"),
    ),
    MotionAutoencoder: ((r"^encoder\.", "pose_encoder."),),
}
"""Pattern at the beginning of handroll's name, and its replacement in the released name. The first match counts."""

_WEIGHT_NORM = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}
"""Suffixes of weight norms in PyTorch before 2.0, and since."""

_UNUSED = tuple(f"{layer}.{kind}" for layer in ("pos_feature_map", "audio_encoder_cont.lm_head") for kind in ("weight", "bias"))
"""Layers of stage one that the released code never calls."""

_COEFFICIENTS = (
    "betas",
    "alphas_cumprod",
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
    "loss_weight",
)
"""Coefficients of the diffusion that are stored beside stage two's networks."""

_COEFFICIENT_TOLERANCE = 1e-3
"""Relative. The last coefficients are small differences in single precision."""


class ReleasedError(ValueError):
    """A file is not the required released checkpoint. The message says what was expected, what was found, and what to do."""


@dataclass(frozen=True)
class ReleasedPosition:
    """Networks of stage one, which predicts the wrist's position."""

    speech: SpeechEncoder
    predictor: PositionPredictor


@dataclass(frozen=True)
class ReleasedGesture:
    """Network of stage two, which generates gestures, and the stage one with which it was trained."""

    position: ReleasedPosition
    unet: GestureUNet


def load_position(path):
    """Load stage one's networks in evaluation mode.

    Parameters
    ----------
    path : path
        A released `piano2posi-*.ckpt`.

    Returns
    -------
    ReleasedPosition

    Raises
    ------
    ReleasedError
    """
    what = "PianoMotion10M's position predictor (piano2posi-*.ckpt)"
    return _position(path, what, _read_state(path, what, "state_dict"))


def load_gesture(path):
    """Load stage two's networks in evaluation mode.

    Parameters
    ----------
    path : path
        A released `piano2pose-*.ckpt`.

    Returns
    -------
    ReleasedGesture

    Raises
    ------
    ReleasedError
        Also if the diffusion has other coefficients.
    """
    what = "PianoMotion10M's gesture generator (piano2pose-*.ckpt)"
    state = _read_state(path, what, "state_dict")
    parts = {"model.": {}, "piano2posi.": {}, "": {}}
    for name, value in state.items():
        prefix = next(prefix for prefix in parts if name.startswith(prefix))
        parts[prefix][name.removeprefix(prefix)] = value
    _check_schedule(path, what, parts[""])
    unet = _build(path, what, lambda: GestureUNet(_gesture_settings(parts["model."])), parts["model."])
    _fill(path, what, (unet,), parts["model."])
    return ReleasedGesture(_position(path, what, parts["piano2posi."]), unet)


def load_autoencoder(path):
    """Load the auto-encoder of the FID in evaluation mode.

    Parameters
    ----------
    path : path
        The released file, with `pose_dim` and `gen_dict`.

    Returns
    -------
    MotionAutoencoder

    Raises
    ------
    ReleasedError
    """
    what = "PianoMotion10M's auto-encoder of the FID"
    state = _read_state(path, what, "gen_dict")
    network = _build(path, what, lambda: MotionAutoencoder(_autoencoder_settings(state)), state)
    _fill(path, what, (network,), state)
    return network


def released_names(network):
    """Return the released name of each tensor of a network, by handroll's name.

    Parameters
    ----------
    network : SpeechEncoder, PositionPredictor, GestureUNet or MotionAutoencoder

    Returns
    -------
    dict of str to str
    """
    return {name: _released_name(name, _RENAMED[type(network)]) for name in network.state_dict()}


def _released_name(name, renamed):
    for pattern, released in renamed:
        changed, count = re.subn(pattern, released, name)
        if count:
            return changed
    return name


def _speech_sizes(state):
    """Return a speech encoder's settings that follow from its tensors."""
    own = {name.removeprefix("audio_encoder_cont."): value.shape for name, value in state.items()}
    layers = range(_count(own, "feature_extractor.conv_layers"))
    convolutions = [own[f"feature_extractor.conv_layers.{layer}.conv.weight"] for layer in layers]
    width, per_group, kernel = own["encoder.pos_conv_embed.conv.parametrizations.weight.original1"]
    large = LARGE if "feature_extractor.conv_layers.1.layer_norm.weight" in own else {}
    return {
        "hidden_size": width,
        "num_hidden_layers": _count(own, "encoder.layers"),
        "num_attention_heads": width // SPEECH_HEAD_WIDTH,
        "intermediate_size": own["encoder.layers.0.feed_forward.intermediate_dense.weight"][0],
        "conv_dim": [shape[0] for shape in convolutions],
        "conv_kernel": [shape[2] for shape in convolutions],
        "num_conv_pos_embeddings": kernel,
        "num_conv_pos_embedding_groups": width // per_group,
        **large,
    }


def _position_settings(state):
    """Return the settings of a position predictor."""
    width, features = state["audio_feature_map_cont.weight"].shape
    return PositionSettings(features, context_width=features, width=width, bounded=True, **_decoder_sizes(state))


def _gesture_settings(state):
    """Return the settings of a gesture U-Net."""
    condition, channels = state["cond_feature_map.weight"].shape
    dim, inputs, _ = state["init_conv.weight"].shape
    return GestureSettings(
        features=condition,
        condition_width=condition,
        dim=dim,
        multipliers=tuple(state[f"downs.{level}.3.weight"].shape[0] // dim for level in range(_count(state, "downs"))),
        channels=channels,
        guide=inputs - 2 * condition,
        **_decoder_sizes(state),
    )


def _autoencoder_settings(state):
    """Return the settings of an auto-encoder."""
    channels = state["pose_encoder.net.0.0.weight"].shape[1]
    return AutoencoderSettings(channels, frames=state["decoder.pre_net.3.weight"].shape[0] // START_CHANNELS, slope=SLOPE)


def _decoder_sizes(state):
    """Return a decoder's settings that follow from its tensors."""
    if "mamba_encoder.A_log" in state:
        return {"decoder": "ssm", "state": state["mamba_encoder.A_log"].shape[1]}
    feedforward = state["transformer_encoder.layers.0.linear1.weight"].shape[0]
    return {"decoder": "transformer", "layers": _count(state, "transformer_decoder.layers"), "feedforward": feedforward}


def _count(names, prefix):
    """Return the number of parts whose names are a prefix and a number."""
    return len({found[1] for name in names if (found := re.match(re.escape(prefix) + r"\.(\d+)\.", name))})


def _position(path, what, state):
    """Return stage one with the given tensors."""
    config, network = KINDS["hubert"]
    predictor = _build(path, what, lambda: PositionPredictor(_position_settings(state)), state)
    speech = _build(path, what, lambda: SpeechEncoder(network(config(**_speech_sizes(state)))), state)
    _fill(path, what, (predictor, speech), state, _UNUSED)
    return ReleasedPosition(speech, predictor)


def _build(path, what, make, state):
    """Return a network without memory for its tensors, with the sizes of the given ones."""
    try:
        with torch.device("meta"):
            return make()
    except KeyError as error:
        raise _rejection(path, what, f"a file without {error.args[0]}, which contains {listed(sorted(state))}") from None
    except (ValueError, IndexError, ArithmeticError, AssertionError, RuntimeError) as error:
        # Inconsistent sizes fail in the first layer concerned.
        raise _rejection(path, what, f"tensors of sizes that make no network ({error})") from None


def _fill(path, what, networks, state, unused=()):
    """Assign tensors to networks after checking their layout."""
    named = [(network, released_names(network)) for network in networks]
    # Any type: the tensors are converted to single precision below.
    expected = {names[own]: (value.shape, None) for network, names in named for own, value in network.state_dict().items()}
    if problems := layout_problems(state, expected, unused):
        raise _rejection(path, what, f"a file {problems}")
    for network, names in named:
        tensors = {own: state[released] for own, released in names.items()}
        single = {own: value.float() if value.is_floating_point() else value for own, value in tensors.items()}
        network.load_state_dict(single, assign=True)
        network.eval()


def _check_schedule(path, what, coefficients):
    """Raise ReleasedError unless the diffusion is that of `handroll.models.diffusion`."""
    if unknown := sorted(coefficients.keys() - set(_COEFFICIENTS)):
        raise _rejection(path, what, f"a file with unknown {listed(unknown)}")
    ours = schedule()
    # The weight of the loss shows what the denoiser predicts: this is the weight for v.
    for name, expected in (("betas", ours.betas), ("alphas_cumprod", ours.alphas_cumprod), ("loss_weight", ours.alphas_cumprod)):
        found, expected = coefficients.get(name), expected.cpu()
        if found is None or found.shape != expected.shape or not torch.allclose(found.float(), expected, _COEFFICIENT_TOLERANCE, 0.0):
            raise _rejection(path, what, f"a file whose {name} are not those of 1000 steps of the cosine schedule and the prediction of v")


def _read_state(path, what, key):
    """Return the tensors under a key, with their weight norms in PyTorch's current spelling."""
    try:
        state = state_dict_at(load_torch(path), key)
    except UnreadableError as error:
        raise _rejection(path, what, error) from error
    return {_current_name(name): value for name, value in state.items()}


def _current_name(name):
    for old, new in _WEIGHT_NORM.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _rejection(path, what, found):
    return ReleasedError(f"{path}: expected {what}, found {found}; get it again from its authors (github.com/agnJason/PianoMotion10M)")
