import json

import pytest

from handroll.models.correction import load_corrector
from handroll.training.correction import train_correction
from handroll.training_data.loader import Source
from handroll.training_data.motion_noise import MEASURED, PAPER, MotionNoise

SETTINGS = {
    "steps": 30,
    "batch": 4,
    "learning_rate": 3e-3,
    "save_every": 10,
    "valid_every": 15,
    "seed": 0,
    "precision": "fp32",
    "device": "cpu",
}
MAPNET = {"every": 2, "steps": 30, "width": 16, "layers": 1, "fusion_layers": 1, "heads": 2, "feedforward": 32, "dropout": 0.0}
LSTM = {"every": 2, "width": 16, "layers": 1}


# Jitter that a few steps suffice to reduce.
JITTER = MotionNoise(wrist_mm=(40.0, 40.0, 40.0))


def run(corpus, folder, kind, model, noise=(MEASURED, PAPER), **changes):
    source, path = Source(corpus / "shards", features=corpus / "features"), folder / f"{kind}.safetensors"
    train_correction(source, corpus / "windows.json", kind, model, noise, SETTINGS | changes, folder / kind, path)
    return path


@pytest.mark.parametrize(("kind", "model"), [("mapnet", MAPNET), ("mapnet", MAPNET | {"music": False}), ("lstm", LSTM)])
def test_training_reduces_the_error_of_the_input(corpus, tmp_path, kind, model):
    path = run(corpus, tmp_path, kind, model, [JITTER], learning_rate=1e-2)
    history = json.loads(path.with_suffix(".json").read_text())["history"]
    assert history[-1]["error"] < history[-1]["error_of_input"] == history[0]["error_of_input"]
    corrector, about = load_corrector(path, kind)
    assert (corrector.settings.frames, corrector.settings.features, about["rate_hz"]) == (120, 177, 30.0)
    assert about["settings"]["noise"][0]["wrist_mm"] == [40.0, 40.0, 40.0] and about["features"] == "notes"


def test_other_coordinate_frames_are_refused(corpus, tmp_path):
    with pytest.raises(ValueError, match="expected clips in the frame keyboard, found the frame camera"):
        train_correction(
            Source(corpus / "shards", "camera"), corpus / "windows.json", "mapnet", MAPNET, [PAPER], SETTINGS, tmp_path, tmp_path
        )
