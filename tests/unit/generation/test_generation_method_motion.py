import json
from dataclasses import replace

import numpy as np
import pytest

from handroll.generation.fingering import DEFAULT_COSTS
from handroll.generation.fingering_costs_file import write_costs
from handroll.generation.method_motion import generate
from handroll.generation.motion_file import GENERATED
from handroll.metrics.scoring import score_motions
from handroll.models.feature_names import input_of
from handroll.storage import write_table
from handroll.training_data.loader import Clips, Source

METHOD = {"kind": "released", "sampler": "ddim", "steps": 2}


@pytest.fixture
def released(write, gesture_state):
    """A checkpoint of the released layout and toy size."""
    return write({"state_dict": gesture_state(dim=16, multipliers=(1,))})


@pytest.fixture
def chosen(corpus, tmp_path):
    """The set before the camera, and a file of two windows of 8 s."""
    source = Source(corpus / "shards", frame="camera")
    names = Clips(source, "valid").names[:2]
    values = json.loads((corpus / "windows.json").read_text()) | {"frames": 240, "windows": {"valid": [[*name, 30] for name in names]}}
    path = tmp_path / "windows.json"
    path.write_text(json.dumps(values))
    return source, path


def test_a_released_checkpoint_is_one_more_method(chosen, released):
    source, windows = chosen
    columns, facts = generate(METHOD, source, windows, [released], seed=3, samples=2)
    position, pose = (np.stack(columns[kind]) for kind in ("position", "pose"))
    assert position.shape == (4, 240, 6) and pose.shape == (4, 240, 96) and columns["sample"].tolist() == [0, 1, 0, 1]
    # Positions end in tanh, and gestures are kept within a turn.
    assert (np.abs(position) <= np.array([1.5, 1.5, 25.0] * 2)).all() and np.abs(pose).max() <= np.pi + 1e-5
    assert (
        np.abs(position[0] - position[2]).max() > 1e-3
        and np.array_equal(position[0], position[1])
        and np.abs(pose[0] - pose[1]).max() > 1e-3
    )
    assert facts["features"] == "hubert 64" and facts["input"] == "audio" and (facts["sampler"], facts["steps"]) == ("ddim", 2)
    assert facts["parameters"] > 0 and facts["sampling_ms"] > 0 and "training_s" not in facts

    scores = score_motions(columns, source, windows, lambda position, pose: pose.mean(axis=1))
    assert scores["released_pd"]["value"] > 0 and scores["multimodality_mm"]["value"] > 0 and "key_press_f1" not in scores


def test_methods_are_marked_with_what_they_receive_of_the_music(corpus):
    source = Source(corpus / "shards", features=corpus / "features")
    inputs = {}
    for kind in ("ground_truth", "mean_pose", "nearest"):
        _, facts = generate({"kind": kind, "features": "notes"}, source, corpus / "windows.json", [])
        inputs[kind] = facts.get("input")
    assert inputs == {"ground_truth": None, "mean_pose": None, "nearest": "notes"}
    assert [input_of(name) for name in ("notes", "logmel", "hubert_tuned")] == ["notes", "audio", "audio"]


def test_a_released_motion_does_not_depend_on_other_windows(chosen, released, tmp_path):
    source, windows = chosen
    both, _ = generate(METHOD, source, windows, [released])
    values = json.loads(windows.read_text())
    values["windows"]["valid"] = values["windows"]["valid"][:1]
    (tmp_path / "one.json").write_text(json.dumps(values))
    alone, _ = generate(METHOD, source, tmp_path / "one.json", [released])
    for kind in ("position", "pose"):
        np.testing.assert_allclose(alone[kind][0], both[kind][0], atol=1e-4)


def test_no_other_half_of_one_window(chosen):
    source, windows = chosen
    values = json.loads(windows.read_text())
    values["windows"]["valid"] = values["windows"]["valid"][:1]
    windows.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="expected at least 2 windows, found 1; use more clips"):
        generate({"kind": "other_half"}, source, windows, [])


def test_a_plan_plays_the_notes_and_a_correction_makes_a_motion_play_them(corpus, tmp_path):
    source, windows = Source(corpus / "shards"), tmp_path / "windows.json"
    values = json.loads((corpus / "windows.json").read_text())
    values["windows"]["valid"] = values["windows"]["valid"][1:2]
    windows.write_text(json.dumps(values))
    write_costs(tmp_path / "fingering.json", (DEFAULT_COSTS, replace(DEFAULT_COSTS, thumb_on_black=0.0)))
    made = {"planned": generate({"kind": "planned"}, source, windows, [])}
    made["learned"] = generate({"kind": "planned", "variant": "learned"}, source, windows, [tmp_path / "fingering.json"])
    assert made["planned"][1] == {"input": "notes"} and made["learned"][1] == {"input": "notes", "variant": "learned"}
    # A motion that is wrong by a hand's width: the same plan, moved along the keyboard.
    columns, _ = made["planned"]
    moved = columns | {"position": [position + np.float32([60.0, 0.0, 0.0] * 2) for position in columns["position"]]}
    write_table(tmp_path / "moved.parquet", GENERATED, moved, {})
    (tmp_path / "moved.json").write_text(json.dumps({"input": "audio", "training_s": 1.0}))
    made["moved"] = moved, {}
    correction = {"kind": "contacts", "of": "moved", "fits": 2, "variant": "contacts"}
    made["contacts"] = generate(correction, source, windows, [tmp_path / "moved.parquet", tmp_path / "moved.json"])
    facts = made["contacts"][1]
    assert facts["input"] == "notes" and facts["variant"] == "contacts" and facts["contacts_s_per_min"] > 0.0 and facts["notes"] > 5
    f1 = {
        name: score_motions(columns, source, windows, lambda position, pose: pose.mean(axis=1))["key_press_f1"]["value"]
        for name, (columns, _) in made.items()
    }
    assert f1["planned"] > 0.9 and f1["learned"] > 0.85 and f1["moved"] < 0.5 and f1["contacts"] > 0.85
