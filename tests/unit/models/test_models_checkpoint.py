import json
import shutil
from copy import deepcopy
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from handroll.models.autoencoder import AutoencoderSettings
from handroll.models.checkpoint import KINDS, Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from handroll.models.correction_baselines import LstmSettings
from handroll.models.direct import load_regression
from handroll.models.fingertip_network import N_PLAN, FingertipSettings
from handroll.models.gesture import GestureSettings
from handroll.models.mapnet import MapnetSettings
from handroll.models.mixer import MixerSettings
from handroll.models.motion_features import motion_features
from handroll.models.position import PositionSettings
from handroll.models.regression_network import RegressionSettings
from handroll.models.two_stage import load_two_stage
from handroll.training_data.windows import RELEASED_SCALES

SIZES = {
    "position": PositionSettings(5, context_width=16, context_layers=1, width=8, layers=1, feedforward=8),
    "gesture": GestureSettings(5, condition_width=16, context_layers=1, layers=1, feedforward=8, dim=8, multipliers=(1, 2)),
    "mixer": MixerSettings(
        5, condition_width=16, context_layers=1, layers=1, feedforward=8, frames=16, width=8, blocks=2, objective="flow"
    ),
    "regression": RegressionSettings(5, context_width=16, context_layers=1, width=8, layers=1),
    "fingertips": FingertipSettings(N_PLAN + 5, width=16, context_layers=1),
    "autoencoder": AutoencoderSettings(channels=102, frames=16),
    "mapnet": MapnetSettings(5, 16, every=2, steps=12, width=8, layers=1, fusion_layers=1, heads=2, feedforward=8),
    "lstm": LstmSettings(5, 16, every=2, width=8, layers=1),
}
ABOUT = {"frame": "camera", "rate_hz": 30.0, "frames": 16, "features": "notes", "encoder": "notes 1", "history": [{"error": 0.5}]}


@pytest.fixture(scope="module")
def models():
    """A small model of each kind."""
    torch.manual_seed(0)
    networks = {kind: KINDS[kind][1](sizes) for kind, sizes in SIZES.items()}
    return {kind: Checkpoint(kind, asdict(SIZES[kind]), RELEASED_SCALES, ABOUT, networks[kind].state_dict()) for kind in SIZES}


@pytest.fixture(scope="module")
def whole(models, tmp_path_factory):
    """The folder of their files."""
    folder = tmp_path_factory.mktemp("whole")
    for kind in models:
        save_checkpoint(folder / f"{kind}.safetensors", models[kind])
    return folder


@pytest.fixture
def saved(whole, tmp_path):
    """Files that a test may change, by kind."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return {kind: tmp_path / f"{kind}.safetensors" for kind in SIZES}


def rewrite(path, change):
    """Give a file the header that `change`, of the header as a dict, makes; the tensors stay."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    outer = json.loads(content[8:end])
    head = change(json.loads(outer["__metadata__"]["handroll"]))
    outer["__metadata__"]["handroll"] = head if isinstance(head, str) else json.dumps(head)
    text = json.dumps(outer).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])


def with_weights(path, weights):
    """Give a file other tensors; the header stays."""
    with safe_open(path, framework="pt") as file:
        head = file.metadata()
    save_file(weights, path, head)


def test_a_checkpoint_comes_back_and_has_the_same_bytes(models, tmp_path):
    paths = [tmp_path / f"{name}.safetensors" for name in "ab"]
    for path in paths:
        save_checkpoint(path, models["gesture"])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    back = load_checkpoint(paths[0], "gesture")
    assert (back.scales, back.about) == (RELEASED_SCALES, ABOUT)
    state = back.network().state_dict()
    assert all(torch.equal(value, state[name]) for name, value in models["gesture"].weights.items())


def test_models_of_checkpoints_run(saved):
    model, about = load_two_stage(saved["position"], saved["gesture"])
    position, pose = model.generate(np.zeros((2, 16, 5)), "dpmsolver++", 2, [0, 1])
    assert position.shape == (2, 16, 6) and pose.shape == (2, 16, 96) and about["features"] == "notes"
    model, _ = load_two_stage(saved["position"], saved["mixer"])
    assert model.objective == "flow" and model.generate(np.zeros((2, 16, 5)), "heun", 2, [0, 1])[1].shape == (2, 16, 96)
    model, about = load_regression(saved["regression"])
    assert model.generate_long(np.zeros((40, 5)))[1].shape == (40, 96) and about["features"] == "notes"
    assert motion_features(saved["autoencoder"])(position, pose).shape == (2, 256)


