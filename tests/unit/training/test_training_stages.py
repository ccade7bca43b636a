import json

import numpy as np
import pytest
import torch

from handroll.generation.feature_encoders import encoder_of
from handroll.generation.fingering import DEFAULT_COSTS
from handroll.generation.fingering_costs_file import costs_to_json
from handroll.generation.method_motion import generate
from handroll.models.audio_features import feature_encoder
from handroll.models.checkpoint import load_checkpoint
from handroll.models.direct import load_regression
from handroll.models.fingertip_network import split_plan
from handroll.models.motion_features import motion_features
from handroll.models.two_stage import load_two_stage
from handroll.training.autoencoder import train_autoencoder
from handroll.training.fingertips import train_fingertips
from handroll.training.gesture import train_gesture
from handroll.training.mixer import train_mixer
from handroll.training.position import train_position
from handroll.training.regression import train_regression
from handroll.training.training_run import run_training
from handroll.training_data.feature_cache import write_features
from handroll.training_data.loader import Clips, Source, cut_windows

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
POSITION = {"width": 16, "layers": 1, "feedforward": 16, "context_layers": 1, "context_width": 16, "dropout": 0.0, "velocity_weight": 1.0}
REGRESSION = {"width": 16, "layers": 1, "context_layers": 1, "context_width": 16, "dropout": 0.0}
MIXER = {"width": 16, "blocks": 2, "condition_width": 16, "layers": 1, "feedforward": 16, "context_layers": 1, "objective": "flow"}
GESTURE = {"dim": 8, "condition_width": 16, "layers": 1, "feedforward": 16, "context_layers": 1, "dropout": 0.0}


@pytest.fixture(scope="module")
def source(corpus):
    return Source(corpus / "shards", features=corpus / "features")


@pytest.fixture(scope="module")
def trained(corpus, source, tmp_path_factory):
    """Both stages and the auto-encoder, after a few steps."""
    folder = tmp_path_factory.mktemp("trained")
    windows = corpus / "windows.json"
    settings = {**SETTINGS, "steps": 40, "learning_rate": 5e-3}
    train_position(source, windows, POSITION, {}, settings, folder / "position", folder / "position.safetensors")
    files = {"shards": corpus / "shards/shards.json", "features": corpus / "features/features.json", "training": windows}
    arguments = (GESTURE, {"position": folder / "position.safetensors"})
    run_training(train_gesture, files, {}, {**SETTINGS, "gpus": 1}, arguments, folder / "gesture.safetensors")
    train_autoencoder(source, windows, SETTINGS, folder / "autoencoder", folder / "autoencoder.safetensors")
    return folder


def test_position_learns_where_the_hands_are(source, trained):
    model, _ = load_two_stage(trained / "position.safetensors", trained / "gesture.safetensors")
    clips = Clips(source, "train")
    windows = [(number, 0) for number in range(len(clips))]
    batch = cut_windows(clips, windows, 120)
    made, _ = model.generate(batch["features"], "dpmsolver++", 1, range(len(windows)))
    mean = np.array(load_checkpoint(trained / "position.safetensors", "position").scales.position_mean)
    assert np.abs(made - batch["position"]).mean() < 0.8 * np.abs(mean - batch["position"]).mean()


def test_the_training_log(trained):
    told = json.loads((trained / "position.json").read_text())
    assert [entry["step"] for entry in told["history"]] == [*range(3, 40, 3), 40]
    assert len({entry["error_of_mean"] for entry in told["history"]}) == 1 and all(entry["error"] > 0.0 for entry in told["history"])
    assert told["windows_per_s"] > 0 and told["memory_gb"] > 0 and told["seconds"] > 0


def test_checkpoints_contain_their_origin(trained):
    for kind in ("position", "gesture", "autoencoder"):
        checkpoint = load_checkpoint(trained / f"{kind}.safetensors", kind)
        assert checkpoint.about["frames"] == 120 and checkpoint.about["rate_hz"] == 30.0 and checkpoint.about["frame"] == "keyboard"
        assert checkpoint.about["features"] == "notes"
    assert not any(name.startswith("position.") for name in load_checkpoint(trained / "gesture.safetensors", "gesture").weights)


def test_the_second_stage_does_not_change_the_first(trained):
    before = load_checkpoint(trained / "position.safetensors", "position").weights
    model, _ = load_two_stage(trained / "position.safetensors", trained / "gesture.safetensors")
    assert all(np.array_equal(before[name], value) for name, value in model._position.state_dict().items())


