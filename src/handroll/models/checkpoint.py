"""Save and load a trained model as one safetensors file, whose header contains the model's kind, settings, scales and origin.

A file may come from anywhere, so its header is checked before memory is allocated. The network is first built on torch's device "meta",
which uses no memory. The file must contain exactly the tensors of this network.
"""

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from handroll.models.autoencoder import AutoencoderSettings, MotionAutoencoder
from handroll.models.correction_baselines import LstmCorrector, LstmSettings
from handroll.models.fingertip_network import FingertipNetwork, FingertipSettings
from handroll.models.gesture import GestureSettings, GestureUNet
from handroll.models.mapnet import Mapnet, MapnetSettings
from handroll.models.mixer import GestureMixer, MixerSettings
from handroll.models.planned_mapnet import PlannedMapnet, PlannedMapnetSettings
from handroll.models.position import PositionPredictor, PositionSettings
from handroll.models.regression_network import RegressionNetwork, RegressionSettings
from handroll.models.s2c import S2CDenoisers, S2CPositions, S2CSettings
from handroll.provenance import atomic_path
from handroll.state_dicts import listed
from handroll.training_data.model_frame import FRAMES, N_POSE, N_POSITION
from handroll.training_data.windows import Scales

FORMAT = "2"
"""Version of the file format. Increase it manually when the meaning of a file changes."""

KINDS = {
    "position": (PositionSettings, PositionPredictor),
    "gesture": (GestureSettings, GestureUNet),
    "mixer": (MixerSettings, GestureMixer),
    "s2c_position": (PositionSettings, S2CPositions),
    "s2c_gesture": (S2CSettings, S2CDenoisers),
    "fingertips": (FingertipSettings, FingertipNetwork),
    "regression": (RegressionSettings, RegressionNetwork),
    "autoencoder": (AutoencoderSettings, MotionAutoencoder),
    "mapnet": (MapnetSettings, Mapnet),
    "planned_mapnet": (PlannedMapnetSettings, PlannedMapnet),
    "lstm": (LstmSettings, LstmCorrector),
}
"""Settings class and network class of each kind of model."""

DENOISERS = ("gesture", "mixer")
"""Kinds of models that are the second stage of a two-stage model."""

MAX_FRAMES = 100_000
"""Maximum window length that the header of a file may state, in frames: about an hour at 30 Hz. A longer window would need too much
memory, and the tensors of a file do not limit the length."""

MAX_RATE_HZ = 1000.0
"""Maximum frame rate of the motion that the header of a file may state (Hz)."""

# Settings that the format of the motion determines, by kind of model.
_FIXED = {
    **{kind: {"channels": N_POSE, "guide": N_POSITION} for kind in DENOISERS},
    "s2c_gesture": {"channels": N_POSE, "guide": N_POSITION},
    "autoencoder": {"channels": N_POSE + N_POSITION},
}

# Names of the settings that are numbers of layers. Every layer has its own tensors.
_LAYER_COUNTS = ("layers", "context_layers", "fusion_layers", "blocks")

# Kinds of models whose settings contain the length of a window.
_OF_FIXED_LENGTH = ("autoencoder", "mixer", "mapnet", "planned_mapnet", "lstm")

# Names of the integers that may be 0.
_ZERO_ALLOWED = ("context_layers", "fusion")


class CheckpointError(ValueError):
    """Error for a file that is not the required checkpoint, or that does not match its use."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model, as stored in a file.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    settings : dict
        Arguments of the model's settings class, as JSON values.
    scales : Scales
        Normalisation of positions and poses.
    about : dict
        Origin of the model as JSON values: input features and their encoder, coordinate frame and frame rate of the motion, window
        length, training settings, and validation history.
    weights : dict of str to tensor
        Parameters and buffers of the network, by name.
    """

    kind: str
    settings: dict
    scales: Scales
    about: dict
    weights: dict

    def network(self):
        """Build the network with these weights, in evaluation mode."""
        network = _build_without_memory(self.kind, self.settings)
        network.load_state_dict(self.weights, assign=True)
        return network.eval()


