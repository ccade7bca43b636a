"""The benchmark on a tiny synthetic set: its tables, the same again, a training that is killed, and what a change makes run again.

Jobs have one core: networks of this size are no faster on two.
"""

import csv
import json
import os
import random
import re
import signal
import time
from itertools import chain

import pyarrow.parquet as pq
import pytest
import torch

from handroll.acquire.takedown import Takedown, remove_taken_down
from handroll.models.speech_encoder import load_speech_encoder, new_speech_encoder

CONFIG = """\
splits: {train: 2, valid: 1, test: 0}
clips: {length_s: 10.0, hop_s: 9.0}
synthetic: {hours: 0.025, take_s: 30.0}
benchmark:
  name: tiny
  window_s: 4.0
  samplers: ["dpmsolver++ 3"]
  samples: 1
  weights: {hubert: hubert}
  position: {width: 16, layers: 1, feedforward: 16, context_layers: 1, context_width: 16, training: &few {steps: 6, batch: 2}}
  gesture:
    {dim: 8, multipliers: [1, 1], condition_width: 16, layers: 1, feedforward: 16, context_layers: 1,
     training: {steps: 50, batch: 2, save_every: 5}}
  fingertips: {width: 16, context_layers: 1, training: *few}
  autoencoder: {training: *few}
  tuning: {training: {steps: 2, batch: 2, learning_rate: 1.0e-3}}
"""
EXPERIMENT = "results/experiments/tiny"
GESTURE = f"{EXPERIMENT}/models/two_stage-notes-transformer/gesture"
TWO_STAGE = "two_stage-notes-transformer-dpmsolverpp-3"
REFERENCES = ["ground_truth", "other_half", "mean_pose", "nearest-notes"]
ON_KEYS = ["planned", "planned-learned", TWO_STAGE, f"{TWO_STAGE}-contacts", "fingertips", "fingertips-contacts"]
METHODS = [*REFERENCES, *ON_KEYS]
PATIENCE_S = 900.0
# Folders whose JSON files contain durations.
TIMED = ("motion", "two_stage-notes-transformer", "fingertips", "models")


def methods(count):
    """The jobs that `count` methods need."""
    return {"generate_motion": count, "score_motion": count, "make_tables": 1}


# A model and its corrected motion.
ONE_MODEL = methods(2)
BELOW_GESTURE = {"train_network": 1, **ONE_MODEL}
BELOW_POSITION = {"train_network": 2, **ONE_MODEL}
BELOW_AUTOENCODER = {"train_autoencoder": 1, "score_motion": len(METHODS), "make_tables": 1}
BELOW_WINDOWS = {"choose_windows": 1, **methods(len(METHODS))}
TRAININGS = {"train_network": 3, "train_autoencoder": 1}
FINGERED = {"train_fingering": 1, "encode_audio": 2}
BELOW_SHARDS = {"prepare_training": 1, **TRAININGS, **FINGERED, **BELOW_WINDOWS}


# Changed settings to the jobs that they give.
AFTER_A_CHANGE = {
    # A further sampler has no corrected motion.
    "benchmark={samplers: [dpmsolver++ 3, ddim 2]}": {"generate_motion": 1, "score_motion": 1, "make_tables": 1},
    "benchmark={samples: 2}": ONE_MODEL,
    "benchmark={gesture: {training: {steps: 60}}}": BELOW_GESTURE,
    "benchmark={position: {width: 32}}": BELOW_POSITION,
    "benchmark={autoencoder: {training: {batch: 4}}}": BELOW_AUTOENCODER,
    "benchmark={max_windows: 2}": BELOW_WINDOWS,
    "benchmark={split: test}": BELOW_WINDOWS,
    "benchmark={fingertips: {width: 32}}": BELOW_GESTURE,
    "benchmark={seed: 1}": {**TRAININGS, **methods(4), "score_motion": len(METHODS)},
    "benchmark={frame: camera}": {"prepare_training": 1, "choose_windows": 1, "train_network": 2, "train_autoencoder": 1, **methods(5)},
    "benchmark={models: [fingertips], contacts: false}": {"make_tables": 1},
    "synthetic={seed: 1}": {"synthesise_corpus": 1, **BELOW_SHARDS},
    "synthetic={pianist: 1}": {"synthesise_corpus": 1, **BELOW_SHARDS},
    # What is added is all that runs.
    "benchmark={features: [notes, logmel], decoders: [transformer, ssm]}": {
        "encode_audio": 1,
        "train_network": 6,
        **methods(6),
    },
}


