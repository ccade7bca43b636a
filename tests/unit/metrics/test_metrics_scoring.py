import json
from dataclasses import replace

import numpy as np
import pytest

from handroll.generation.method_motion import generate
from handroll.generation.motion_file import GENERATED
from handroll.metrics.scoring import score_motions
from handroll.metrics.tables import PLAYING, benchmark_table, write_tables
from handroll.storage import to_arrow
from handroll.training_data.loader import Clips, Source


@pytest.fixture(scope="module")
def source(corpus):
    return Source(corpus / "shards", features=corpus / "features")


@pytest.fixture(scope="module")
def truth(corpus, source):
    return generate({"kind": "ground_truth"}, source, corpus / "windows.json", [])[0]


@pytest.fixture(scope="module")
def score(corpus, source):
    """The function that scores motions, with mean pose and position of windows as features."""

    def run(motions):
        to_arrow(GENERATED, motions)
        scores = score_motions(motions, source, corpus / "windows.json", lambda position, pose: np.concatenate([position, pose], 2).mean(1))
        json.dumps(scores, allow_nan=False)
        return {name: found["value"] for name, found in scores.items()}

    return run


def changed(motions, position=lambda values: values, pose=lambda values: values):
    return motions | {"position": [position(part) for part in motions["position"]], "pose": [pose(part) for part in motions["pose"]]}


@pytest.fixture(scope="module")
def of_truth(score, truth):
    return score(truth)


def test_the_truth_has_no_error(of_truth):
    zero = (
        "position_error_mm",
        "mpjpe_mm",
        "root_mpjpe_mm",
        "procrustes_mpjpe_mm",
        "frechet_pose_rad2",
        "frechet_joints_mm2",
        "frechet_motion",
    )
    for name in (*zero, "mixture_wasserstein", "released_pd", "released_smooth"):
        assert of_truth[name] == pytest.approx(0.0, abs=1e-4), name
    assert of_truth["acceleration_ratio"] == of_truth["jerk_ratio"] == 1.0
    assert of_truth["key_press_f1"] > 0.9
    assert of_truth["diversity_mm"] == of_truth["true_diversity_mm"] and of_truth["multimodality_mm"] is None
    assert "released_fid" not in of_truth


AXIS_ERRORS = [f"{part}position_{axis}_error_mm" for part in ("", "playing_", "idle_") for axis in "xyz"]


def test_the_truth_plays_in_every_definition(of_truth):
    for name in ("height_press_precision", "height_press_recall", "height_press_f1", "frame_press_f1", "labelled_finger_share"):
        assert of_truth[name] > 0.9, name
    assert of_truth["anticipation_difference_ms"] == 0.0 and of_truth["anticipation_ms"] > 0.0
    assert of_truth["false_presses_per_min"] < 40.0 and -5.0 < of_truth["press_height_white_mm"] < of_truth["press_height_black_mm"] < 25.0
    assert all(of_truth[name] == pytest.approx(0.0, abs=1e-4) for name in AXIS_ERRORS)


def test_motion_a_second_late_plays_in_no_definition(score, truth, of_truth):
    late = score(changed(truth, *(lambda values: np.concatenate([np.repeat(values[:1], 30, axis=0), values[:-30]]),) * 2))
    for name in ("height_press_f1", "labelled_finger_share"):
        assert late[name] < 0.35, name
    assert late["frame_press_f1"] < 0.6 * of_truth["frame_press_f1"]
    assert late["false_presses_per_min"] > 3.0 * of_truth["false_presses_per_min"] and late["anticipation_difference_ms"] < -300.0
    # The heights are those of the ground truth.
    assert late["press_height_white_mm"] == of_truth["press_height_white_mm"]


def test_errors_of_position_are_reported_by_axis(score, truth):
    moved = score(changed(truth, position=lambda values: values + np.array([3.0, -5.0, 7.0, -3.0, -5.0, 7.0], np.float32)))
    for axis, error in (("x", 3.0), ("y", 5.0), ("z", 7.0)):
        for part in ("", "playing_", "idle_"):
            assert moved[f"{part}position_{axis}_error_mm"] == pytest.approx(error, abs=0.01)


def test_the_camera_frame_has_no_scores_of_playing(corpus):
    source = Source(corpus / "shards", frame="camera", features=corpus / "features")
    motions = generate({"kind": "ground_truth"}, source, corpus / "windows.json", [])[0]
    scores = score_motions(motions, source, corpus / "windows.json", lambda position, pose: np.concatenate([position, pose], 2).mean(1))
    assert "position_error_mm" in scores and not set(scores) & {metric.key for metric in PLAYING}


def test_notes_without_labels_leave_metrics_of_fingers_undefined(corpus, source, truth, monkeypatch):
    read = Clips.rows

    def unlabelled(self, number, columns):
        found = read(self, number, columns)
        return found | {"notes": [note | {"hand": "", "finger": 0} for note in found["notes"]]}

    monkeypatch.setattr(Clips, "rows", unlabelled)
    scores = score_motions(truth, source, corpus / "windows.json", lambda position, pose: np.concatenate([position, pose], 2).mean(1))
    for name in ("labelled_finger_share", "anticipation_ms", "anticipation_difference_ms", "playing_position_x_error_mm"):
        assert scores[name]["value"] is None and scores[name]["undefined"], name
    assert scores["height_press_f1"]["value"] > 0.9 and scores["frame_press_f1"]["value"] > 0.9


