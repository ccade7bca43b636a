"""PianoMotion10M's settings, end to end, with weights of the released layout and toy size: what is missing is named, and all of it runs."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from support.toy_kong import write_toy_checkpoint as write_toy_kong
from support.toy_mano import synthetic_mano, write_mano_pickle
from toy_hamer import write_toy_checkpoint

TARGETS = ("all", "overlays")


@pytest.fixture(scope="module")
def project(finished, copy_of, tmp_path_factory):
    """The finished project under the paper's settings, but for thresholds that small videos do not meet."""
    made = copy_of(finished, tmp_path_factory.mktemp("paper") / "project")
    settings, small = (
        yaml.safe_load((made.root / "config" / name).read_text(encoding="utf-8")) for name in ("pianomotion10m.yaml", "test.yaml")
    )
    for section in ("screening", "clips", "dataset"):
        settings[section] = {**settings.get(section, {}), **small[section]}
    settings["sheet"], settings["splits"] = small["sheet"], {"train": 1, "valid": 0, "test": 0}
    (made.root / "config" / "test.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return made


def test_missing_weights_are_named_and_then_the_whole_workflow_runs(project):
    weights = project.root / "resources" / "weights"

    def said():
        done = project.run(*TARGETS, check=False)
        assert done.returncode != 0
        return done.stdout

    missing = said()
    assert "resources/weights/kong/note_F1=0.9677_pedal_F1=0.9186.pth" in missing and "zenodo.org/records/4034264" in missing
    write_toy_kong(weights / "kong/note_F1=0.9677_pedal_F1=0.9186.pth")
    missing = said()
    assert "resources/weights/mano/MANO_RIGHT.pkl" in missing and "https://mano.is.tue.mpg.de" in missing
    (weights / "mano").mkdir()
    write_mano_pickle(weights / "mano/MANO_RIGHT.pkl", synthetic_mano())
    missing = said()
    assert "resources/weights/hamer/hamer_ckpts/checkpoints/hamer.ckpt" in missing and "hamer_demo_data.tar.gz" in missing
    files = write_toy_checkpoint(weights / "hamer" / "hamer_ckpts", mano=synthetic_mano())
    (weights / "hamer/hamer_ckpts/checkpoints").mkdir()
    files.checkpoint.rename(weights / "hamer/hamer_ckpts/checkpoints/hamer.ckpt")
    project.run(*TARGETS)
    assert project.planned(*TARGETS) == {}

    hands = project.root / "results/hands/anna/one"
    pose = pq.read_table(hands / "pose.parquet")
    facts = {key.decode(): value.decode() for key, value in pose.schema.metadata.items()}
    assert (facts["pose_engine"], facts["pose_template"], facts["focal_source"]) == ("hamer", "MANO", "hamer")
    found = pose["found"].to_numpy()
    joints = np.array(pose["joints_m"].to_pylist())
    assert found.mean() > 0.9 and np.isfinite(joints[found]).all()
    # Under HaMeR's convention hands are over no keys.
    assert "keyboard_rotation_rad" not in facts and np.isnan(np.array(pose["joints_keyboard_mm"].to_pylist())).all()
    assert not list(hands.glob(".fit_pose*"))

    (row, *_) = pq.read_table(project.root / "results/dataset/train-00000.parquet").to_pylist()
    assert json.loads(facts["fit_pose"])["settings"]["camera"] == "hamer"
    assert row["focal_source"] == "hamer" and row["pose_engine"] == "hamer 1"
    transcribed = pq.read_schema(project.root / "results/music/anna/one/transcription/notes.parquet").metadata
    assert transcribed[b"engine"] == b"kong" and len(transcribed[b"weights_sha256"]) == 64

    # What the paper has not: its poses refined over time, by the same hand.
    over_time = "pose={temporal: {enabled: true}}"
    project.run("all", "--config", over_time)
    refined = pq.read_table(hands / "refined.parquet")
    assert refined.schema.metadata[b"temporal"] == b"True" and refined["found"] == pose["found"]
    moved_mm = 1e3 * np.linalg.norm(np.array(refined["joints_m"].to_pylist()) - joints, axis=-1)[found]
    assert np.median(moved_mm) > 0.01 and np.isfinite(moved_mm).all()