def save_checkpoint(path, checkpoint):
    """Write a `Checkpoint` atomically. The same checkpoint gives the same bytes."""
    head = {
        "format": FORMAT,
        "kind": checkpoint.kind,
        "settings": checkpoint.settings,
        "scales": checkpoint.scales.to_dict(),
        "about": checkpoint.about,
    }
    with atomic_path(path) as temporary:
        # The header has a single entry, because safetensors does not preserve the order of entries. `save_file` is not used, because its
        # files can be read by their owner only.
        temporary.write_bytes(save(checkpoint.weights, {"handroll": json.dumps(head, sort_keys=True, allow_nan=False)}))


def load_checkpoint(path, *kinds):
    """Load a file that `save_checkpoint` has written. The checks guarantee that `Checkpoint.network` succeeds.

    Parameters
    ----------
    path : path
    *kinds : str
        Allowed kinds of model, of `KINDS`.

    Returns
    -------
    Checkpoint

    Raises
    ------
    FileNotFoundError
        The file is missing.
    CheckpointError
        The file is damaged, was written by another program, has another format or another kind of model, or its header and its tensors
        do not match.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path}: expected a trained {' or '.join(kinds)} model, found no such file; train it first (docs/benchmark.md)"
        )
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("handroll", "{}")
            tensors = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            shapes = {name: (tuple(tensor.get_shape()), tensor.get_dtype()) for name, tensor in tensors.items()}
    except Exception as error:
        # The error is a SafetensorError or an error of the operating system.
        raise _checkpoint_error(path, kinds, f"a file that cannot be read ({error})") from error
    try:
        head = json.loads(text, parse_constant=_refuse_constant)
        found = _header_problem(head, kinds, shapes)
    except (ValueError, RecursionError) as error:
        raise _checkpoint_error(path, kinds, f"a header that cannot be read ({_shorten(error)})") from error
    if found:
        raise _checkpoint_error(path, kinds, found)
    return Checkpoint(head["kind"], head["settings"], Scales.from_dict(head["scales"]), head["about"], load_file(path))


def check_features(path, about, features):
    """Check that features come from the encoder that a model was trained with.

    Parameters
    ----------
    path : path
        Path of the checkpoint, for the message.
    about : dict
        The `about` of the `Checkpoint`.
    features : dict
        Manifest of the features (`training_data.feature_cache.feature_manifest`).

    Raises
    ------
    CheckpointError
        The model was trained with other features or with another encoder.
    """
    for name in ("features", "encoder"):
        if about[name] != features.get(name):
            raise CheckpointError(
                f"{path}: expected a model trained with the same {name} as the stored features ({features.get(name)}), "
                f"found a model trained with {about[name]}; train it again on these features"
            )


def _checkpoint_error(path, kinds, found):
    """Build the CheckpointError for a file, from the expected kinds and a description of what was found."""
    article = "an" if kinds[0].startswith(("a", "s2c")) else "a"
    return CheckpointError(
        f"{path}: expected {article} {' or '.join(kinds)} model of handroll, format {FORMAT}, found {found}; train it again"
    )


def _shorten(value):
    """Format a value for a message on one line of about 100 characters at most."""
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else f"{text[:100]}..."


def _refuse_constant(name):
    """Raise ValueError for NaN and infinity, which Python's JSON parser accepts by default."""
    raise ValueError(f"the invalid number {name}")


def _header_problem(head, kinds, shapes):
    """Describe the first problem of a header, or return an empty string. `shapes` maps names of tensors to (shape, dtype)."""
    if not isinstance(head, dict) or "kind" not in head:
        return "a file that was not written by handroll"
    kind = head["kind"]
    if head.get("format") != FORMAT or kind not in kinds:
        return f"a {_shorten(kind)} model, format {_shorten(head.get('format'))}"
    for name in ("settings", "scales", "about"):
        if not isinstance(head.get(name), dict):
            return f"a header whose entry {name!r} is {_shorten(head[name])}" if name in head else f"a header without {name!r}"
    try:
        Scales.from_dict(head["scales"])
    except ValueError as error:
        return f"invalid scales ({error})"
    return _settings_problem(head["settings"], kind, shapes) or _about_problem(head["about"], kind) or _tensors_problem(head, kind, shapes)


