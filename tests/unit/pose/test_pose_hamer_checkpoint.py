import io
import logging
import os
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from handroll.pose.hamer import weights_cache as compact_module
from handroll.pose.hamer.checkpoint import URL, load_checkpoint, load_mano_buffers, mano_differences
from handroll.pose.hamer.parameter_layout import state_shapes
from handroll.pose.hamer.settings import RELEASED, HamerError, read_settings
from handroll.pose.hamer.weights_cache import compact_checkpoint
from handroll.provenance import file_sha256
from toy_hamer import TOY, random_state, write_toy_checkpoint

SHARED = Path(__file__).resolve().parents[4] / "shared"
TINY = SHARED / "fixtures" / "hamer" / "tiny"
RELEASED_LIST = SHARED / "specs" / "hamer-state-dict.txt"


@pytest.fixture
def files(tmp_path):
    return write_toy_checkpoint(tmp_path / "toy")


@pytest.fixture
def altered(files):
    """A function that lets another change the toy checkpoint's content, and gives the path."""

    def write(change):
        content = torch.load(files.checkpoint, weights_only=True)
        change(content)
        torch.save(content, files.checkpoint)
        return files.checkpoint

    return write


@pytest.fixture
def mano():
    random = np.random.default_rng(0)
    parents = np.array([-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14])
    shapes = {
        "template_m": (778, 3),
        "shape_directions": (778, 3, 10),
        "pose_directions": (778, 3, 135),
        "joint_regressor": (16, 778),
        "weights": (778, 16),
        "hands_mean": (45,),
    }
    return SimpleNamespace(parents=parents, **{name: random.normal(0.0, 0.1, shape) for name, shape in shapes.items()})


def error_of(path, settings=TOY):
    with pytest.raises(HamerError) as raised:
        load_checkpoint(path, settings)
    message = str(raised.value)
    assert str(path) in message
    assert "expected" in message
    assert "found" in message
    return message


def test_the_state_is_what_was_written_and_nothing_else(files):
    checkpoint = load_checkpoint(files.checkpoint, TOY)
    state = random_state(TOY)
    assert list(checkpoint.state) == list(state)
    assert all(torch.equal(checkpoint.state[name], state[name]) for name in state)
    assert checkpoint.mano == {}
    assert checkpoint.sha256 == file_sha256(files.checkpoint)


def test_the_released_sizes():
    counts = {"backbone": 0, "mano_head": 0}
    for name, shape in state_shapes(RELEASED).items():
        counts[name.split(".")[0]] += int(np.prod(shape))
    assert counts == {"backbone": 630_912_000, "mano_head": 39_497_946}
    assert len(state_shapes(RELEASED)) == 389 + 114


@pytest.mark.skipif(not RELEASED_LIST.exists(), reason="needs the list of the released keys")
def test_the_released_names():
    lines = [line.split("\t") for line in RELEASED_LIST.read_text(encoding="utf-8").splitlines()]
    released = {line[0]: line[1] for line in lines if line[0].startswith(("backbone.", "mano_head."))}
    assert {name: str(shape) for name, shape in state_shapes(RELEASED).items()} == released


@pytest.mark.skipif(not TINY.exists(), reason="needs the shared fixtures")
def test_the_fixture():
    checkpoint = load_checkpoint(TINY / "hamer.ckpt", read_settings(TINY / "model_config.yaml"))
    assert checkpoint.mano["posedirs"].shape == (135, 2334)
    starts = np.load(TINY / "data" / "mano_mean_params.npz")
    np.testing.assert_array_equal(checkpoint.state["mano_head.init_hand_pose"][0], starts["pose"])


# What a download can give.


def test_a_missing_file_says_where_to_get_it_and_where_to_put_it(tmp_path):
    message = error_of(tmp_path / "hamer.ckpt")
    assert URL in message
    assert "put hamer_ckpts/checkpoints/hamer.ckpt of it there" in message


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"\n<!DOCTYPE html><title>Google Drive - Virus scan warning</title>", "a web page"),
        (b"\x1f\x8b\x08" + bytes(100), "a gzip archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS"),
        (b"hello" * 100, "no torch file"),
        (pickle.dumps({"state_dict": {}}), "no torch file"),
    ],
)
def test_files_of_another_kind(tmp_path, content, found):
    (tmp_path / "hamer.ckpt").write_bytes(content)
    message = error_of(tmp_path / "hamer.ckpt")
    assert found in message
    assert URL in message


def test_a_folder(tmp_path):
    assert "a folder" in error_of(tmp_path)