def test_other_files_are_refused(saved, tmp_path):
    with pytest.raises(CheckpointError, match="expected a gesture model .* found a position model"):
        load_checkpoint(saved["position"], "gesture")
    with pytest.raises(CheckpointError, match="expected a gesture or mixer model .* found a regression model"):
        load_two_stage(saved["position"], saved["regression"])
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="was not written by handroll"):
        load_checkpoint(tmp_path / "foreign.safetensors", "position")
    (tmp_path / "cut.safetensors").write_bytes(saved["position"].read_bytes()[:100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path / "cut.safetensors", "position")
    with pytest.raises(FileNotFoundError, match="train it first"):
        load_checkpoint(tmp_path / "none.safetensors", "position")


def without(name, *keys):
    def change(head):
        part = head
        for key in keys:
            part = part[key]
        del part[name]
        return head

    return change


def with_setting(name, value):
    return lambda head: head | {"settings": head["settings"] | {name: value}}


def with_about(name, value):
    return lambda head: head | {"about": head["about"] | {name: value}}


def with_scale(name, value):
    return lambda head: head | {"scales": head["scales"] | {name: value}}


HOSTILE = {
    "a list": (lambda head: [head], "was not written by handroll"),
    "a number": (lambda head: 3, "was not written by handroll"),
    "no JSON": (lambda head: "{", "header that cannot be read"),
    "deeply nested": (lambda head: "[" * 100_000, "header that cannot be read"),
    "a kind that is a list": (lambda head: head | {"kind": ["position"]}, r"a .'position'. model"),
    "another format": (lambda head: head | {"format": "1"}, "format 1"),
    "no scales": (without("scales"), "without 'scales'"),
    "no settings": (without("settings"), "without 'settings'"),
    "no about": (without("about"), "without 'about'"),
    "settings that are a list": (lambda head: head | {"settings": []}, "entry 'settings' is"),
    "scales that are null": (lambda head: head | {"scales": None}, "entry 'scales' is None"),
    "a scale less": (without("pose_mean", "scales"), "found no pose_mean"),
    "a scale more": (with_scale("more", 1.0), "found the unknown entry more"),
    "a short scale": (with_scale("position_mean", [0.0]), "expected 6 finite numbers for position_mean"),
    "a scale of 0": (with_scale("position_scale", [0.0] * 6), "above 0 for position_scale"),
    "a scale that is no number": (with_scale("pose_scale", ["1"] * 96), "for pose_scale"),
    "a scale that is NaN": (lambda head: json.dumps(with_scale("max_abs", float("nan"))(head)), "the invalid number NaN"),
    "an infinite scale": (lambda head: json.dumps(head).replace('"max_abs": 1.0', '"max_abs": 1e999'), "for max_abs"),
    "a setting less": (without("width", "settings"), "settings without the entry 'width'"),
    "a setting more": (with_setting("more", 1), "unknown setting more"),
    "a setting that is a text": (with_setting("width", "8"), "the invalid setting width = 8"),
    "a setting that is true": (with_setting("width", True), "the invalid setting width = True"),
    "a setting that is null": (with_setting("decoder", None), "the invalid setting decoder = None"),
    "an unknown decoder": (with_setting("decoder", "other"), "settings with which the network cannot be built"),
    "a negative size": (with_setting("width", -8), "the invalid setting width = -8"),
    "no width": (with_setting("width", 0), "the invalid setting width = 0"),
    "a width that no head divides": (with_setting("width", 9), "settings with which the network cannot be built"),
    "480 GB": (with_setting("width", 200_000), "the invalid setting width = 200000"),
    "another width": (with_setting("width", 12), "the tensor .* where its settings require"),
    "a billion layers": (with_setting("layers", 10**9), "the invalid setting layers"),
    "another layer": (with_setting("layers", 2), "without the tensors"),
    "a layer less": (with_setting("context_layers", 0), "settings with which the network cannot be built"),
    "a share above 1": (with_setting("dropout", 2.0), "the invalid setting dropout = 2.0"),
    "windows of no frames": (with_about("frames", 0), "windows of 0 frames"),
    "endless windows": (with_about("frames", 10**12), "windows of 1000000000000 frames"),
    "half a frame": (with_about("frames", 1.5), "windows of 1.5 frames"),
    "no rate": (without("rate_hz", "about"), "a rate of None Hz"),
    "an endless rate": (with_about("rate_hz", 1e300), "a rate of 1e"),
    "another frame": (with_about("frame", "moon"), "the frame moon"),
    "features that are a list": (with_about("features", ["notes"]), "features = .* instead of a name"),
}


@pytest.mark.parametrize(("change", "found"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_header_is_one_error(saved, change, found):
    rewrite(saved["position"], change)
    with pytest.raises(CheckpointError, match=f"position.safetensors: expected a position model of handroll, format 2, found .*{found}"):
        load_checkpoint(saved["position"], "position")


@pytest.mark.parametrize(
    ("kind", "change", "found"),
    [
        ("gesture", with_setting("channels", 48), "the setting channels = 48, where handroll's motion requires 96"),
        ("gesture", with_setting("multipliers", [1, 10**9]), "the invalid setting multipliers"),
        ("gesture", with_setting("multipliers", [1] * 10**4), "the invalid setting multipliers"),
        ("gesture", with_setting("multipliers", 3), "the invalid setting multipliers"),
        ("gesture", with_setting("dim", 12), "settings with which the network cannot be built"),
        ("gesture", with_about("frames", 15), "windows of 15 frames"),
        ("gesture", with_setting("objective", "noise"), "settings with which the network cannot be built .*expected one of v, flow"),
        ("gesture", with_setting("objective", 1), "the invalid setting objective"),
        ("gesture", without("objective", "settings"), "settings without the entry 'objective'"),
        ("mixer", with_setting("channels", 48), "the setting channels = 48, where handroll's motion requires 96"),
        ("mixer", with_setting("blocks", 10**9), "the invalid setting blocks"),
        ("mixer", with_setting("blocks", 1), "the unknown tensors blocks.1"),
        ("mixer", with_setting("frames", 10**8), "the invalid setting frames"),
        ("mixer", with_setting("frames", 32), "windows of 16 frames"),
        ("mixer", with_setting("width", 10**6), "the invalid setting width"),
        ("mixer", with_about("frames", 32), "windows of 32 frames"),
        ("regression", with_setting("layers", 10**9), "the invalid setting layers"),
        ("regression", with_setting("layers", 2), "without the tensors"),
        ("regression", with_setting("width", 10), "settings with which the network cannot be built"),
        ("regression", with_setting("width", 12), "the tensor .* where its settings require"),
        ("regression", with_about("encoder", 3), "encoder = 3 instead of a name"),
        ("autoencoder", with_setting("frames", 10**8), "the invalid setting frames"),
        ("autoencoder", with_setting("frames", 8), "settings with which the network cannot be built"),
        ("autoencoder", with_about("frames", 32), "windows of 32 frames"),
        ("mapnet", with_about("frames", 32), "windows of 32 frames"),
        ("mapnet", with_setting("every", 10**9), "the invalid setting every"),
        ("mapnet", with_setting("frames", 10**6), "the invalid setting frames"),
        ("lstm", with_setting("frames", 10**6), "the invalid setting frames"),
    ],
)
def test_a_hostile_header_of_other_kinds_is_one_error(saved, kind, change, found):
    rewrite(saved[kind], change)
    with pytest.raises(CheckpointError, match=found):
        load_checkpoint(saved[kind], kind)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda weights: weights | {"more": torch.zeros(1)}, "unknown tensors more"),
        (lambda weights: {name: value for name, value in weights.items() if name != "head.0.bias"}, "without the tensors head.0.bias"),
        (lambda weights: weights | {"head.0.bias": torch.zeros(3)}, "the tensor head.0.bias"),
        (lambda weights: weights | {"head.0.bias": torch.zeros(128, dtype=torch.int8)}, "the tensor head.0.bias"),
    ],
)
def test_other_tensors_are_refused(saved, change, found):
    with_weights(saved["position"], change(load_file(saved["position"])))
    with pytest.raises(CheckpointError, match=found):
        load_checkpoint(saved["position"], "position")


