"""HaMeR's checkpoint: its parameters are those of the released layout, and every other file is one clear error."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from handroll.pose.hamer.checkpoint import URL, load_checkpoint, load_mano_buffers, mano_differences
from handroll.pose.hamer.parameter_layout import state_shapes
from handroll.pose.hamer.settings import RELEASED, HamerError, read_settings
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


# Other and damaged files; test_safe_pickle.py has the rest.


def test_a_missing_file_says_where_to_get_it_and_where_to_put_it(tmp_path):
    message = error_of(tmp_path / "hamer.ckpt")
    assert URL in message
    assert "put its file hamer_ckpts/checkpoints/hamer.ckpt there" in message


def test_a_web_page_and_a_folder(tmp_path):
    (tmp_path / "hamer.ckpt").write_text("<!DOCTYPE html>")
    for path, found in ((tmp_path / "hamer.ckpt", "a web page"), (tmp_path, "a folder")):
        message = error_of(path)
        assert found in message and URL in message


def test_a_flipped_bit(files):
    whole = bytearray(files.checkpoint.read_bytes())
    at = whole.find(random_state(TOY)["backbone.blocks.1.mlp.fc1.weight"].numpy().tobytes())
    whole[at + 100] ^= 1
    files.checkpoint.write_bytes(whole)
    assert "a damaged file" in error_of(files.checkpoint)


# Another network's file, or one that was changed.


def test_the_weights_of_the_hand_detector(altered):
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
    assert "found no dictionary `state_dict`, but a list" in error_of(files.checkpoint)


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


# Foreign code; test_safe_pickle.py has the rest.


class Runs:
    """An object whose pickle creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_foreign_objects_beside_the_weights_are_not_run(altered, tmp_path):
    path = altered(lambda content: content.update(hyper_parameters={"hook": Runs(tmp_path / "trace")}))
    checkpoint = load_checkpoint(path, TOY)
    state = random_state(TOY)
    assert all(torch.equal(checkpoint.state[name], state[name]) for name in state)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            lambda content, runs: content["state_dict"].update({"backbone.pos_embed": runs}),
            "objects than tensors: backbone.pos_embed",
        ),
        (lambda content, runs: content.update(state_dict=runs), "no dictionary `state_dict`, but the Python code posix.system"),
    ],
)
def test_foreign_objects_among_the_weights_are_refused(altered, tmp_path, change, found):
    assert found in error_of(altered(lambda content: change(content, Runs(tmp_path / "trace"))))
    assert not (tmp_path / "trace").exists()


# MANO.


def test_manos_buffers_are_separate_and_equal_the_model(tmp_path, mano):
    files = write_toy_checkpoint(tmp_path, mano=mano)
    checkpoint = load_checkpoint(files.checkpoint, TOY)
    assert not any(name.startswith("mano.") for name in checkpoint.state)
    assert set(checkpoint.mano) == {"v_template", "shapedirs", "posedirs", "J_regressor", "lbs_weights", "parents", "hand_mean"}
    assert mano_differences(checkpoint.mano, mano) == []
    assert mano_differences(load_mano_buffers(files.checkpoint), mano) == []


def test_differences_from_another_mano_are_listed(tmp_path, mano):
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
