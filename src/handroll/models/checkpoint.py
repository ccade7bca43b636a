"""Save and load a trained model as one safetensors file, whose header contains the model's kind, settings, scales and origin.

Files are untrusted. Everything is checked before memory is allocated: the network is first built without memory (torch's device
"meta"), and the file must contain exactly its tensors.
"""

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from handroll.models.autoencoder import AutoencoderSettings, MotionAutoencoder
from handroll.models.gesture import GestureSettings, GestureUNet
from handroll.models.position import PositionPredictor, PositionSettings
from handroll.provenance import atomic_path
from handroll.state_dicts import listed
from handroll.training_data.model_frame import FRAMES, N_POSE, N_POSITION
from handroll.training_data.windows import Scales

FORMAT = "2"
"""Raised by hand when a file's meaning changes."""

KINDS = {
    "position": (PositionSettings, PositionPredictor),
    "gesture": (GestureSettings, GestureUNet),
    "autoencoder": (AutoencoderSettings, MotionAutoencoder),
}
"""Settings class and network class of each kind of model."""

MAX_FRAMES = 100_000
"""Maximum window length in a file: about an hour at 30 Hz. No tensor limits it, and memory grows with it."""

MAX_RATE_HZ = 1000.0
"""Maximum frame rate of the motion in a file (Hz)."""

_FIXED = {"gesture": {"channels": N_POSE, "guide": N_POSITION}, "autoencoder": {"channels": N_POSE + N_POSITION}}
"""Settings that follow from the format of the motion."""

_LAYER_COUNTS = ("layers", "context_layers")
"""Settings that are numbers of layers, each with its own tensors."""


class CheckpointError(ValueError):
    """A file is not the required checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model.

    Attributes
    ----------
    kind : {"position", "gesture", "autoencoder"}
    settings : dict
        Of the model, JSON values: the arguments of its settings class.
    scales : Scales
        Normalisation of positions and poses.
    about : dict
        JSON values: the input features and their encoder, coordinate frame and rate of the motion, window, training, history.
    weights : dict of str to tensor
    """

    kind: str
    settings: dict
    scales: Scales
    about: dict
    weights: dict

    def network(self):
        """Return the network with these weights, in evaluation mode."""
        network = _without_memory(self.kind, self.settings)
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
        # One entry, because safetensors does not keep the order of several. `save` and `write_bytes`, because the files of `save_file`
        # are readable by their owner only.
        temporary.write_bytes(save(checkpoint.weights, {"handroll": json.dumps(head, sort_keys=True, allow_nan=False)}))


def load_checkpoint(path, kind):
    """Load a file of `save_checkpoint`. `Checkpoint.network` of the result always succeeds.

    Parameters
    ----------
    path : path
    kind : str
        One of `KINDS`.

    Returns
    -------
    Checkpoint

    Raises
    ------
    FileNotFoundError
    CheckpointError
        The file is damaged, of another program, of another format or of another kind of model, or its header and its tensors do not
        match.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected a trained {kind} model, found no such file; train it first (docs/benchmark.md)")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("handroll", "{}")
            tensors = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            shapes = {name: (tuple(tensor.get_shape()), tensor.get_dtype()) for name, tensor in tensors.items()}
    except Exception as error:
        # SafetensorError, or an error of the operating system.
        raise _wrong(path, kind, f"a file that cannot be read ({error})") from error
    try:
        head = json.loads(text, parse_constant=_refuse_constant)
        found = _problem(head, kind, shapes)
    except (ValueError, RecursionError) as error:
        raise _wrong(path, kind, f"a header that cannot be read ({_short(error)})") from error
    if found:
        raise _wrong(path, kind, found)
    return Checkpoint(kind, head["settings"], Scales.from_dict(head["scales"]), head["about"], load_file(path))


def check_features(path, about, features):
    """Raise CheckpointError unless features come from the encoder that a model was trained with.

    Parameters
    ----------
    path : path
        Of the checkpoint, for the message.
    about : dict
        Of the `Checkpoint`.
    features : dict
        The manifest of the features (`training_data.feature_cache.feature_manifest`).

    Raises
    ------
    CheckpointError
    """
    for name in ("features", "encoder"):
        if about[name] != features.get(name):
            raise CheckpointError(
                f"{path}: expected a model trained with the {name} of the stored features, {features.get(name)}, "
                f"found one trained with {about[name]}; train it again on these features"
            )


def _wrong(path, kind, found):
    article = "an" if kind.startswith("a") else "a"
    return CheckpointError(f"{path}: expected {article} {kind} model of handroll, format {FORMAT}, found {found}; train it again")


def _short(value):
    """Format a value for a message, on one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else f"{text[:100]}..."


