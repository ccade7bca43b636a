"""What every training needs: windows, scales, settings, a fingerprint, and one process or several."""

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from accelerate import notebook_launcher

from handroll.dataset.shards import MANIFEST
from handroll.models.checkpoint import Checkpoint, save_checkpoint
from handroll.provenance import file_sha256
from handroll.storage import write_json
from handroll.training.loop import LoopSettings
from handroll.training_data.feature_cache import FEATURES, MOTION, feature_manifest
from handroll.training_data.loader import Clips, Source, Windows, cut_windows
from handroll.training_data.windows import Scales

VALID_BATCH = 32
"""Validation windows at a time."""


@dataclass(frozen=True)
class Setup:
    """What a model is trained on.

    Attributes
    ----------
    scales : Scales
    frames : int
        Of a window.
    batches : Windows
        Of the training split.
    valid : Clips
    valid_places : list of (clip number, first frame)
        Windows that training looks at now and then.
    loop : LoopSettings
    device : str
    """

    scales: Scales
    frames: int
    batches: Windows
    valid: Clips
    valid_places: list
    loop: LoopSettings
    device: str

    def valid_batches(self):
        """Validation windows as batches of tensors on the device."""
        for first in range(0, len(self.valid_places), VALID_BATCH):
            arrays = cut_windows(self.valid, self.valid_places[first : first + VALID_BATCH], self.frames)
            yield {name: torch.from_numpy(values).to(self.device) for name, values in arrays.items()}


def set_up(source, training_path, settings):
    """Open the data of a training.

    Parameters
    ----------
    source : dataset.loader.Source
    training_path : path of training.json
    settings : dict
        The configuration's `training` section with `seed`, `precision` and `device`.

    Returns
    -------
    Setup
    """
    chosen = json.loads(Path(training_path).read_text(encoding="utf-8"))
    valid = Clips(source, "valid")
    number_of = {name: number for number, name in enumerate(valid.names)}
    places = [(number_of[tuple(name)], first) for *name, first in chosen["windows"]["valid"]]
    batches = Windows(Clips(source, "train"), chosen["frames"], settings["batch"], settings["seed"])
    loop = LoopSettings(**{field.name: settings[field.name] for field in fields(LoopSettings) if field.name in settings})
    return Setup(Scales.from_dict(chosen["scales"]), chosen["frames"], batches, valid, places, loop, settings["device"])


def fingerprint(source, training_path, version, *values):
    """What is trained on what, as a hash: data, features, windows, code version and settings (JSON values)."""
    files = [Path(source.shards) / MANIFEST, Path(training_path)]
    files += [Path(folder) / name for folder, name in ((source.motion, MOTION), (source.features, FEATURES)) if folder]
    known = [file_sha256(path) for path in files]
    return hashlib.sha256(json.dumps([version, known, *values], sort_keys=True).encode()).hexdigest()


def run_training(train, files, source, settings, arguments, path, folder=None):
    """Run a training in one process for each GPU, or in this process for a single one.

    Parameters
    ----------
    train : function (source, training_path, *arguments, settings, folder, path)
        Such as `training.position.train_position`.
    files : mapping
        Paths of the manifest `shards`, of `motion` and `training` as rule prepare_training writes them, and, for trainings that read
        audio features, of the manifest `features`.
    source : dict
        The other arguments of `training_data.loader.Source`.
    settings : dict
        As of `set_up`, with `gpus`, the number of GPUs.
    arguments : tuple
        What this training takes besides data and settings.
    path : path
        Of the weights to write.
    folder : path, optional
        Where states of the training are kept, from which a later run resumes, and its TensorBoard log; as `path` with the suffix
        `.training` unless given.
    """
    folders = {name: Path(files[name]).parent for name in ("shards", "motion", "features") if name in files}
    settings = dict(settings)
    gpus = settings.pop("gpus")
    path = Path(path)
    folder = folder or path.with_suffix(".training")
    call = (Source(**folders, **source), files["training"], *arguments, settings, folder, path)
    if gpus == 1:
        train(*call)
    else:
        notebook_launcher(train, call, num_processes=gpus)


def save_trained(path, kind, sizes, network_prefix, source, setup, trained, settings):
    """Write the checkpoint of a trained model, and beside it, as JSON, how its training went.

    Parameters
    ----------
    path : path ending in .safetensors
    kind : str
        As of `models.checkpoint.Checkpoint`.
    sizes : dict
        The model's settings.
    network_prefix : str
        Weights whose names begin so are the model's.
    source, setup, trained
        What was trained on, and what came of it.
    settings : dict
        How it was trained.
    """
    features = feature_manifest(source.features) if source.features else {}
    about = {name: features.get(name) for name in ("features", "encoder")}
    about |= {"frame": source.frame, "rate_hz": source.rate_hz, "frames": setup.frames, "settings": settings, "history": trained.history}
    weights = {name.removeprefix(network_prefix): value for name, value in trained.state_dict.items() if name.startswith(network_prefix)}
    save_checkpoint(path, Checkpoint(kind, sizes, setup.scales, about, weights))
    write_told(Path(path).with_suffix(".json"), setup, trained)


def write_told(path, setup, trained):
    """Write how a training went as JSON: seconds, windows a second, memory, and what validation saw."""
    windows = setup.loop.steps * setup.batches.batch
    told = {"seconds": trained.seconds, "windows_per_s": windows / max(trained.seconds, 1e-9), "memory_gb": trained.memory_gb}
    write_json(path, {**told, "history": trained.history})
