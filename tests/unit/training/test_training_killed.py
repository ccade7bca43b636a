"""Every training that is killed resumes, and gives the same file, byte for byte."""

import logging
import multiprocessing
import signal
import time
from importlib import import_module
from pathlib import Path

import pytest

from handroll.device import torch_threads
from handroll.generation.feature_encoders import encoder_of
from handroll.generation.fingering import DEFAULT_COSTS
from handroll.generation.fingering_costs_file import costs_to_json
from handroll.training.loop import STATE
from handroll.training_data.feature_cache import write_features
from handroll.training_data.loader import Source
from handroll.training_data.motion_noise import MEASURED, PAPER

SETTINGS = {
    "steps": 12,
    "batch": 4,
    "learning_rate": 1e-3,
    "ema_decay": 0.9,
    "save_every": 2,
    "valid_every": 5,
    "seed": 0,
    "precision": "fp32",
    "device": "cpu",
}
CONTEXT = {"context_layers": 1, "dropout": 0.0}
POSITION = CONTEXT | {"width": 16, "layers": 1, "feedforward": 16, "context_width": 16}
CONDITION = CONTEXT | {"condition_width": 16, "layers": 1, "feedforward": 16}
UNET = CONDITION | {"dim": 8, "multipliers": (1, 2)}
MAPNET = {"every": 2, "steps": 30, "width": 16, "layers": 1, "fusion_layers": 1, "heads": 2, "feedforward": 32, "dropout": 0.0}

FIRST_STAGES = ("position", "s2c_position")

TRAININGS = {
    "position": ("position", POSITION, {}),
    "gesture": ("gesture", UNET, {"position": "position"}),
    "flow": ("gesture", UNET | {"objective": "flow"}, {"position": "position"}),
    "mixer": ("mixer", CONDITION | {"width": 16, "blocks": 2}, {"position": "position"}),
    "regression": ("regression", CONTEXT | {"width": 16, "layers": 1, "context_width": 16}, {}),
    "s2c_position": ("s2c_position", POSITION, {}),
    "s2c_gesture": ("s2c_gesture", UNET | {"change_weights": (0.1, 0.1)}, {"s2c_position": "s2c_position"}),
    "fingertips": ("fingertips", CONTEXT | {"width": 16}, {}),
    "mapnet": ("correction", "mapnet", MAPNET, (MEASURED, PAPER)),
    "lstm": ("correction", "lstm", {"every": 2, "width": 16, "layers": 1}, (MEASURED, PAPER)),
    "autoencoder": ("autoencoder",),
}
"""Name of a training: its module, and the arguments before `settings`. Earlier stages are named instead of their checkpoints."""

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["handroll.training.loop"])


def train(name, corpus, undisturbed, folder):
    """Run a training with the first stages of the folder `undisturbed`. Return the path of the result."""
    module, *arguments = TRAININGS[name]
    if name not in ("mapnet", "lstm", "autoencoder"):
        arguments[-1] = {stage: undisturbed / f"{stage}.safetensors" for stage in arguments[-1]}
    features = undisturbed / "planned" if name == "fingertips" else corpus / "features"
    path = folder / f"{name}.safetensors"
    function = getattr(import_module(f"handroll.training.{module}"), f"train_{module}")
    with torch_threads(1):
        function(Source(corpus / "shards", features=features), corpus / "windows.json", *arguments, SETTINGS, folder / name, path)
    return path


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    """Folder with the features of the model fingertips, and the first stages."""
    folder = tmp_path_factory.mktemp("undisturbed")
    encoder = encoder_of("planned", 30.0)
    about = {"features": "planned", "encoder": encoder.version, "fingering": costs_to_json((DEFAULT_COSTS, DEFAULT_COSTS))}
    write_features(corpus / "shards", folder / "planned", encoder.encode, encoder.columns, about, encoder.dtype)
    for name in FIRST_STAGES:
        train(name, corpus, folder, folder)
    return folder


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from pathlib import Path
from test_training_killed import train
train({name!r}, *map(Path, {paths!r}))
"""


@pytest.mark.parametrize("name", TRAININGS)
def test_a_killed_training_resumes_to_the_same_file(corpus, undisturbed, tmp_path, caplog, name):
    paths = [str(path) for path in (corpus, undisturbed, tmp_path)]
    script = SCRIPT.format(folder=str(Path(__file__).parent), name=name, paths=paths)
    process = PROCESSES.Process(target=exec, args=(script, {"__name__": "script"}))
    process.start()
    while not (tmp_path / name / STATE).exists():
        assert process.is_alive()
        time.sleep(0.005)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / f"{name}.safetensors").exists()
    whole = undisturbed if name in FIRST_STAGES else tmp_path / "whole"
    expected = (whole / f"{name}.safetensors") if name in FIRST_STAGES else train(name, corpus, undisturbed, whole)
    with caplog.at_level(logging.INFO):
        assert train(name, corpus, undisturbed, tmp_path).read_bytes() == expected.read_bytes()
    assert "training resumes from step" in caplog.text
