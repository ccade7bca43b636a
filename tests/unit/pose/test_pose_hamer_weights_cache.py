"""The compact file of HaMeR's weights: written once, verified on each use, free of MANO."""

import logging
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from handroll.pose.hamer import weights_cache
from handroll.pose.hamer.checkpoint import load_checkpoint
from handroll.pose.hamer.parameter_layout import state_shapes
from handroll.pose.hamer.settings import HamerError
from handroll.pose.hamer.weights_cache import compact_checkpoint
from handroll.provenance import file_sha256
from support.toy_mano import synthetic_mano
from toy_hamer import TOY, random_state, write_toy_checkpoint


@pytest.fixture
def files(tmp_path):
    return write_toy_checkpoint(tmp_path / "toy")


@pytest.fixture
def loads(monkeypatch):
    """Counts how often the checkpoint itself is read."""
    calls = []

    def counted(path, settings):
        calls.append(path)
        return load_checkpoint(path, settings)

    monkeypatch.setattr(weights_cache, "load_checkpoint", counted)
    return calls


def test_the_compact_file_is_made_once_a_type(files, loads, tmp_path):
    for dtype in (torch.float32, torch.float32, torch.bfloat16, torch.bfloat16):
        compact = compact_checkpoint(files.checkpoint, TOY, dtype)
        assert compact.sha256 == file_sha256(files.checkpoint)
        assert compact.state["backbone.blocks.0.attn.qkv.weight"].dtype == dtype
        assert compact.state["backbone.blocks.0.norm1.weight"].dtype == torch.float32
        assert compact.state["mano_head.decpose.weight"].dtype == torch.float32
    assert len(loads) == 2
    state = random_state(TOY)
    assert all(torch.equal(value.to(compact.state[name].dtype), compact.state[name]) for name, value in state.items())
    assert len(list(files.checkpoint.parent.glob("*.pt"))) == 2


def test_it_contains_nothing_of_mano(tmp_path):
    mano = synthetic_mano()
    files = write_toy_checkpoint(tmp_path, mano=mano)
    compact = compact_checkpoint(files.checkpoint, TOY)
    assert set(compact.state) == set(state_shapes(TOY))
    assert mano.template_m.astype(np.float32).tobytes()[:64] in files.checkpoint.read_bytes()
    assert mano.template_m.astype(np.float32).tobytes()[:64] not in compact.path.read_bytes()


@pytest.mark.parametrize("damage", ["truncated", "bit", "empty", "other", "text"])
def test_a_damaged_compact_file_is_written_again(files, loads, caplog, damage):
    path = compact_checkpoint(files.checkpoint, TOY).path
    whole = bytearray(path.read_bytes())
    if damage == "truncated":
        whole = whole[: len(whole) // 2]
    elif damage == "bit":
        whole[whole.find(random_state(TOY)["mano_head.decpose.weight"].numpy().tobytes()) + 7] ^= 4
    elif damage == "empty":
        whole = b""
    elif damage == "text":
        whole = b"<html>"
    path.write_bytes(whole)
    if damage == "other":
        torch.save({"format": "something"}, path)
    with caplog.at_level(logging.WARNING, "handroll"):
        compact = compact_checkpoint(files.checkpoint, TOY)
    assert "written again" in caplog.text
    assert len(loads) == 2
    state = random_state(TOY)
    assert all(torch.equal(compact.state[name], value) for name, value in state.items())


def test_a_changed_checkpoint_is_detected(files, tmp_path):
    before = compact_checkpoint(files.checkpoint, TOY)
    status = files.checkpoint.stat()
    other = write_toy_checkpoint(tmp_path / "other", seed=1)
    files.checkpoint.write_bytes(other.checkpoint.read_bytes())
    assert files.checkpoint.stat().st_size == status.st_size
    # Even with its time set back.
    os.utime(files.checkpoint, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = compact_checkpoint(files.checkpoint, TOY)
    assert after.sha256 != before.sha256
    assert torch.equal(after.state["mano_head.decpose.weight"], random_state(TOY, 1)["mano_head.decpose.weight"])


def test_the_checkpoint_is_hashed_once(files, monkeypatch):
    compact_checkpoint(files.checkpoint, TOY)
    monkeypatch.setattr(weights_cache, "file_sha256", None)
    compact_checkpoint(files.checkpoint, TOY)


@pytest.mark.parametrize("content", ["", "[]", '{"file": 1}', '{"sha256": "00"}', "null"])
def test_a_damaged_record_of_the_hash_is_written_again(files, content):
    compact = compact_checkpoint(files.checkpoint, TOY)
    record = files.checkpoint.parent / "hamer.sha256.json"
    record.write_text(content, encoding="utf-8")
    assert compact_checkpoint(files.checkpoint, TOY).sha256 == compact.sha256
    assert compact.sha256 in record.read_text(encoding="utf-8")


def test_settings_that_do_not_fit_the_compact_file(files):
    compact_checkpoint(files.checkpoint, TOY)
    with pytest.raises(HamerError, match="without backbone.blocks.3") as raised:
        compact_checkpoint(files.checkpoint, replace(TOY, backbone=replace(TOY.backbone, depth=4)))
    assert str(files.checkpoint) in str(raised.value)


def test_a_bad_checkpoint_leaves_no_compact_file(files):
    path = files.checkpoint
    content = torch.load(path, weights_only=True)
    del content["state_dict"]["backbone.pos_embed"]
    torch.save(content, path)
    with pytest.raises(HamerError, match="without backbone.pos_embed"):
        compact_checkpoint(path, TOY)
    assert not list(path.parent.glob("*.pt"))


def test_a_missing_checkpoint(tmp_path):
    with pytest.raises(HamerError, match="found no file"):
        compact_checkpoint(tmp_path / "absent.ckpt", TOY)


def test_a_full_disk(files, monkeypatch):
    def full(content, path):
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed writing file data/3: No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(HamerError, match=r"No space left on device.*free some space"):
        compact_checkpoint(files.checkpoint, TOY)
    assert not [path for path in files.checkpoint.parent.iterdir() if ".pt" in path.name]


def test_other_types(files):
    with pytest.raises(ValueError, match="float16"):
        compact_checkpoint(files.checkpoint, TOY, torch.float16)
