"""Common parts of all trainings: open data, read settings, compute a fingerprint, start processes, and save results."""

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
"""Number of validation windows in a batch."""


@dataclass(frozen=True)
class Setup:
    """Data and settings of a training.

    Attributes
    ----------
    scales : Scales
        Normalisation of positions and poses.
    frames : int
        Number of frames of a window.
    batches : Windows
        Batches of the training split.
    valid : Clips
        Clips of the validation split.
    valid_windows : list of (clip number, first frame)
        Validation windows.
    loop : LoopSettings
        Settings of the training loop.
    device : str
        Device for validation batches.
    """

    scales: Scales
    frames: int
    batches: Windows
    valid: Clips
    valid_windows: list
    loop: LoopSettings
    device: str

    def valid_batches(self):
        """Yield the validation windows as batches of tensors on the device."""
        for first in range(0, len(self.valid_windows), VALID_BATCH):
            arrays = cut_windows(self.valid, self.valid_windows[first : first + VALID_BATCH], self.frames)
            yield {name: torch.from_numpy(values).to(self.device) for name, values in arrays.items()}


def set_up(source, training_path, settings):
    """Open the data of a training, and read its settings.

    Parameters
    ----------
    source : training_data.loader.Source
    training_path : path of training.json
        Scales and windows that rule `prepare_training` has chosen.
    settings : dict
        The `training` section of the configuration, plus `seed`, `precision` and `device`.

    Returns
    -------
    Setup
    """
    chosen = json.loads(Path(training_path).read_text(encoding="utf-8"))
    valid = Clips(source, "valid")
    number_of = {name: number for number, name in enumerate(valid.names)}
    windows = [(number_of[tuple(name)], first) for *name, first in chosen["windows"]["valid"]]
    batches = Windows(Clips(source, "train"), chosen["frames"], settings["batch"], settings["seed"])
    loop = LoopSettings(**{field.name: settings[field.name] for field in fields(LoopSettings) if field.name in settings})
    return Setup(Scales.from_dict(chosen["scales"]), chosen["frames"], batches, valid, windows, loop, settings["device"])


def fingerprint(source, training_path, version, *values):
    """Return a hash of everything that a training depends on: data, features, windows, code version, and settings (JSON values).

    Training resumes only from a saved state with the same hash.
    """
    files = [Path(source.shards) / MANIFEST, Path(training_path)]
    files += [Path(folder) / name for folder, name in ((source.motion, MOTION), (source.features, FEATURES)) if folder]
    known = [file_sha256(path) for path in files]
    return hashlib.sha256(json.dumps([version, known, *values], sort_keys=True).encode()).hexdigest()


def run_training(train, files, source, settings, arguments, path, folder=None):
    """Run a training in one process per GPU. With a single GPU it runs in this process.

    Parameters
    ----------
    train : function (source, training_path, *arguments, settings, folder, path)
        Training function, for example `training.position.train_position`.
    files : mapping
        Paths of the input files: the dataset's manifest `shards`; `motion` and `training`, both written by rule `prepare_training`; and,
        for trainings with audio features, the manifest `features`.
    source : dict
        Arguments of `training_data.loader.Source` that are not folders.
    settings : dict
        See `set_up`, plus `gpus`, the number of GPUs.
    arguments : tuple
        Arguments of `train` between `training_path` and `settings`.
    path : path
        File of weights to write.
    folder : path, optional
        Folder of the training state, from which a later run resumes, and of the TensorBoard log. Default: `path` with the suffix
        `.training`.
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
    """Write the checkpoint of a trained model, and its training log as JSON beside it.

    Parameters
    ----------
    path : path ending in .safetensors
    kind : str
        Kind of the model; see `models.checkpoint.Checkpoint`.
    sizes : dict
        Settings of the model.
    network_prefix : str
        Prefix of the names of the model's weights in `trained`. It is removed from the names. Weights without this prefix are not saved.
    source : training_data.loader.Source
    setup : Setup
    trained : loop.Trained
    settings : dict
        Training settings. They are stored in the checkpoint's `about`.
    """
    features = feature_manifest(source.features) if source.features else {}
    about = {name: features.get(name) for name in ("features", "encoder")}
    about |= {"fingering": features["fingering"]} if "fingering" in features else {}
    about |= {"frame": source.frame, "rate_hz": source.rate_hz, "frames": setup.frames, "settings": settings, "history": trained.history}
    weights = {name.removeprefix(network_prefix): value for name, value in trained.state_dict.items() if name.startswith(network_prefix)}
    save_checkpoint(path, Checkpoint(kind, sizes, setup.scales, about, weights))
    write_training_log(Path(path).with_suffix(".json"), setup, trained)


def write_training_log(path, setup, trained):
    """Write the training log as JSON: duration, windows per second, peak memory, and validation history."""
    windows = setup.loop.steps * setup.batches.batch
    cost = {"seconds": trained.seconds, "windows_per_s": windows / max(trained.seconds, 1e-9), "memory_gb": trained.memory_gb}
    write_json(path, {**cost, "history": trained.history})
