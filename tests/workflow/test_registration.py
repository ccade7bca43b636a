"""A keyboard that was not believed is used by nothing: no pose above the keys, no fingers, no key presses, no tilt by the keys."""

import json

import numpy as np
import pyarrow.parquet as pq

from handroll.keyboard.registration import RegisteredKeyboard
from handroll.keyboard.registration_check import MESSAGES, Problem


def test_a_registration_with_a_problem_is_used_by_nothing(finished, copy_of, tmp_path):
    project = copy_of(finished, tmp_path / "project")
    results = project.root / "results"
    registration = results / "keyboard/anna/one/registration.json"
    assert json.loads(registration.read_text(encoding="utf-8"))["problem"] is None
    refused = RegisteredKeyboard(Problem.HANDS_OFF_KEYS, confidence=0.58).to_dict() | {"screening": {}}
    assert refused["message"] == MESSAGES[Problem.HANDS_OFF_KEYS]
    registration.write_text(json.dumps(refused), encoding="utf-8")
    project.run("all", "overlays")

    for name in ("pose", "refined"):
        poses = pq.read_table(results / f"hands/anna/one/{name}.parquet")
        assert np.isnan(np.array(poses["joints_keyboard_mm"].to_pylist())).all() and poses["found"].to_numpy().any()
        assert poses.schema.metadata[b"focal_source"] == b"hamer" and b"keyboard_rotation_rad" not in poses.schema.metadata
    notes = pq.read_table(results / "keyboard/anna/one/notes.parquet")
    assert notes.num_rows and not notes["finger"].to_numpy().any()
    (row,) = {clip["reasons"] for clip in pq.read_table(results / "dataset/clips/anna/one.parquet").to_pylist()}
    clips = pq.read_table(results / "dataset/clips/anna/one.parquet")
    assert row == "" and np.isnan(clips["key_press_f1"].to_numpy()).all()
    shard = pq.read_table(results / "dataset/train-00000.parquet").to_pylist()
    assert shard and all(np.isnan(clip["keyboard_rotation_rad"]).all() for clip in shard)
    verdicts = json.loads((results / "screening/verdicts.json").read_text(encoding="utf-8"))
    (tilt,) = (c["scores"]["tilt_source"] for v in verdicts if v["video"] == "one" for c in v["criteria"] if c["criterion"] == "viewpoint")
    assert tilt == "hands"
