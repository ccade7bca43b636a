"""A trained model as one file: weights (safetensors) with, in its header, what kind it is, its settings, scales and origin."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save

from handroll.dataset.windows import Scales
from handroll.provenance import atomic_path

FORMAT = "1"
"""Raised by hand when a file's meaning changes."""


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
        JSON values: the features that it is given and their width, frame and rate of the motion, window, training, history.
    weights : dict of str to tensor
    """

    kind: str
    settings: dict
    scales: Scales
    about: dict
    weights: dict


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
    """Read what `save_checkpoint` wrote.

    Raises
    ------
    FileNotFoundError
    CheckpointError
        The file is damaged, of another program, of another format, or holds a model of another kind.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected a trained {kind} model, found no such file; train it first (docs/benchmark.md)")
    try:
        with safe_open(path, framework="pt") as file:
            head = json.loads((file.metadata() or {}).get("handroll", "{}"))
        weights = load_file(path)
    except Exception as error:
        # safetensors has an error class of its own, which it does not name in its interface.
        raise CheckpointError(f"{path}: expected a trained {kind} model of handroll, found a file that cannot be read ({error})") from error
    if head.get("format") != FORMAT or head.get("kind") != kind:
        found = f"a {head['kind']} model, format {head['format']}" if "kind" in head else "a file that handroll has not written"
        raise CheckpointError(f"{path}: expected a {kind} model of handroll, format {FORMAT}, found {found}; train it anew")
    return Checkpoint(kind, head["settings"], Scales.from_dict(head["scales"]), head["about"], weights)
