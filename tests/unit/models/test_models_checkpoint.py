import pytest
import torch
from safetensors.torch import save_file

from handroll.dataset.windows import RELEASED_SCALES
from handroll.models.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint

CHECKPOINT = Checkpoint(
    "position", {"width": 4}, RELEASED_SCALES, {"frame": "camera", "history": [{"step": 1, "error": 0.5}]}, {"a": torch.arange(3.0)}
)


def test_a_checkpoint_comes_back_and_has_the_same_bytes(tmp_path):
    paths = [tmp_path / f"{name}.safetensors" for name in "ab"]
    for path in paths:
        save_checkpoint(path, CHECKPOINT)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    back = load_checkpoint(paths[0], "position")
    assert (back.settings, back.scales, back.about) == (CHECKPOINT.settings, CHECKPOINT.scales, CHECKPOINT.about)
    assert torch.equal(back.weights["a"], CHECKPOINT.weights["a"])


def test_other_files_are_refused(tmp_path):
    save_checkpoint(tmp_path / "position.safetensors", CHECKPOINT)
    with pytest.raises(CheckpointError, match="expected a gesture model .* found a position model"):
        load_checkpoint(tmp_path / "position.safetensors", "gesture")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="has not written"):
        load_checkpoint(tmp_path / "foreign.safetensors", "position")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "position.safetensors").read_bytes()[:100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path / "cut.safetensors", "position")
    with pytest.raises(FileNotFoundError, match="train it first"):
        load_checkpoint(tmp_path / "none.safetensors", "position")