@pytest.mark.parametrize("share", [0.2, 0.9, 0.999])
def test_a_truncated_file(files, share):
    whole = files.checkpoint.read_bytes()
    files.checkpoint.write_bytes(whole[: int(share * len(whole))])
    assert "truncated" in error_of(files.checkpoint)


def test_a_flipped_bit(files):
    whole = bytearray(files.checkpoint.read_bytes())
    at = whole.find(random_state(TOY)["backbone.blocks.1.mlp.fc1.weight"].numpy().tobytes())
    whole[at + 100] ^= 1
    files.checkpoint.write_bytes(whole)
    assert "a damaged file" in error_of(files.checkpoint)


def test_a_zip_that_is_no_checkpoint(tmp_path):
    with zipfile.ZipFile(tmp_path / "hamer.ckpt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "what torch cannot read" in error_of(tmp_path / "hamer.ckpt")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_script(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "hamer.ckpt"))
    assert "what torch cannot read" in error_of(tmp_path / "hamer.ckpt")


# Another network's file, or one that was changed.


def test_the_detectors_weights_in_its_place(altered):
    def vitpose(content):
        state = content["state_dict"]
        content["state_dict"] = {name: value for name, value in state.items() if name.startswith("backbone.")}
        content["state_dict"]["keypoint_head.final_layer.weight"] = torch.zeros(17, 4)

    message = error_of(altered(vitpose))
    assert "another network's" in message
    assert "1 of keypoint_head" in message
    assert "ViTPose" in message


def test_weights_without_their_container(altered):
    def bare(content):
        state = content.pop("state_dict")
        content.clear()
        content.update(state)

    assert "`state_dict`" in error_of(altered(bare))


def test_a_checkpoint_that_is_a_list(files):
    torch.save([1, 2], files.checkpoint)
    assert "found a list" in error_of(files.checkpoint)


def test_missing_and_unknown_names_and_wrong_shapes_all_at_once(altered):
    def change(content):
        state = content["state_dict"]
        del state["backbone.last_norm.bias"]
        state["mano_head.deccam.scale"] = torch.zeros(1)
        state["mano_head.decpose.weight"] = torch.zeros(144, 40)
        state["backbone.pos_embed"] = state["backbone.pos_embed"].half()
        state["refine.weight"] = torch.zeros(1)

    message = error_of(altered(change))
    assert "without backbone.last_norm.bias" in message
    assert "unknown mano_head.deccam.scale" in message
    assert "mano_head.decpose.weight (144, 40) float32 instead of (96, 40) float32" in message
    assert "backbone.pos_embed (1, 193, 48) float16 instead of (1, 193, 48) float32" in message
    assert "refine" not in message


def test_a_block_too_few_is_no_smaller_network(altered):
    def drop(content):
        state = content["state_dict"]
        for name in [name for name in state if name.startswith("backbone.blocks.2.")]:
            del state[name]

    assert "without backbone.blocks.2.norm1.weight" in error_of(altered(drop))


def test_settings_of_another_size(files):
    assert "(8 blocks of width 48" in error_of(files.checkpoint, replace(TOY, backbone=replace(TOY.backbone, depth=8)))
    assert "(1, 193, 48) float32 instead of (1, 193, 1280) float32" in error_of(files.checkpoint, RELEASED)


def test_numbers_that_are_none(altered):
    def spoil(content):
        content["state_dict"]["mano_head.decpose.weight"][3, 5] = float("nan")

    assert "NaN or infinity in mano_head.decpose.weight" in error_of(altered(spoil))


# Pickles that bring code.


class Runs:
    """Unpickled without care, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Config(dict):
    """A dictionary with attributes, as configurations of trainings are pickled."""

    def __init__(self, **entries):
        super().__init__(entries)
        self.frozen = True


class Listed(list):
    """A list of a class of its own."""


def test_foreign_objects_beside_the_weights_are_neither_made_nor_run(altered, tmp_path):
    trace = tmp_path / "trace"
    # Classes of this test's own, which a reader that imports would find.
    hyper_parameters = {"cfg": Config(lr=1e-4, sizes=Listed([1, 2])), "hook": Runs(trace), "when": np.datetime64("2024-01-01")}

    def add(content):
        content["hyper_parameters"] = hyper_parameters
        content["callbacks"] = {Runs: 1, "set": {Runs(trace)}}

    path = altered(add)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    checkpoint = load_checkpoint(path, TOY)
    assert not trace.exists()
    state = random_state(TOY)
    assert all(torch.equal(checkpoint.state[name], state[name]) for name in state)


def test_the_trap_of_these_tests_works(tmp_path):
    pickle.loads(pickle.dumps(Runs(tmp_path / "trace")))
    assert (tmp_path / "trace").exists()


def test_a_foreign_object_among_the_weights_is_refused(altered, tmp_path):
    def add(content):
        content["state_dict"]["backbone.pos_embed"] = Runs(tmp_path / "trace")

    message = error_of(altered(add))
    assert "other objects: backbone.pos_embed" in message
    assert not (tmp_path / "trace").exists()


def test_a_state_that_is_foreign_itself_is_refused(altered, tmp_path):
    def add(content):
        content["state_dict"] = Runs(tmp_path / "trace")

    assert "`state_dict`" in error_of(altered(add))
    assert not (tmp_path / "trace").exists()


def with_pickle(path, pickled):
    """Put other pickled bytes into a torch file."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    pickle_name = next(name for name in entries if name.endswith("data.pkl"))
    entries[pickle_name] = pickled
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, value in entries.items():
            archive.writestr(name, value)
    path.write_bytes(content.getvalue())


@pytest.mark.parametrize(
    "pickled",
    [
        # os.system by the oldest opcode, and by the newest.
        b"(S'touch trace'\nios\nsystem\n.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0btouch trace\x85R.",
        # A name with dots, which Python follows: torch's own module of os.
        b"\x80\x04\x8c\x13torch.serialization\x8c\x09os.system\x93\x8c\x0btouch trace\x85R.",
        # torch functions that load or run further files.
        b"\x80\x02ctorch\nload\nX\x05\x00\x00\x00trace\x85R.",
        # A call of what a call gave.
        b"\x80\x02c__builtin__\ngetattr\ncos\nos\nX\x06\x00\x00\x00system\x86RX\x0b\x00\x00\x00touch trace\x85R.",
        # A storage that is none, and no end.
        b"\x80\x02(X\x07\x00\x00\x00storageccollections\nOrderedDict\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x05tQ.",
        b"\x80\x02}",
        b"",
    ],
)
def test_hostile_pickles_run_nothing(files, pickled, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with_pickle(files.checkpoint, pickled)
    error_of(files.checkpoint)
    assert not (tmp_path / "trace").exists()


def test_a_pickle_cannot_change_what_it_is_given(files):
    # Sets the defaults of the function that rebuilds tensors, by the opcode that restores an object's state.
    pickled = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__K\x01\x85s\x86b."
    defaults = torch._utils._rebuild_tensor_v2.__defaults__
    with_pickle(files.checkpoint, pickled)
    error_of(files.checkpoint)
    assert torch._utils._rebuild_tensor_v2.__defaults__ == defaults


def test_a_dictionary_with_attributes_of_its_own(altered):
    def disguise(content):
        state = OrderedDict(content["state_dict"])
        state.keys = Listed()
        content["state_dict"] = state

    assert set(load_checkpoint(altered(disguise), TOY).state) == set(state_shapes(TOY))


# MANO.


def test_manos_buffers_are_apart_and_agree_with_the_model(tmp_path, mano):
    files = write_toy_checkpoint(tmp_path, mano=mano)
    checkpoint = load_checkpoint(files.checkpoint, TOY)
    assert not any(name.startswith("mano.") for name in checkpoint.state)
    assert set(checkpoint.mano) == {"v_template", "shapedirs", "posedirs", "J_regressor", "lbs_weights", "parents", "hand_mean"}
    assert mano_differences(checkpoint.mano, mano) == []
    assert mano_differences(load_mano_buffers(files.checkpoint), mano) == []


def test_another_mano_is_told_from_the_checkpoints(tmp_path, mano):
    buffers = load_mano_buffers(write_toy_checkpoint(tmp_path, mano=mano).checkpoint)
    mano.template_m = mano.template_m * [-1.0, 1.0, 1.0]
    mano.pose_directions[700, 2, 134] += 1e-5
    mano.weights[0, 0] = np.nan
    mano.parents[3] = 0
    mano.hands_mean = mano.hands_mean[:6]
    sentences = mano_differences(buffers, mano)
    assert [sentence.split("(")[1].split(")")[0] for sentence in sentences] == [
        "v_template",
        "posedirs",
        "lbs_weights",
        "parents",
        "hand_mean",
    ]
    assert "by up to 1e-05" in sentences[1]
    assert "(45,) in the checkpoint, (6,) in the MANO file" in sentences[-1]


def test_a_checkpoint_without_mano_differs_in_nothing(files, mano):
    assert mano_differences(load_mano_buffers(files.checkpoint), mano) == []


# The compact file.


@pytest.fixture
def loads(monkeypatch):
    """Counts how often the checkpoint itself is read."""
    calls = []

    def counted(path, settings):
        calls.append(path)
        return load_checkpoint(path, settings)

    monkeypatch.setattr(compact_module, "load_checkpoint", counted)
    return calls


def test_the_compact_file_is_made_once_a_type(files, loads, tmp_path):
    for dtype in (torch.float32, torch.float32, torch.bfloat16, torch.bfloat16):
        compact = compact_checkpoint(files.checkpoint, TOY, dtype, tmp_path / "cache")
        assert compact.sha256 == file_sha256(files.checkpoint)
        assert compact.state["backbone.blocks.0.attn.qkv.weight"].dtype == dtype
        assert compact.state["backbone.blocks.0.norm1.weight"].dtype == torch.float32
        assert compact.state["mano_head.decpose.weight"].dtype == torch.float32
    assert len(loads) == 2
    state = random_state(TOY)
    assert all(torch.equal(value.to(compact.state[name].dtype), compact.state[name]) for name, value in state.items())
    assert {path.name for path in files.checkpoint.parent.iterdir()} == {"hamer.ckpt", "model_config.yaml", "data"}


def test_beside_the_checkpoint_by_default(files):
    assert compact_checkpoint(files.checkpoint, TOY).path.parent == files.checkpoint.parent


def test_nothing_of_mano_in_it(tmp_path, mano):
    files = write_toy_checkpoint(tmp_path, mano=mano)
    compact = compact_checkpoint(files.checkpoint, TOY)
    assert set(compact.state) == set(state_shapes(TOY))
    assert mano.template_m.astype(np.float32).tobytes()[:64] in files.checkpoint.read_bytes()
    assert mano.template_m.astype(np.float32).tobytes()[:64] not in compact.path.read_bytes()


@pytest.mark.parametrize("damage", ["truncated", "bit", "empty", "other", "text"])
def test_a_damaged_compact_file_is_made_anew(files, loads, caplog, damage):
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
    assert "made anew" in caplog.text
    assert len(loads) == 2
    state = random_state(TOY)
    assert all(torch.equal(compact.state[name], value) for name, value in state.items())


def test_a_changed_checkpoint_is_seen_by_its_bytes(files, tmp_path):
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
    monkeypatch.setattr(compact_module, "file_sha256", None)
    compact_checkpoint(files.checkpoint, TOY)


@pytest.mark.parametrize("content", ["", "[]", '{"file": 1}', '{"sha256": "00"}', "null"])
def test_a_damaged_note_of_the_hash_is_written_anew(files, content):
    compact = compact_checkpoint(files.checkpoint, TOY)
    note = files.checkpoint.parent / "hamer.sha256.json"
    note.write_text(content, encoding="utf-8")
    assert compact_checkpoint(files.checkpoint, TOY).sha256 == compact.sha256
    assert compact.sha256 in note.read_text(encoding="utf-8")


def test_other_settings_than_the_compact_files(files):
    compact_checkpoint(files.checkpoint, TOY)
    with pytest.raises(HamerError, match="without backbone.blocks.3") as raised:
        compact_checkpoint(files.checkpoint, replace(TOY, backbone=replace(TOY.backbone, depth=4)))
    assert str(files.checkpoint) in str(raised.value)


def test_a_bad_checkpoint_leaves_no_compact_file(altered, files):
    path = altered(lambda content: content["state_dict"].pop("backbone.pos_embed"))
    with pytest.raises(HamerError, match="without backbone.pos_embed"):
        compact_checkpoint(path, TOY)
    assert not list(path.parent.glob("*.pt"))


def test_a_missing_checkpoint_and_a_folder_that_is_a_file(files, tmp_path):
    with pytest.raises(HamerError, match="found no file"):
        compact_checkpoint(tmp_path / "absent.ckpt", TOY)
    with pytest.raises(HamerError, match="give another folder as the cache"):
        compact_checkpoint(files.checkpoint, TOY, cache=files.config)


def test_a_full_disk(files, monkeypatch):
    def full(content, path):
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed writing file data/3: No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(HamerError, match=r"No space left on device.*make room"):
        compact_checkpoint(files.checkpoint, TOY)
    assert not [path for path in files.checkpoint.parent.iterdir() if ".pt" in path.name]


def test_other_types(files):
    with pytest.raises(ValueError, match="float16"):
        compact_checkpoint(files.checkpoint, TOY, torch.float16)