def test_training_repeats(corpus, source, trained, tmp_path):
    for name in "ab":
        path = tmp_path / f"{name}.safetensors"
        train_gesture(
            source, corpus / "windows.json", GESTURE, {"position": trained / "position.safetensors"}, SETTINGS, tmp_path / name, path
        )
        assert path.read_bytes() == (trained / "gesture.safetensors").read_bytes()


@pytest.mark.parametrize("row", ["regression", "mixer", "flow"])
def test_a_row_generates_motion_of_any_length(corpus, source, trained, tmp_path, row):
    windows, earlier = corpus / "windows.json", {"position": trained / "position.safetensors"}
    path = tmp_path / "row.safetensors"
    last = SETTINGS, tmp_path / "state", path
    if row == "regression":
        train_regression(source, windows, REGRESSION, {}, *last)
    elif row == "mixer":
        train_mixer(source, windows, MIXER, earlier, *last)
    else:
        train_gesture(source, windows, GESTURE | {"objective": "flow"}, earlier, *last)
    features = np.zeros((150, Clips(source, "valid")[0].features.shape[1]), dtype=np.float32)
    if row == "regression":
        model, about = load_regression(path)
        motion = model.generate_long(features)
        assert set(about["history"][-1]) == {"step", "error", "pose_error"}
    else:
        model, about = load_two_stage(earlier["position"], path)
        motion = model.generate_long(features, "heun", 3, 0)
        with pytest.raises(ValueError, match="with the objective flow, found ddim"):
            model.generate_long(features, "ddim", 3, 0)
    assert about["features"] == "notes" and [part.shape for part in motion] == [(150, 6), (150, 96)]


def test_the_regression_model_learns_positions_and_poses(corpus, source, tmp_path):
    path = tmp_path / "regression.safetensors"
    settings = {**SETTINGS, "steps": 120, "learning_rate": 1e-2}
    train_regression(source, corpus / "windows.json", REGRESSION | {"width": 32}, {}, settings, tmp_path / "state", path)
    model, _ = load_regression(path)
    clips, scales = Clips(source, "train"), load_checkpoint(path, "regression").scales
    batch = cut_windows(clips, [(number, 0) for number in range(len(clips))], 120)
    for kind, made, share in zip(("position", "pose"), model.generate(batch["features"]), (0.5, 0.95), strict=True):
        # The first window of each training clip, against the mean of the training motion.
        mean = np.array(getattr(scales, f"{kind}_mean"))
        assert np.abs(made - batch[kind]).mean() < share * np.abs(mean - batch[kind]).mean()


def test_an_unknown_second_stage_is_refused(corpus, source, trained, tmp_path):
    earlier = {"position": trained / "position.safetensors"}
    call = source, corpus / "windows.json", GESTURE, earlier, SETTINGS, tmp_path, tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match="second stage: expected one of gesture, mixer, found 'position'"):
        train_gesture(*call, kind="position")


def test_the_auto_encoder_gives_features(corpus, trained, source):
    clips = Clips(source, "valid")
    position, pose = (np.stack([getattr(clips[k], kind)[:120] for k in range(3)]) for kind in ("position", "pose"))
    features = motion_features(trained / "autoencoder.safetensors")(position, pose)
    assert features.shape == (3, 256) and np.isfinite(features).all()


def test_the_model_fingertips_learns_the_difference_from_the_plan(corpus, tmp_path):
    encoder = encoder_of("planned", 30.0)
    about = {"features": "planned", "encoder": encoder.version, "fingering": costs_to_json((DEFAULT_COSTS, DEFAULT_COSTS))}
    write_features(corpus / "shards", tmp_path / "features", encoder.encode, encoder.columns, about, encoder.dtype)
    source, path = Source(corpus / "shards", features=tmp_path / "features"), tmp_path / "fingertips.safetensors"
    settings = {**SETTINGS, "steps": 60, "learning_rate": 3e-3, "valid_every": 30}
    train_fingertips(source, corpus / "windows.json", {"width": 32, "context_layers": 1}, {}, settings, tmp_path / "state", path)
    history = json.loads(path.with_suffix(".json").read_text())["history"]
    assert history[0]["error_of_plan"] == history[-1]["error_of_plan"] > 0.0 and history[0]["error"] != history[-1]["error"]
    assert load_checkpoint(path, "fingertips").about["fingering"] == about["fingering"]
    # Three takes are too few for other music, but the motion of the training clips is closer than their plans.
    clips = Clips(source, "train")
    chosen = json.loads((corpus / "windows.json").read_text())
    ids = [[*clips.names[number], 120] for number in range(len(clips))]
    (tmp_path / "windows.json").write_text(json.dumps(chosen | {"split": "train", "windows": {"train": ids}}))
    columns, facts = generate({"kind": "trained", "model": "fingertips"}, source, tmp_path / "windows.json", [path])
    assert facts["features"] == "planned" and facts["input"] == "notes" and facts["parameters"] > 0 and "steps" not in facts
    batch = cut_windows(clips, [(number, 120) for number in range(len(clips))], 120)
    plan = split_plan(torch.from_numpy(batch["features"]))
    error = {
        name: np.abs(np.stack(position) - batch["position"])[np.repeat(batch["visible"], 3, axis=-1)].mean()
        for name, position in (("model", columns["position"]), ("plan", plan["position"].numpy()))
    }
    assert error["model"] < 0.95 * error["plan"]


