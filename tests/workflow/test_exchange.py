"""The dataset in PianoMotion10M's layout, read as its released code reads it, and imported again."""

import json
import os

import librosa
import mido
import numpy as np
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def project(finished, copy_of, tmp_path_factory):
    """The finished project, exported, and that export imported."""
    made = copy_of(finished, tmp_path_factory.mktemp("exchange") / "project")
    made.run("export_pianomotion10m")
    made.run("import_pianomotion10m", "--config", "pianomotion10m={folder: results/export/pianomotion10m}")
    return made


def read_clips(root, split):
    """(annotation, sound, MIDI file) of each clip of a split: lines split at one space, folders listed, sound at 16 kHz."""
    for line in (root / f"{split}.txt").read_text().splitlines():
        subject, video = line.strip().split(" ")
        for name in sorted(os.listdir(root / "annotation" / subject / video)):
            stem = name.removesuffix(".json")
            values = json.loads((root / "annotation" / subject / video / name).read_text())
            sound, _ = librosa.load(root / "audio" / subject / video / f"{stem}.mp3", sr=16000)
            yield stem, values, sound, mido.MidiFile(root / "midi" / subject / f"{video}.mid")


def rows_of(folder):
    return {(row["subject"], row["video"], row["clip"]): row for row in pq.read_table(folder / "train-00000.parquet").to_pylist()}


def test_the_released_code_finds_what_it_needs(project):
    root = project.root / "results/export/pianomotion10m"
    assert list(read_clips(root, "valid")) == list(read_clips(root, "test")) == []
    clips = list(read_clips(root, "train"))
    shards = rows_of(project.root / "results/dataset")
    assert [stem for stem, *_ in clips] == [f"one_seq_{clip:04d}" for _, _, clip in sorted(shards)] and clips
    for (_, values, sound, midi), (_, row) in zip(clips, sorted(shards.items()), strict=True):
        assert isinstance(values["fps"], int) and isinstance(values["start_frame"], int) and len(values["adjust"]) == 3
        assert values["bv"] == "one" and values["start_frame"] / values["fps"] == pytest.approx(row["start_s"], abs=0.5 / values["fps"])
        left, right = np.array(values["left"]), np.array(values["right"])
        assert left.shape == right.shape == (row["n_frames"], 62)
        for hand, stored in (("left", left), ("right", right)):
            seen = np.array(row[f"{hand}_state"]) > 0
            np.testing.assert_array_equal(stored[:, 0] == 1, seen)
            assert not stored[~seen].any() and seen.any()
            rotation = np.array(row[f"{hand}_rotation_rad"]).reshape(-1, 16, 3)[seen] * ([1, -1, -1] if hand == "left" else 1)
            np.testing.assert_array_equal(stored[seen, 4:52], rotation.reshape(-1, 48))
            # The wrist, drawn by the released renderer, is where this camera sees it, but for where MANO's own wrist is.
            wrist = stored[seen, 1:4] + [0.096, 0.0, 0.0]
            wrist = wrist * ([-1, 1, 1] if hand == "left" else 1)
            drawn = 37500 * wrist[:, :2] / wrist[:, 2:]
            joints = np.array(row[f"{hand}_joints_m"]).reshape(-1, 21, 3)[seen, 0]
            flat = joints[:, :2] / joints[:, 2:]
            flat = flat * (1 + row["k1"] * (flat**2).sum(axis=1, keepdims=True))
            off_centre = np.array(row["centre_px"]) - [row["width_px"] / 2, row["height_px"] / 2]
            np.testing.assert_allclose(drawn, 1920 / row["width_px"] * (row["focal_px"] * flat + off_centre), atol=0.05)
        assert abs(len(sound) / 16000 - (row["end_s"] - row["start_s"])) < 0.01 and np.abs(sound).max() > 1e-3
        tempo, notes = midi.tracks
        assert tempo[0].type == "set_tempo" and not any(message.is_meta for message in notes[:-1])
        assert sum(message.type == "note_on" for message in notes) >= len(row["notes"]) > 0


def test_what_was_exported_comes_back_as_shards(project):
    assert project.planned("export_pianomotion10m") == {}
    ours, theirs = (rows_of(project.root / folder) for folder in ("results/dataset", "results/pianomotion10m"))
    assert ours.keys() == theirs.keys()
    for name, row in ours.items():
        for hand in ("left", "right"):
            np.testing.assert_array_equal(row[f"{hand}_rotation_rad"], theirs[name][f"{hand}_rotation_rad"])
        assert [note["pitch"] for note in row["notes"]] == [note["pitch"] for note in theirs[name]["notes"]]
    report = json.loads((project.root / "results/pianomotion10m/import.json").read_text())
    assert report["clips"]["train"] == len(ours) and report["left_out"] == {"counts": {}, "clips": []}