def _refuse_constant(name):
    raise ValueError(f"the number {name}")


def _problem(head, kind, shapes):
    """Describe what is wrong with a header, given (shape, dtype) of the tensors by name; empty if nothing is."""
    if not isinstance(head, dict) or "kind" not in head:
        return "a file that handroll has not written"
    if head.get("format") != FORMAT or head["kind"] != kind:
        return f"a {_short(head['kind'])} model, format {_short(head.get('format'))}"
    for name in ("settings", "scales", "about"):
        if not isinstance(head.get(name), dict):
            return f"a header whose entry {name!r} is {_short(head[name])}" if name in head else f"a header without {name!r}"
    try:
        Scales.from_dict(head["scales"])
    except ValueError as error:
        return f"scales that cannot be used ({error})"
    return _settings_problem(head["settings"], kind, shapes) or _about_problem(head["about"], kind) or _tensors_problem(head, kind, shapes)


def _settings_problem(settings, kind, shapes):
    """Describe what is wrong with the settings of a model, before a network is built with them."""
    known = {field.name: field for field in fields(KINDS[kind][0])}
    if unknown := sorted(settings.keys() - known.keys()):
        return f"the unknown setting {_short(unknown[0])}"
    if missing := [name for name in known if name not in settings]:
        return f"settings without {missing[0]}"
    weights = sum(math.prod(shape) for shape, _ in shapes.values())
    for name, value in settings.items():
        # Every layer has tensors, and every other size is an axis of a tensor. Greater numbers cannot match this file.
        maximum = len(shapes) if name in _LAYER_COUNTS else weights
        levels = len(value) if isinstance(value, list) else 1
        if levels > len(shapes) or not _fits(known[name].type, value, int(name != "context_layers"), maximum):
            return f"the setting {name} = {_short(value)}"
        if value != _FIXED.get(kind, {}).get(name, value):
            return f"the setting {name} = {value} but handroll's motion has {_FIXED[kind][name]}"
    return ""


def _fits(kind, value, minimum, maximum):
    """Return whether a JSON value has the type of a setting: integers from `minimum` to `maximum`, floats from 0 to 1."""
    if kind is int:
        return type(value) is int and minimum <= value <= maximum
    if kind is float:
        return type(value) in (int, float) and 0.0 <= value <= 1.0
    if kind in (bool, str):
        return type(value) is kind
    return isinstance(value, list) and 0 < len(value) <= maximum and all(_fits(int, item, minimum, maximum) for item in value)


def _about_problem(about, kind):
    """Describe what is wrong with the header's description of the data."""
    frames, rate_hz, frame = (about.get(name) for name in ("frames", "rate_hz", "frame"))
    if type(frames) is not int or not 0 < frames <= MAX_FRAMES:
        return f"windows of {_short(frames)} frames (allowed: 1 to {MAX_FRAMES})"
    if type(rate_hz) not in (int, float) or not 0.0 < rate_hz <= MAX_RATE_HZ:
        return f"a rate of {_short(rate_hz)} Hz (allowed: up to {MAX_RATE_HZ:g} Hz)"
    if frame not in FRAMES:
        return f"the frame {_short(frame)} (allowed: {' or '.join(FRAMES)})"
    for name in ("features", "encoder") if kind != "autoencoder" else ():
        if not isinstance(about.get(name), str):
            return f"{name} = {_short(about.get(name))} instead of a name"
    return ""


def _without_memory(kind, settings):
    """Return the network of these settings on torch's device "meta"."""
    of_kind, network = KINDS[kind]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    with torch.device("meta"):
        return network(of_kind(**values))


def _tensors_problem(head, kind, shapes):
    """Describe how a file's tensors differ from those of the network of its settings."""
    try:
        network = _without_memory(kind, head["settings"])
    except Exception as error:
        # Inconsistent sizes fail in the first layer concerned, with different errors.
        return f"settings that make no network ({_short(error)})"
    sizes, frames, wanted = network.settings, head["about"]["frames"], network.state_dict()
    if (kind == "autoencoder" and frames != sizes.frames) or (kind == "gesture" and frames % sizes.frames_multiple):
        return f"windows of {frames} frames, which do not match its settings"
    if missing := [name for name in wanted if name not in shapes]:
        return f"a file without the tensors {listed(missing)}"
    if unknown := [name for name in shapes if name not in wanted]:
        return f"a file with the unknown tensors {listed([_short(name) for name in unknown])}"
    for name, tensor in wanted.items():
        expected = tuple(tensor.shape), "I64" if tensor.dtype == torch.int64 else "F32"
        if shapes[name] != expected:
            return f"the tensor {name} of {shapes[name]} where its settings require {expected}"
    return ""