VALUES = (None, True, -1, 0, 7, 10**30, 0.5, 1e308, "", "x" * 10_000, [], [[]], {}, {"a": 1}, [0] * 1000)


@pytest.mark.parametrize("seed", range(200))
def test_headers_changed_at_random_load_or_are_one_error(saved, seed):
    rng = np.random.default_rng(seed)
    kind = list(SIZES)[rng.integers(len(SIZES))]

    def change(head):
        for _ in range(rng.integers(1, 4)):
            part = head
            while True:
                key = list(part)[rng.integers(len(part))] if isinstance(part, dict) else int(rng.integers(len(part)))
                if not isinstance(part[key], dict | list) or not part[key] or rng.random() < 0.2:
                    break
                part = part[key]
            if rng.random() < 0.2:
                del part[key]
            else:
                part[key] = deepcopy(VALUES[rng.integers(len(VALUES))])
            if not head:
                break
        return head

    rewrite(saved[kind], change)
    try:
        load_checkpoint(saved[kind], kind).network()
    except CheckpointError as error:
        assert str(saved[kind]) in str(error) and "expected" in str(error) and "found" in str(error) and len(str(error)) < 1000


def test_stages_of_two_trainings_are_refused(saved):
    rewrite(saved["gesture"], with_about("encoder", "notes 2"))
    with pytest.raises(CheckpointError, match=r"found different encoder \(notes 1 and notes 2\)"):
        load_two_stage(saved["position"], saved["gesture"])