def test_log_mel_features_fit_the_clips(source):
    clips, encoder = Clips(source, "valid"), feature_encoder("logmel", 30.0)
    features = encoder.encode(clips.rows(0, encoder.columns))
    assert features.shape == (clips.frames[0], 256)
    with pytest.raises(FileNotFoundError, match="hubert-base-ls960"):
        feature_encoder("hubert", 30.0, "resources/weights/none")


@pytest.fixture(scope="module")
def motions(corpus, source, trained):
    """Motions by every method, and what they cost."""
    models = [trained / "position.safetensors", trained / "gesture.safetensors"]
    methods = {
        "ground_truth": {},
        "other_half": {},
        "mean_pose": {},
        "nearest": {"features": "notes"},
        "trained": {"model": "two_stage", "decoder": "transformer", "sampler": "dpmsolver++", "steps": 3},
    }
    return {
        kind: generate({"kind": kind, **method}, source, corpus / "windows.json", models, seed=1, samples=2)
        for kind, method in methods.items()
    }


def test_a_model_refuses_the_features_of_another_encoder(corpus, trained, tmp_path):
    features = json.loads((corpus / "features" / "features.json").read_text())
    (tmp_path / "features.json").write_text(json.dumps(features | {"encoder": "hubert 32 wide, weights 0"}))
    models = [trained / "position.safetensors", trained / "gesture.safetensors"]
    method = {"kind": "trained", "model": "two_stage", "decoder": "transformer", "sampler": "dpmsolver++", "steps": 1}
    other = Source(corpus / "shards", features=tmp_path)
    with pytest.raises(
        ValueError, match=r"with the same encoder .* \(hubert 32 wide, weights 0\), found a model trained with handroll notes 1"
    ):
        generate(method, other, corpus / "windows.json", models)
    settings = (
        other,
        corpus / "windows.json",
        GESTURE,
        {"position": models[0]},
        SETTINGS,
        tmp_path / "gesture",
        tmp_path / "gesture.safetensors",
    )
    with pytest.raises(ValueError, match="expected a model trained with the same encoder"):
        train_gesture(*settings)


def test_every_method_moves_every_window(corpus, motions):
    windows = len(json.loads((corpus / "windows.json").read_text())["windows"]["valid"])
    rows = {kind: len(columns["clip"]) for kind, (columns, _) in motions.items()}
    assert rows == {"ground_truth": windows, "other_half": windows // 2, "mean_pose": windows, "nearest": windows, "trained": 2 * windows}
    for columns, _ in motions.values():
        assert {part.shape for part in columns["position"]} == {(120, 6)} and {part.shape for part in columns["pose"]} == {(120, 96)}
        assert all(np.isfinite(part).all() for part in columns["pose"])


def test_samples_differ_and_windows_do_not_depend_on_each_other(corpus, source, motions, trained, tmp_path):
    columns, facts = motions["trained"]
    assert np.abs(columns["pose"][0] - columns["pose"][1]).max() > 1e-3
    assert np.array_equal(columns["position"][0], columns["position"][1])
    chosen = json.loads((corpus / "windows.json").read_text())
    chosen["windows"]["valid"] = chosen["windows"]["valid"][:1]
    (tmp_path / "windows.json").write_text(json.dumps(chosen))
    models = [trained / "position.safetensors", trained / "gesture.safetensors"]
    method = {"kind": "trained", "model": "two_stage", "decoder": "transformer", "sampler": "dpmsolver++", "steps": 3}
    alone, _ = generate(method, source, tmp_path / "windows.json", models, seed=1, samples=2)
    np.testing.assert_allclose(alone["pose"][1], columns["pose"][1], atol=1e-4)
    assert facts["parameters"] > 0 and facts["sampling_ms"] > 0 and facts["training_s"] > 0


def test_the_nearest_motion_is_one_of_the_training_split(source, motions):
    train = Clips(source, "train")
    position = motions["nearest"][0]["position"][0]
    found = [
        number
        for number in range(len(train))
        for first in range(0, int(train.frames[number]) - 119, 30)
        if np.array_equal(train[number].position[first : first + 120], position)
    ]
    assert found