@pytest.fixture(scope="module")
def done(project):
    """The project after an undisturbed run; one of the published names has marks of HTML."""
    (project.root / "config" / "test.yaml").write_text(CONFIG, encoding="utf-8")
    project.edit("resources/published/pianomotion10m.tsv", "EmoTalk", "Emo<b>Talk & Co")
    torch.manual_seed(0)
    new_speech_encoder("hubert", "tiny").network.save_pretrained(project.root / "hubert")
    project.run("benchmark", cores=1)
    return project


@pytest.fixture
def spoilt(done, copy_of, tmp_path):
    """A copy of it, for runs that fail."""
    return copy_of(done, tmp_path / "spoilt")


def no_number(text):
    raise AssertionError(f"expected JSON, found {text}")


def test_tables_have_a_row_for_every_method_and_the_published_ones(done):
    folder = done.root / EXPERIMENT
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    own = [row["method"] for row in rows if not row["published_table"]]
    assert own == [method.split("-")[0] for method in METHODS]
    variants = ["learned fingering", "contacts", "contacts"]
    assert [row["variant"] for row in rows if row["variant"]] == variants
    published = (done.root / "resources/published/pianomotion10m.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(rows) == len(own) + len(published)
    markdown, page = ((folder / f"table.{kind}").read_text(encoding="utf-8") for kind in ("md", "html"))
    for method in own:
        assert f"\n| {method} |" in markdown and f"<td>{method}</td>" in page
    assert "<td>Emo&lt;b&gt;Talk &amp; Co (published)</td>" in page and "Emo<b>" not in page
    assert not re.search(r"-0\.0+\b", markdown + page)


def test_the_truth_has_no_error_and_all_else_has(done):
    scores = {}
    for method in METHODS:
        text = (done.root / EXPERIMENT / f"scores/{method}.json").read_text(encoding="utf-8")
        scores[method] = json.loads(text, parse_constant=no_number)["scores"]
    errors = ["position_error_mm", "root_mpjpe_mm", "procrustes_mpjpe_mm", "mixture_wasserstein"]
    errors += ["frechet_motion", "frechet_pose_rad2", "frechet_joints_mm2", "released_left_pd", "released_right_wgd"]
    for name in errors:
        assert scores["ground_truth"][name]["value"] == pytest.approx(0.0, abs=1e-6)
        assert all(scores[method][name]["value"] > 1e-3 for method in METHODS[1:])
    assert scores["ground_truth"]["key_press_f1"]["value"] > 0.9 and scores["ground_truth"]["jerk_ratio"]["value"] == 1.0
    windows = json.loads((done.root / EXPERIMENT / "windows.json").read_text(encoding="utf-8"))["windows"]["valid"]
    assert scores[TWO_STAGE]["position_error_mm"]["clips"] == len(windows) > 2


def what_repeats(project):
    """Bytes of what the same settings give again: all of an experiment but states of training, and times that jobs took."""
    folder = project.root / "results"
    files = chain((folder / "synthetic").iterdir(), (project.root / EXPERIMENT).rglob("*"))
    files = [path for path in files if path.is_file() and ".training/" not in path.as_posix()]
    timed = [path for path in files if path.suffix == ".json" and path.parent.name in TIMED]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files if path not in timed}


def killed_in_training(project, target, wait_s):
    """Start a run and kill it so long after the first state of the second stage is kept; False where training had ended by then."""
    model, state = project.root / f"{GESTURE}.safetensors", project.root / f"{GESTURE}.training/state.pt"
    running, log = project.start(target, cores=1)
    end = time.monotonic() + PATIENCE_S
    while not state.exists():
        assert running.poll() is None and time.monotonic() < end, log.read_text(encoding="utf-8")
        time.sleep(0.02)
    time.sleep(wait_s)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return not model.exists()


