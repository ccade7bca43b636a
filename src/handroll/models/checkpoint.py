"""A trained model as one file: weights (safetensors) with, in its header, what kind it is, its settings, scales and origin.

A file may come from anywhere. It is checked before anything is allocated: the network is first built without memory (torch's device
"meta"), and the file must hold exactly its tensors.
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
from handroll.training_data.model_frame import FRAMES, N_POSE, N_POSITION
from handroll.training_data.windows import Scales

FORMAT = "2"
"""Raised by hand when a file's meaning changes."""

KINDS = {
    "position": (PositionSettings, PositionPredictor),
    "gesture": (GestureSettings, GestureUNet),
    "autoencoder": (AutoencoderSettings, MotionAutoencoder),
}
"""Settings and network of each kind of model."""

MAX_FRAMES = 100_000
"""Longest window that a file may ask for: about an hour at 30 Hz. No tensor bounds it, and memory grows with it."""

MAX_RATE_HZ = 1000.0
"""Highest rate of motion that a file may ask for (Hz)."""

_FIXED = {"gesture": {"channels": N_POSE, "guide": N_POSITION}, "autoencoder": {"channels": N_POSE + N_POSITION}}
# Settings that follow from the motion that models are given.
_REPEATED = ("layers", "context_layers")
# Settings that are numbers of layers, each with tensors of its own.
_LISTED = 3
# Most names of tensors that a message lists.


class CheckpointError(ValueError):
    """A file that is not the checkpoint that is needed."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model.

    Attributes
    ----------
    kind : {"position", "gesture", "autoencoder"}
    settings : dict
        Of the model, JSON values: the arguments of its settings class.
    scales : Scales
        Of the places and poses that it works on.
    about : dict
        JSON values: the features that it is given and what encoded them ("encoder"), frame and rate of the motion, window,
        training, history.
    weights : dict of str to tensor
    """

    kind: str
    settings: dict
    scales: Scales
    about: dict
    weights: dict

    def network(self):
        """The network with these weights, in evaluation mode."""
        network = _without_memory(self.kind, self.settings)
        network.load_state_dict(self.weights, assign=True)
        return network.eval()


def save_checkpoint(path, checkpoint):
    """Write a `Checkpoint`; atomic; the same checkpoint gives the same bytes."""
    head = {
        "format": FORMAT,
        "kind": checkpoint.kind,
        "settings": checkpoint.settings,
        "scales": checkpoint.scales.to_dict(),
        "about": checkpoint.about,
    }
    with atomic_path(path) as temporary:
        # One entry: the order of several is not kept, and the bytes would differ from run to run. Written by us, since the
        # package's own file could be read by its owner alone.
        temporary.write_bytes(save(checkpoint.weights, {"handroll": json.dumps(head, sort_keys=True, allow_nan=False)}))


def load_checkpoint(path, kind):
    """Read what `save_checkpoint` wrote. `Checkpoint.network` of the result always succeeds.

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
        The file is damaged, of another program, of another format, or holds a model of another kind; or its header and its
        tensors do not make a model.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected a trained {kind} model, found no such file; train it first (docs/benchmark.md)")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("handroll", "{}")
            tensors = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            shapes = {name: (tuple(tensor.get_shape()), tensor.get_dtype()) for name, tensor in tensors.items()}
    except Exception as error:
        # safetensors has an error class of its own, which it does not name in its interface.
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
    """Refuse features that are not of the encoder that a model was trained with.

    Parameters
    ----------
    path : path
        Of the checkpoint, for the message.
    about : dict
        As of `Checkpoint`.
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
    """A value for a message, on one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else f"{text[:100]}..."


def _refuse_constant(name):
    raise ValueError(f"the number {name}")


def _problem(head, kind, shapes):
    """What is wrong with a header, given name to (shape, dtype) of the tensors beside it; empty where it is right."""
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
    """What is wrong with the settings of a model, before a network is built of them."""
    known = {field.name: field for field in fields(KINDS[kind][0])}
    if unknown := sorted(settings.keys() - known.keys()):
        return f"the unknown setting {_short(unknown[0])}"
    if missing := [name for name in known if name not in settings]:
        return f"settings without {missing[0]}"
    weights = sum(math.prod(shape) for shape, _ in shapes.values())
    for name, value in settings.items():
        # Every layer has tensors, every other size is an axis of one: what is greater cannot fit this file.
        most = len(shapes) if name in _REPEATED else weights
        levels = len(value) if isinstance(value, list) else 1
        if levels > len(shapes) or not _fits(known[name].type, value, int(name != "context_layers"), most):
            return f"the setting {name} = {_short(value)}"
        if value != _FIXED.get(kind, {}).get(name, value):
            return f"the setting {name} = {value} where handroll's motion has {_FIXED[kind][name]}"
    return ""


def _fits(kind, value, least, most):
    """Whether a JSON value is of the type of a setting; whole numbers from `least` to `most`, shares from 0 to 1."""
    if kind is int:
        return type(value) is int and least <= value <= most
    if kind is float:
        return type(value) in (int, float) and 0.0 <= value <= 1.0
    if kind in (bool, str):
        return type(value) is kind
    return isinstance(value, list) and 0 < len(value) <= most and all(_fits(int, item, least, most) for item in value)


def _about_problem(about, kind):
    """What is wrong with what a header says of the data."""
    frames, rate_hz, frame = (about.get(name) for name in ("frames", "rate_hz", "frame"))
    if type(frames) is not int or not 0 < frames <= MAX_FRAMES:
        return f"windows of {_short(frames)} frames where 1 to {MAX_FRAMES} are possible"
    if type(rate_hz) not in (int, float) or not 0.0 < rate_hz <= MAX_RATE_HZ:
        return f"a rate of {_short(rate_hz)} Hz where up to {MAX_RATE_HZ:g} Hz are possible"
    if frame not in FRAMES:
        return f"the frame {_short(frame)} where {' or '.join(FRAMES)} is possible"
    for name in ("features", "encoder") if kind != "autoencoder" else ():
        if not isinstance(about.get(name), str):
            return f"{name} = {_short(about.get(name))} where a name is expected"
    return ""


def _without_memory(kind, settings):
    """The network of these settings on torch's device "meta"."""
    of_kind, network = KINDS[kind]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    with torch.device("meta"):
        return network(of_kind(**values))


def _tensors_problem(head, kind, shapes):
    """How a file's tensors differ from those of the network of its settings."""
    try:
        network = _without_memory(kind, head["settings"])
    except Exception as error:
        # Sizes that do not fit each other fail in whichever layer comes first, each with an error of its own.
        return f"settings that make no network ({_short(error)})"
    sizes, frames, wanted = network.settings, head["about"]["frames"], network.state_dict()
    if (kind == "autoencoder" and frames != sizes.frames) or (kind == "gesture" and frames % sizes.frames_multiple):
        return f"windows of {frames} frames, which its settings cannot take"
    if missing := [name for name in wanted if name not in shapes]:
        return f"a file without the tensors {', '.join(missing[:_LISTED])}"
    if unknown := [name for name in shapes if name not in wanted]:
        return f"a file with the unknown tensors {', '.join(map(_short, unknown[:_LISTED]))}"
    for name, tensor in wanted.items():
        expected = tuple(tensor.shape), "I64" if tensor.dtype == torch.int64 else "F32"
        if shapes[name] != expected:
            return f"the tensor {name} of {shapes[name]} where its settings ask for {expected}"
    return ""
