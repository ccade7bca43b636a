"""Correction of a video's motion with its music, and the script of rule `correct_motion`."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from handroll.camera import extrinsics_from_metadata
from handroll.generation.feature_encoders import encoder_of
from handroll.generation.pianist import perform
from handroll.generation.recording import encode_recording
from handroll.generation.video_correction import Uncorrected, correct_video, video_recording
from handroll.hand.kinematics import open_hand_joints
from handroll.models.checkpoint import CheckpointError
from handroll.provenance import file_sha256
from handroll.rendering.scene import random_scene
from handroll.simulator.corpus import motion_of, view_extrinsics
from handroll.simulator.score import random_score
from handroll.storage import read_table, write_json, write_table
from handroll.tables import FINGERED_NOTES, MOTION, PEDAL, State, by_frame, by_row
from support.noisy_project import labelled
from support.untrained_corrector import RATE_HZ, write_corrector

SCRIPT = Path(__file__).resolve().parents[3] / "workflow" / "scripts" / "correct_motion.py"
LEFT, RIGHT = 0, 1


@pytest.fixture(scope="module")
def performed():
    """Six seconds of motion, its extrinsics, and its notes with labels; the right hand is hidden for half a second."""
    scene, score = random_scene(3), random_score(3, 8.0)
    performance = perform(score, 3, 30.0)
    extrinsics = view_extrinsics(scene.view)
    motion = {name: values[:180] for name, values in motion_of(performance, scene, extrinsics).items()}
    motion["state"][60:75, RIGHT] = State.HIDDEN
    for values in motion.values():
        if values.dtype == np.float32:
            values[60:75, RIGHT] = np.nan
    return motion, extrinsics, labelled(performance.notes, performance.note_hand, performance.note_finger)


def apply(performed, path, **changed):
    motion, extrinsics, notes = performed
    given = {"extrinsics": extrinsics, "notes": notes, "audio": None} | changed
    music = video_recording(6.0, given["notes"], PEDAL.empty(), given["audio"])
    return correct_video(motion, music, path, given["extrinsics"], open_hand_joints, 1.0)


def test_the_motion_is_corrected_with_the_notes_of_the_video(performed, tmp_path):
    motion, _, notes = performed
    path = write_corrector(tmp_path / "mapnet.safetensors", std=0.3)
    made, facts = apply(performed, path)
    assert facts == {
        "corrector_sha256": file_sha256(path),
        "corrector_features": "notes",
        "counts": {
            "left": {"observed": 180, "interpolated": 0, "hidden": 0, "filled": 0},
            "right": {"observed": 165, "interpolated": 15, "hidden": 0, "filled": 15},
        },
    }
    moved = np.linalg.norm(made["joints_m"] - motion["joints_m"], axis=-1)
    assert np.nanmax(moved) > 1e-3
    higher, _ = apply(performed, path, notes=notes | {"pitch": notes["pitch"] + 1})
    assert np.abs(higher["joints_m"] - made["joints_m"]).max() > 1e-4


def test_labels_and_audio_delay_reach_the_features(performed, tmp_path):
    _, _, notes = performed
    fingers = encoder_of("fingering", RATE_HZ)
    given, reversed_ = (
        encode_recording(video_recording(6.0, given, PEDAL.empty()), fingers, RATE_HZ, 180)
        for given in (notes, notes | {"hand": notes["hand"][::-1], "finger": notes["finger"][::-1]})
    )
    assert not np.allclose(given, reversed_)
    audio = np.random.default_rng(0).normal(size=48000).astype(np.float32) / 10
    for name, samples in (("early", audio), ("late", np.concatenate([np.zeros(8000, np.float32), audio]))):
        soundfile.write(tmp_path / f"{name}.flac", samples, 16000)
    encoder = encoder_of("logmel", RATE_HZ)
    early, late = (
        encode_recording(video_recording(2.0, notes, PEDAL.empty(), tmp_path / f"{name}.flac", delay), encoder, RATE_HZ, 60)
        for name, delay in (("early", 0.0), ("late", 0.5))
    )
    np.testing.assert_allclose(early[5:], late[5:], atol=0.02)


def test_a_motion_that_cannot_be_corrected_stays_and_says_why(performed, tmp_path):
    by_notes, by_audio = (write_corrector(tmp_path / f"{name}.safetensors", name, std=0.3) for name in ("notes", "logmel"))
    silent = {name: values[:0] for name, values in performed[2].items()}
    for path, changed, reason in (
        (by_notes, {"extrinsics": None}, Uncorrected.NO_KEYBOARD),
        (by_notes, {"notes": silent}, Uncorrected.NO_NOTES),
        (by_audio, {}, Uncorrected.NO_AUDIO),
    ):
        made, facts = apply(performed, path, **changed)
        assert facts == {"uncorrected": reason} and made is performed[0]


def test_an_unsuitable_checkpoint_is_an_error(performed, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a trained MAPnet.*docs/how-to/correct-motion.md.*motion.correction: none"):
        apply(performed, tmp_path / "gone.safetensors")
    with pytest.raises(CheckpointError, match="expected a model with one of the features logmel, .*, found hubert"):
        apply(performed, write_corrector(tmp_path / "hubert.safetensors", "hubert"))
    with pytest.raises(CheckpointError, match="found a model trained with handroll notes 0"):
        apply(performed, write_corrector(tmp_path / "old.safetensors", encoder="handroll notes 0"))


@pytest.mark.parametrize("registered", [True, False])
def test_the_script_writes_what_was_done(performed, tmp_path, registered):
    motion, extrinsics, notes = performed
    write_corrector(tmp_path / "mapnet.safetensors", std=0.3)
    facts = {"pose_engine": "landmarks"} | (extrinsics.to_metadata() if registered else {})
    write_table(tmp_path / "motion.parquet", MOTION, by_row(motion), facts)
    write_table(tmp_path / "notes.parquet", FINGERED_NOTES, notes, {"audio_delay_s": "0.1"})
    write_table(tmp_path / "pedal.parquet", PEDAL, PEDAL.empty())
    write_json(tmp_path / "survey.json", {"segments": [[0.0, 2.2], [2.2, 6.0]]})
    (tmp_path / "audio.flac").touch()
    files = {name: tmp_path / name for name in ("motion.parquet", "notes.parquet", "pedal.parquet", "survey.json", "audio.flac")}
    settings = {"checkpoint": str(tmp_path / "mapnet.safetensors"), "max_gap_s": 2.0}
    job = SimpleNamespace(
        rule="correct_motion",
        wildcards=["anna", "one"],
        log=[tmp_path / "log"],
        input=SimpleNamespace(**{name.split(".")[0]: path for name, path in files.items()}),
        output=SimpleNamespace(motion=tmp_path / "corrected.parquet"),
        params=SimpleNamespace(code="1", hand_model={}, settings=settings),
    )
    runpy.run_path(str(SCRIPT))["main"](job)
    columns, about = read_table(tmp_path / "corrected.parquet", MOTION)
    made, log = by_frame(columns), (tmp_path / "log").read_text(encoding="utf-8")
    assert json.loads(about["correct_motion"])["settings"] == {"max_gap_s": 2.0}
    # The cut at 2.2 s is inside the gap.
    np.testing.assert_array_equal(made["state"], motion["state"])
    if registered:
        assert extrinsics_from_metadata(about) is not None
        assert about["corrector_sha256"] == file_sha256(tmp_path / "mapnet.safetensors")
        counts = json.loads(about["corrector_counts"])
        assert counts["right"] == {"observed": 165, "interpolated": 0, "hidden": 15, "filled": 0}
        assert "165 observed" in log and np.nanmax(np.abs(made["joints_m"] - motion["joints_m"])) > 1e-3
    else:
        assert about["uncorrected"] == Uncorrected.NO_KEYBOARD and Uncorrected.NO_KEYBOARD in log
        np.testing.assert_array_equal(made["joints_m"], motion["joints_m"])