def _settings_problem(settings, kind, shapes):
    """Describe the first problem of a model's settings, or return an empty string. No network is built. `shapes`: see `_header_problem`."""
    known = {field.name: field for field in fields(KINDS[kind][0])}
    if unknown := sorted(settings.keys() - known.keys()):
        return f"the unknown setting {_shorten(unknown[0])}"
    if missing := [name for name in known if name not in settings]:
        return f"settings without the entry {missing[0]!r}"
    weights = sum(math.prod(shape) for shape, _ in shapes.values())
    for name, value in settings.items():
        # Every layer has tensors, and every other size is the length of an axis of a tensor. Therefore no setting of a valid file is above
        # `maximum`.
        maximum = len(shapes) if name in _LAYER_COUNTS else weights
        levels = len(value) if isinstance(value, list) else 1
        if levels > len(shapes) or not _is_valid_setting(known[name].type, value, int(name not in _ZERO_ALLOWED), maximum):
            return f"the invalid setting {name} = {_shorten(value)}"
        if value != _FIXED.get(kind, {}).get(name, value):
            return f"the setting {name} = {value}, where handroll's motion requires {_FIXED[kind][name]}"
    return ""


def _is_valid_setting(kind, value, minimum, maximum):
    """Return whether a JSON value has the type `kind` of a setting. Integers must be `minimum` to `maximum`, floats 0 to 1."""
    if kind is int:
        return type(value) is int and minimum <= value <= maximum
    if kind is float:
        return type(value) in (int, float) and 0.0 <= value <= 1.0
    if kind in (bool, str):
        return type(value) is kind
    return isinstance(value, list) and 0 < len(value) <= maximum and all(_is_valid_setting(int, item, minimum, maximum) for item in value)


def _about_problem(about, kind):
    """Describe the first problem of the header's entry `about`, or return an empty string."""
    frames, rate_hz, frame = (about.get(name) for name in ("frames", "rate_hz", "frame"))
    if type(frames) is not int or not 0 < frames <= MAX_FRAMES:
        return f"windows of {_shorten(frames)} frames (allowed: 1 to {MAX_FRAMES})"
    if type(rate_hz) not in (int, float) or not 0.0 < rate_hz <= MAX_RATE_HZ:
        return f"a rate of {_shorten(rate_hz)} Hz (allowed: up to {MAX_RATE_HZ:g} Hz)"
    if frame not in FRAMES:
        return f"the frame {_shorten(frame)} (allowed: {' or '.join(FRAMES)})"
    for name in ("features", "encoder") if kind != "autoencoder" else ():
        if not isinstance(about.get(name), str):
            return f"{name} = {_shorten(about.get(name))} instead of a name"
    return ""


def _build_without_memory(kind, settings):
    """Build the network with these settings on torch's device "meta", which uses no memory."""
    of_kind, network = KINDS[kind]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    with torch.device("meta"):
        return network(of_kind(**values))


def _tensors_problem(head, kind, shapes):
    """Describe how a file's tensors differ from those of a network with the settings in its header, or return an empty string."""
    try:
        network = _build_without_memory(kind, head["settings"])
    except Exception as error:
        # The type of the error depends on the layer in which the sizes are inconsistent.
        return f"settings with which the network cannot be built ({_shorten(error)})"
    sizes, frames, wanted = network.settings, head["about"]["frames"], network.state_dict()
    divided = hasattr(sizes, "frames_multiple") and kind not in _OF_FIXED_LENGTH
    if (kind in _OF_FIXED_LENGTH and frames != sizes.frames) or (divided and frames % sizes.frames_multiple):
        return f"windows of {frames} frames, which do not match its settings"
    if missing := [name for name in wanted if name not in shapes]:
        return f"a file without the tensors {listed(missing)}"
    if unknown := [name for name in shapes if name not in wanted]:
        return f"a file with the unknown tensors {listed([_shorten(name) for name in unknown])}"
    for name, tensor in wanted.items():
        expected = tuple(tensor.shape), "I64" if tensor.dtype == torch.int64 else "F32"
        if shapes[name] != expected:
            found, required = (f"{shape} {dtype}" for shape, dtype in (shapes[name], expected))
            return f"the tensor {name} with shape and type {found}, where its settings require {required}"
    return ""