def test_an_offset_is_a_position_error_and_plays_other_keys(score, truth, of_truth):
    moved = score(changed(truth, position=lambda values: values + np.array([30.0, 0, 0, -30.0, 0, 0], np.float32)))
    assert moved["position_error_mm"] == pytest.approx(30.0, abs=0.01) and moved["mpjpe_mm"] == pytest.approx(30.0, abs=0.01)
    assert moved["root_mpjpe_mm"] == pytest.approx(0.0, abs=1e-3)
    assert moved["released_pd"] == pytest.approx(0.03, abs=1e-5)
    assert moved["key_press_f1"] < 0.4 * of_truth["key_press_f1"]
    assert moved["frechet_joints_mm2"] == pytest.approx(42 * 30.0**2, rel=0.01) and moved["frechet_pose_rad2"] == pytest.approx(
        0.0, abs=1e-6
    )


def test_swapped_hands_are_noticed(score, truth):
    swap = [3, 4, 5, 0, 1, 2], [*range(48, 96), *range(48)]
    swapped = score(changed(truth, lambda values: values[:, swap[0]], lambda values: values[:, swap[1]]))
    assert swapped["position_error_mm"] > 50.0 and swapped["root_mpjpe_mm"] > 5.0
    assert swapped["frechet_pose_rad2"] > 0.05 and swapped["frechet_motion"] > 1.0 and swapped["key_press_f1"] < 0.4


def test_a_frozen_motion_presses_nothing(score, truth):
    still = score(changed(truth, *(lambda values: np.broadcast_to(values[:1], values.shape),) * 2))
    assert still["acceleration_ratio"] == 0.0 and still["key_press_recall"] == 0.0 and still["key_press_f1"] == 0.0


def test_jitter_is_seen_in_acceleration(score, truth):
    rng = np.random.default_rng(0)
    shaky = score(changed(truth, pose=lambda values: values + rng.normal(0.0, 0.03, values.shape).astype(np.float32)))
    assert shaky["acceleration_ratio"] > 2.0 and shaky["jerk_ratio"] > shaky["acceleration_ratio"]


def test_samples_of_a_window_are_averaged(score, truth):
    twice = {name: np.repeat(np.asarray(values, dtype=object), 2) for name, values in truth.items() if name not in ("position", "pose")}
    twice |= {name: [part for part in truth[name] for _ in range(2)] for name in ("position", "pose")}
    twice["sample"] = np.tile([0, 1], len(truth["clip"]))
    twice["position"] = [part + 10.0 * (row % 2) * np.array([1, 0, 0, 1, 0, 0], np.float32) for row, part in enumerate(twice["position"])]
    scores = score(
        {
            name: np.array(list(values), dtype=np.int32) if name in ("clip", "first_frame", "sample") else values
            for name, values in twice.items()
        }
    )
    assert scores["position_error_mm"] == pytest.approx(5.0, abs=0.01) and scores["multimodality_mm"] == pytest.approx(10.0, abs=0.01)
    assert scores["frechet_joints_mm2"] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("frames", [0, 1, 5, 40])
def test_data_that_rarely_shows_both_hands_is_scored(corpus, source, truth, monkeypatch, frames):
    """Both hands in `frames` frames of the first window; elsewhere one hand is visible at a time."""
    read, whole = Clips.__getitem__, {}

    def hidden(self, number):
        clip = read(self, number)
        whole.setdefault(number, clip)
        visible = np.ones_like(clip.visible)
        visible[:, number % 2] = False
        if number == min(whole):
            visible[:frames] = True
        return replace(clip, visible=visible)

    monkeypatch.setattr(Clips, "__getitem__", hidden)
    scores = score_motions(truth, source, corpus / "windows.json", lambda position, pose: np.concatenate([position, pose], 2).mean(1))
    json.dumps(scores, allow_nan=False)
    assert scores["position_error_mm"]["value"] == pytest.approx(0.0, abs=1e-4)
    assert scores["mixture_wasserstein"]["value"] is None and "the metric needs 8" in scores["mixture_wasserstein"]["undefined"]
    assert (scores["frechet_pose_rad2"]["value"] is None) == ("undefined" in scores["frechet_pose_rad2"]) == (frames == 0)
    rows = benchmark_table([{"method": "ground_truth", "scores": scores}], [{}], [])
    write_tables(rows, "few", *(corpus / f"few.{kind}" for kind in ("csv", "md", "html")))
    for kind in ("md", "html"):
        assert "No value (–) for mixture Wasserstein: both hands are visible in " in (corpus / f"few.{kind}").read_text(encoding="utf-8")


def test_data_without_any_visible_hand_is_scored(corpus, source, truth, monkeypatch):
    read = Clips.__getitem__
    monkeypatch.setattr(Clips, "__getitem__", lambda self, number: replace(c := read(self, number), visible=np.zeros_like(c.visible)))
    scores = score_motions(truth, source, corpus / "windows.json", lambda position, pose: np.concatenate([position, pose], 2).mean(1))
    json.dumps(scores, allow_nan=False)
    for name in ("position_error_mm", "frechet_joints_mm2", "diversity_mm", "multimodality_mm", "jerk_ratio"):
        assert scores[name]["value"] is None and scores[name]["undefined"], name
