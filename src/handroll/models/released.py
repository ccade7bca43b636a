"""Load the checkpoints that the authors of PianoMotion10M (Gan et al., ICLR 2025) and of S2C (Liu et al., ACM MM 2025) publish.

Sizes of a network follow from the shapes of its tensors. Tables map handroll's names of tensors to the released names. A file must contain
every tensor of its networks. Any other tensor is an error, except tensors of layers that the released code never calls, and the
coefficients of the diffusion. S2C has one file for each hand and stage. Code in a file is never run (`handroll.safe_pickle`). With
`released=True`, the forward methods of the networks reproduce the released code including two errors: audio is normalised over the whole
batch, and batches of one clip are masked.

Settings that do not follow from the tensors are those of the authors' README: tanh is applied to positions, and the denoiser predicts v.
The tensors do not distinguish HuBERT from wav2vec 2.0 either. Both networks compute the same function, so both are loaded as HuBERT.
"""

import re
from dataclasses import asdict, dataclass, replace

import torch

from handroll.models.autoencoder import START_CHANNELS, AutoencoderSettings, MotionAutoencoder
from handroll.models.diffusion import schedule
from handroll.models.gesture import GestureSettings, GestureUNet
from handroll.models.position import POSITIONS, PositionPredictor, PositionSettings
from handroll.models.s2c import HandDenoiser, S2CDenoisers, S2CPositions, S2CSettings
from handroll.models.s2c_fusion import CrossAttention
from handroll.models.speech_encoder import KINDS, LARGE, SpeechEncoder
from handroll.safe_pickle import UnreadableError, load_torch
from handroll.state_dicts import layout_problems, listed, state_dict_at

SPEECH_HEAD_WIDTH = 64
"""Number of channels of an attention head in every released HuBERT and wav2vec 2.0. The tensors do not determine this number."""

SLOPE = 1.0
"""Negative slope of the auto-encoder's leaky ReLUs between linear layers; see `AutoencoderSettings`."""

# Renaming rules of a decoder, in the form of `_RENAMED`.
_DECODER = (
    (r"^decoder\.encoder\.", "transformer_encoder."),
    (r"^decoder\.layers\.", "transformer_decoder.layers."),
    (r"^decoder\.", "mamba_encoder."),
)

# Pattern of the names of the U-Net's attention layers, for `_RENAMED`.
_ATTENTION = r"^((?:downs|ups)\.\d+\.2|mid_attn)"

# Renaming rules of each network: pattern at the beginning of handroll's name of a tensor, and its replacement in the released name. The
# first rule that matches is applied.
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
_RENAMED[HandDenoiser] = (
    *_RENAMED[GestureUNet],
    (r"^cross_attention\.attention\.", "cross_attn.cross_attn."),
    (r"^cross_attention\.", "cross_attn."),
    (r"^hcaa\.(query|key|value)_own\.", lambda found: f"diff_attn.{found[1][0]}_proj_left."),
    (r"^hcaa\.(query|key|value)_other\.", lambda found: f"diff_attn.{found[1][0]}_proj_right."),
    (r"^hcaa\.lambda_(query|key)_own", lambda found: f"diff_attn.lambda_{found[1][0]}_left"),
    (r"^hcaa\.lambda_(query|key)_other", lambda found: f"diff_attn.lambda_{found[1][0]}_right"),
    (r"^hcaa\.norm\.", "diff_attn.subln."),
    (r"^hcaa\.out\.", "diff_attn.out_proj."),
    (r"^hcaa\.", "diff_attn."),
)

# Suffix of each tensor of a weight norm in PyTorch before 2.0, mapped to its suffix since 2.0.
_WEIGHT_NORM = {".weight_g": ".parametrizations.weight.original0", ".weight_v": ".parametrizations.weight.original1"}

# Tensors of layers in the first stage that the released code never calls.
_UNUSED = tuple(f"{layer}.{kind}" for layer in ("pos_feature_map", "audio_encoder_cont.lm_head") for kind in ("weight", "bias"))

# Fusion modes of S2C whose files contain a cross-attention that the released code never calls.
_UNUSED_CROSS_ATTENTION = (1, 4)

# Names of the coefficients of the diffusion. A released file of the second stage contains them in addition to the
# networks.
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

# Repository that publishes the checkpoints of S2C.
_S2C = "github.com/monkek123King/S2C"

# Relative tolerance of the coefficients. The last coefficients are small differences of numbers in single precision.
_COEFFICIENT_TOLERANCE = 1e-3


class ReleasedError(ValueError):
    """Error for a file that is not the required released checkpoint."""