def test_a_run_elsewhere_killed_in_training_gives_the_same_bytes(done, copy_of, tmp_path):
    expected, target = what_repeats(done), f"{EXPERIMENT}/scores/{TWO_STAGE}.json"
    # A busy machine may have made the undisturbed run slow: then training ends before a late kill, and an earlier one is tried.
    undisturbed_s = json.loads((done.root / f"{GESTURE}.json").read_text(encoding="utf-8"))["seconds"]
    for share in (0.5, 0.1, 0.0):
        project = copy_of(done, tmp_path / f"elsewhere_{share}", results=False)
        if killed_in_training(project, target, random.uniform(0.0, share * undisturbed_s)):
            break
    else:
        raise AssertionError("training ended before it could be killed")
    project.run("--unlock")
    project.run(target, cores=1)
    log = project.root / "results/logs/train_network/tiny/two_stage-notes-transformer-gesture.log"
    assert "training resumes from step" in log.read_text(encoding="utf-8")
    found = what_repeats(project)
    assert {
        f"experiments/tiny/{name}" for name in ("windows.json", f"motion/{TWO_STAGE}.parquet", f"scores/{TWO_STAGE}.json")
    } <= found.keys()
    assert sum(name.endswith(".safetensors") for name in found) == 3
    assert [name for name in found if found[name] != expected[name]] == []


@pytest.fixture(scope="module")
def plans(done):
    """Planned jobs by changed setting; "" for none."""
    return done.planned_after("benchmark", AFTER_A_CHANGE)


@pytest.mark.parametrize("change", AFTER_A_CHANGE)
def test_a_change_reruns_what_uses_it_and_below(plans, change):
    assert plans[change] == AFTER_A_CHANGE[change]


def test_a_second_run_has_nothing_to_do(plans):
    assert plans[""] == {}


@pytest.mark.parametrize(
    ("target", "change", "messages"),
    [
        (
            "benchmark",
            "benchmark={features: [hubert], weights: {hubert: weights/hubert}}",
            ["weights/hubert: expected a speech encoder's config.json", "https://huggingface.co/facebook into this folder"],
        ),
        (
            f"{EXPERIMENT}/motion/released-dpmsolverpp-3.parquet",
            "benchmark={frame: camera, weights: {released: weights/piano2pose.ckpt}}",
            ["weights/piano2pose.ckpt: expected PianoMotion10M's gesture generator", "found no file; download it again from github.com/"],
        ),
    ],
)
def test_what_is_missing_is_named(spoilt, target, change, messages):
    failed = spoilt.run(target, "--config", change, cores=1, check=False)
    assert failed.returncode != 0
    assert [message for message in messages if message not in failed.stdout] == []


def test_a_tuned_encoder_gives_features(done):
    tuned = ("--config", "benchmark={features: [notes, hubert_tuned]}")
    features = f"{EXPERIMENT}/features/hubert_tuned/features.json"
    done.run(features, *tuned, cores=1)
    assert json.loads((done.root / features).read_text(encoding="utf-8"))["width"] == {"features": 32}
    before, after = (load_speech_encoder(done.root / folder).state_dict() for folder in ("hubert", f"{EXPERIMENT}/encoders/hubert_tuned"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and not any("feature_extractor" in name for name in changed)
    assert done.planned("benchmark", *tuned) == BELOW_POSITION


def test_a_take_that_is_taken_down_leaves_the_experiment(done, copy_of, tmp_path):
    """On what a real run left: after the takedown no table holds the take, and the next run makes everything again."""
    project = copy_of(done, tmp_path / "taken")
    results = project.root / "results"

    def videos(path):
        names = set(pq.read_schema(path).names)
        table = (
            pq.read_table(path, columns=["subject", "video"]).to_pydict() if {"subject", "video"} <= names else {"subject": [], "video": []}
        )
        return set(zip(table["subject"], table["video"], strict=True))

    name = next(iter(videos(results / "synthetic" / "valid-00000.parquet")))
    holding = {path for path in results.rglob("*.parquet") if name in videos(path)}
    assert {path.parent.name for path in holding} >= {"synthetic", "motion_cache", "notes", "motion"}
    removal = remove_taken_down([Takedown(subject=name[0], video=name[1])], project.root)
    assert results / "experiments" / "tiny" in removal.paths
    assert not [path for path in results.rglob("*.parquet") if name in videos(path)]
    assert not [path for path in results.rglob("*") if path.suffix in (".safetensors", ".pt")]
    planned = project.planned("benchmark")
    assert planned == {"synthesise_corpus": 1, **BELOW_SHARDS}
