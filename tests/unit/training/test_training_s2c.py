import json

import numpy as np
import pytest
import torch

from handroll.models.checkpoint import CheckpointError, load_checkpoint
from handroll.models.two_stage import S2C_KINDS, load_s2c
from handroll.training.s2c_gesture import train_s2c_gesture
from handroll.training.s2c_position import HandPositionsObjective, train_s2c_position
from handroll.training.training_run import run_training
from handroll.training_data.loader import Clips, Source, cut_windows
from handroll.training_data.windows import RELEASED_SCALES

SETTINGS = {
    "steps": 6,
    "batch": 4,
    "learning_rate": 1e-3,
    "save_every": 2,
    "valid_every": 3,
    "seed": 0,
    "precision": "fp32",
    "device": "cpu",
}
POSITION = {"width": 16, "layers": 1, "feedforward": 16, "context_layers": 1, "context_width": 16, "dropout": 0.0}
GESTURE = {"dim": 8, "multipliers": (1, 2), "condition_width": 16, "layers": 1, "feedforward": 16, "context_layers": 1, "dropout": 0.0}
CHANGES = GESTURE | {"change_weights": (0.1, 0.1)}


@pytest.fixture(scope="module")
def source(corpus):
    return Source(corpus / "shards", features=corpus / "features")


@pytest.fixture(scope="module")
def trained(corpus, source, tmp_path_factory):
    """Both stages, after a few steps."""
    folder = tmp_path_factory.mktemp("trained")
    position, gesture = (folder / f"{kind}.safetensors" for kind in S2C_KINDS)
    train_s2c_position(source, corpus / "windows.json", POSITION, {}, SETTINGS, folder / "position", position)
    files = {"shards": corpus / "shards/shards.json", "features": corpus / "features/features.json", "training": corpus / "windows.json"}
    run_training(train_s2c_gesture, files, {}, {**SETTINGS, "gpus": 1}, (CHANGES, {"s2c_position": position}), gesture)
    return position, gesture


def test_both_hands_learn(trained):
    for kind, path in zip(S2C_KINDS, trained, strict=True):
        network = load_checkpoint(path, kind).network()
        # Both started from the same weights.
        pairs = zip(network.right.parameters(), network.left.parameters(), strict=True)
        assert all(not torch.equal(right, left) for right, left in pairs if right.numel() > 1)
        history = json.loads(path.with_suffix(".json").read_text())["history"]
        assert [entry["step"] for entry in history] == [3, 6]


def test_the_trained_model_moves(source, trained):
    model, about = load_s2c(*trained)
    batch = cut_windows(Clips(source, "valid"), [(0, 0), (0, 60)], 120)
    position, pose = model.generate(batch["features"], "dpmsolver++", 3, [0, 1])
    assert position.shape == (2, 120, 6) and pose.shape == (2, 120, 96) and np.isfinite(pose).all()
    assert about["features"] == "notes" and model.parameters > 0


def test_the_weights_of_changes_matter(corpus, source, trained, tmp_path):
    path = tmp_path / "plain.safetensors"
    earlier = {"s2c_position": trained[0]}
    train_s2c_gesture(source, corpus / "windows.json", GESTURE, earlier, SETTINGS, tmp_path / "state", path)
    assert path.read_bytes() != trained[1].read_bytes()


def test_the_first_stage_of_another_model_is_refused(corpus, source, trained, tmp_path):
    settings = GESTURE, {"s2c_position": trained[1]}, SETTINGS, tmp_path / "state", tmp_path / "path.safetensors"
    with pytest.raises(CheckpointError, match="expected an s2c_position model .* found a s2c_gesture model"):
        train_s2c_gesture(source, corpus / "windows.json", *settings)


def test_a_hidden_hand_does_not_change_the_loss_of_the_other():
    target, predicted = torch.zeros(1, 5, 6), torch.ones(1, 5, 6)
    visible = torch.ones(1, 5, 2, dtype=torch.bool)
    both = HandPositionsObjective(lambda _: predicted, RELEASED_SCALES, 1.0)
    losses = []
    for hidden in (0, 5):
        visible[:, :hidden, 1] = False
        loss, values = both({"features": None, "position": target, "visible": visible})
        losses.append((loss.item(), values["loss_right"].item(), values["loss_left"].item()))
    assert losses == [(2.0, 1.0, 1.0), (1.0, 1.0, 0.0)]