@dataclass(frozen=True)
class _File:
    """A file to load, for error messages: its path, the expected checkpoint in words, and the repository that publishes it."""

    path: str
    what: str
    repository: str = "github.com/agnJason/PianoMotion10M"

    def error(self, found):
        """Build the ReleasedError for this file, from what was found."""
        return ReleasedError(f"{self.path}: expected {self.what}, found {found}; download it again from {self.repository}")


@dataclass(frozen=True)
class ReleasedPosition:
    """Networks of the first stage, which predicts the positions of both hands."""

    speech: SpeechEncoder
    predictor: PositionPredictor


@dataclass(frozen=True)
class ReleasedGesture:
    """Network of the second stage, which generates poses, and networks of the first stage with which it was trained."""

    position: ReleasedPosition
    unet: GestureUNet


@dataclass(frozen=True)
class ReleasedS2CPosition:
    """Networks of the first stage of S2C: a speech encoder for each hand (right, left), and the predictors, with features of each hand."""

    speech: tuple[SpeechEncoder, SpeechEncoder]
    predictors: S2CPositions

    def features(self, audio, frames, released=False):
        """Compute the features (B, T, 2 F) of audio, those of the right hand's encoder first. For the arguments, see `SpeechEncoder`."""
        return torch.cat([hand(audio, frames, released=released) for hand in self.speech], dim=-1)


@dataclass(frozen=True)
class ReleasedS2C:
    """Networks of the second stage of S2C, and networks of the first stage with which they were trained."""

    position: ReleasedS2CPosition
    denoisers: S2CDenoisers


def load_position(path):
    """Load the networks of the first stage in evaluation mode.

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
        The file is not this checkpoint.
    """
    file = _File(path, "PianoMotion10M's position predictor (piano2posi-*.ckpt)")
    return _build_position(file, _read_state(file, "state_dict"))


def load_gesture(path):
    """Load the networks of the second stage in evaluation mode.

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
        The file is not this checkpoint, or its diffusion has other coefficients than `handroll.models.diffusion`.
    """
    file = _File(path, "PianoMotion10M's gesture generator (piano2pose-*.ckpt)")
    own, first = _read_gesture(file)
    unet = _build(file, lambda: GestureUNet(_gesture_settings(own)), own)
    _assign_tensors(file, (unet,), own)
    return ReleasedGesture(_build_position(file, first), unet)


def load_s2c_position(right_path, left_path):
    """Load the networks of S2C's first stage in evaluation mode.

    Parameters
    ----------
    right_path, left_path : path
        The released `piano2posi-right-*.ckpt` and `piano2posi-left-*.ckpt`.

    Returns
    -------
    ReleasedS2CPosition

    Raises
    ------
    ReleasedError
        A file is not this checkpoint, or the files have networks of different sizes.
    """
    hands = {"right": right_path, "left": left_path}
    files = [_File(path, f"S2C's position predictor (piano2posi-{hand}-*.ckpt)", _S2C) for hand, path in hands.items()]
    return _pair_positions(files, [_build_position(file, _read_state(file, "state_dict"), POSITIONS // 2) for file in files])


def load_s2c_gesture(right_path, left_path, fusion=4):
    """Load the networks of S2C's second stage in evaluation mode. The attention of fusion mode 4 is causal, as in the released code.

    To reproduce the released code, sample with `TwoStage(..., released=True).generate(..., shared_noise=True)`.

    Parameters
    ----------
    right_path, left_path : path
        The released checkpoints of the right and of the left hand's denoiser.
    fusion : int
        Fusion mode, one of `s2c.FUSIONS`. The published checkpoints have mode 4. The tensors of modes 2 and 3 are the same.

    Returns
    -------
    ReleasedS2C

    Raises
    ------
    ReleasedError
        A file is not this checkpoint, its diffusion has other coefficients than `handroll.models.diffusion`, or the files have networks
        of different sizes.
    """
    hands = {"right": right_path, "left": left_path}
    files = [_File(path, f"S2C's denoiser of the {hand} hand with fusion mode {fusion}", _S2C) for hand, path in hands.items()]
    read = [_read_gesture(file) for file in files]
    right, left = (_build_hand(file, own, fusion) for file, (own, _) in zip(files, read, strict=True))
    _check_same(files, right.settings, left.settings)
    with torch.device("meta"):
        denoisers = S2CDenoisers(replace(right.settings, channels=2 * right.settings.channels), own_features=True).eval()
    denoisers.right, denoisers.left = right, left
    first = [_build_position(file, state, POSITIONS // 2) for file, (_, state) in zip(files, read, strict=True)]
    return ReleasedS2C(_pair_positions(files, first), denoisers)


def load_autoencoder(path):
    """Load the auto-encoder whose features the FID compares, in evaluation mode.

    Parameters
    ----------
    path : path
        The released file, which contains `pose_dim` and `gen_dict`.

    Returns
    -------
    MotionAutoencoder

    Raises
    ------
    ReleasedError
        The file is not this checkpoint.
    """
    file = _File(path, "PianoMotion10M's auto-encoder of the FID")
    state = _read_state(file, "gen_dict")
    network = _build(file, lambda: MotionAutoencoder(_autoencoder_settings(state)), state)
    _assign_tensors(file, (network,), state)
    return network


def released_names(network):
    """Map handroll's name of each tensor of a network to the released name.

    Parameters
    ----------
    network : SpeechEncoder, PositionPredictor, GestureUNet, HandDenoiser or MotionAutoencoder

    Returns
    -------
    dict of str to str
    """
    return {name: _released_name(name, _RENAMED[type(network)]) for name in network.state_dict()}


def _released_name(name, renamed):
    """Return the released name of a tensor by the first rule of `renamed` that matches; without a match the name is unchanged."""
    for pattern, released in renamed:
        changed, count = re.subn(pattern, released, name)
        if count:
            return changed
    return name


def _speech_sizes(state):
    """Derive the settings of a speech encoder from the shapes of its tensors."""
    own = {name.removeprefix("audio_encoder_cont."): value.shape for name, value in state.items()}
    layers = range(_count_numbered(own, "feature_extractor.conv_layers"))
    convolutions = [own[f"feature_extractor.conv_layers.{layer}.conv.weight"] for layer in layers]
    width, per_group, kernel = own["encoder.pos_conv_embed.conv.parametrizations.weight.original1"]
    large = LARGE if "feature_extractor.conv_layers.1.layer_norm.weight" in own else {}
    return {
        "hidden_size": width,
        "num_hidden_layers": _count_numbered(own, "encoder.layers"),
        "num_attention_heads": width // SPEECH_HEAD_WIDTH,
        "intermediate_size": own["encoder.layers.0.feed_forward.intermediate_dense.weight"][0],
        "conv_dim": [shape[0] for shape in convolutions],
        "conv_kernel": [shape[2] for shape in convolutions],
        "num_conv_pos_embeddings": kernel,
        "num_conv_pos_embedding_groups": width // per_group,
        **large,
    }


def _position_settings(state):
    """Derive the settings of a position predictor from the shapes of its tensors."""
    width, features = state["audio_feature_map_cont.weight"].shape
    return PositionSettings(features, context_width=features, width=width, bounded=True, **_decoder_sizes(state))


def _gesture_settings(state):
    """Derive the settings of a gesture U-Net from the shapes of its tensors."""
    condition, channels = state["cond_feature_map.weight"].shape
    dim, inputs, _ = state["init_conv.weight"].shape
    return GestureSettings(
        features=condition,
        condition_width=condition,
        dim=dim,
        multipliers=tuple(state[f"downs.{level}.3.weight"].shape[0] // dim for level in range(_count_numbered(state, "downs"))),
        channels=channels,
        guide=inputs - 2 * condition,
        **_decoder_sizes(state),
    )


def _autoencoder_settings(state):
    """Derive the settings of an auto-encoder from the shapes of its tensors."""
    channels = state["pose_encoder.net.0.0.weight"].shape[1]
    return AutoencoderSettings(channels, frames=state["decoder.pre_net.3.weight"].shape[0] // START_CHANNELS, slope=SLOPE)


def _decoder_sizes(state):
    """Derive the settings of a decoder from the shapes of its tensors."""
    if "mamba_encoder.A_log" in state:
        return {"decoder": "ssm", "state": state["mamba_encoder.A_log"].shape[1]}
    feedforward = state["transformer_encoder.layers.0.linear1.weight"].shape[0]
    return {"decoder": "transformer", "layers": _count_numbered(state, "transformer_decoder.layers"), "feedforward": feedforward}


def _count_numbered(names, prefix):
    """Count the different numbers N in names that start with "prefix.N."."""
    return len({found[1] for name in names if (found := re.match(re.escape(prefix) + r"\.(\d+)\.", name))})


def _read_gesture(file):
    """Read a file of the second stage. Return the tensors of the denoiser and those of the first stage, by released name.

    The coefficients of the diffusion are checked.
    """
    parts = {"model.": {}, "piano2posi.": {}, "": {}}
    for name, value in _read_state(file, "state_dict").items():
        prefix = next(prefix for prefix in parts if name.startswith(prefix))
        parts[prefix][name.removeprefix(prefix)] = value
    _check_schedule(file, parts[""])
    return parts["model."], parts["piano2posi."]


def _build_position(file, state, positions=POSITIONS):
    """Build the networks of the first stage with the tensors `state` by released name. `positions`: see `PositionPredictor`."""
    config, network = KINDS["hubert"]
    predictor = _build(file, lambda: PositionPredictor(_position_settings(state), positions), state)
    speech = _build(file, lambda: SpeechEncoder(network(config(**_speech_sizes(state)))), state)
    _assign_tensors(file, (predictor, speech), state, _UNUSED)
    return ReleasedPosition(speech, predictor)


def _build_hand(file, state, fusion):
    """Build the denoiser of a hand of S2C with the tensors `state` by released name. `fusion` is the fusion mode."""
    network = _build(file, lambda: HandDenoiser(S2CSettings(**asdict(_gesture_settings(state)), fusion=fusion, causal=True)), state)
    dead = {}
    if fusion in _UNUSED_CROSS_ATTENTION:
        with torch.device("meta"):
            layer = CrossAttention(network.settings.multipliers[-1] * network.settings.dim)
        renamed = _RENAMED[HandDenoiser]
        dead = {_released_name(f"cross_attention.{name}", renamed): value.shape for name, value in layer.state_dict().items()}
    _assign_tensors(file, (network,), state, dead=dead)
    return network


def _pair_positions(files, stages):
    """Combine the first stages of both hands (right, left), `ReleasedPosition` each, to a `ReleasedS2CPosition`."""
    right, left = (stage.predictor for stage in stages)
    _check_same(files, right.settings, left.settings)
    with torch.device("meta"):
        predictors = S2CPositions(right.settings, own_features=True).eval()
    predictors.right, predictors.left = right, left
    return ReleasedS2CPosition(tuple(stage.speech for stage in stages), predictors)


def _check_same(files, right, left):
    """Check that the networks of both hands have the same settings. Other settings raise a ReleasedError."""
    if right != left:
        raise files[1].error(f"a file with networks of other sizes ({left}) than {files[0].path} ({right})")


def _build(file, make, state):
    """Call `make` to build a network on torch's device "meta", which uses no memory. Inconsistent sizes raise a ReleasedError.

    `file` and `state` (tensors by name) are for the error message.
    """
    try:
        with torch.device("meta"):
            return make()
    except KeyError as error:
        raise file.error(f"a file without the tensor {error.args[0]}; it contains {listed(sorted(state))}") from None
    except (ValueError, IndexError, ArithmeticError, AssertionError, RuntimeError) as error:
        # The type of the error depends on the layer in which the sizes are inconsistent.
        raise file.error(f"tensors with sizes that do not fit together ({error})") from None


def _assign_tensors(file, networks, state, unused=(), dead=None):
    """Check that a file has exactly the tensors that networks need, and assign them. A wrong layout raises a ReleasedError.

    `state` maps released names to tensors. Names in `unused` may be absent or present. `dead` maps the names of tensors that the file
    must also contain, but that the networks do not have, to their shapes.
    """
    named = [(network, released_names(network)) for network in networks]
    # None accepts any type, because the tensors are converted to single precision below.
    expected = {names[own]: (value.shape, None) for network, names in named for own, value in network.state_dict().items()}
    expected |= {name: (shape, None) for name, shape in (dead or {}).items()}
    if problems := layout_problems(state, expected, unused):
        raise file.error(f"a file {problems}")
    for network, names in named:
        tensors = {own: state[released] for own, released in names.items()}
        single = {own: value.float() if value.is_floating_point() else value for own, value in tensors.items()}
        network.load_state_dict(single, assign=True)
        network.eval()


def _check_schedule(file, coefficients):
    """Check that coefficients (tensors by name) are those of `handroll.models.diffusion`. Other coefficients raise a ReleasedError."""
    if unknown := sorted(coefficients.keys() - set(_COEFFICIENTS)):
        raise file.error(f"a file with the unknown entries {listed(unknown)}")
    ours = schedule()
    # `loss_weight` depends on the quantity that the denoiser predicts. For v it equals alphas_cumprod.
    for name, expected in (("betas", ours.betas), ("alphas_cumprod", ours.alphas_cumprod), ("loss_weight", ours.alphas_cumprod)):
        found, expected = coefficients.get(name), expected.cpu()
        if found is None or found.shape != expected.shape or not torch.allclose(found.float(), expected, _COEFFICIENT_TOLERANCE, 0.0):
            raise file.error(f"a file whose {name} differs from the cosine schedule of 1000 steps with prediction of v")


def _read_state(file, key):
    """Read the tensors under the entry `key` of a checkpoint, by name. Names of weight norms become those of PyTorch 2.0 and later."""
    try:
        state = state_dict_at(load_torch(file.path), key)
    except UnreadableError as error:
        raise file.error(error) from error
    return {_current_name(name): value for name, value in state.items()}


def _current_name(name):
    """Return the name of a tensor in PyTorch 2.0 and later."""
    for old, new in _WEIGHT_NORM.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
