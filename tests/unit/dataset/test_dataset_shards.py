import hashlib
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from handroll.camera import Extrinsics
from handroll.dataset.shards import read_rows, survey_shards, write_rows, write_shards
from handroll.storage import SchemaError, read_table, write_json
from handroll.tables import CLIPS, SCHEMA_VERSION, SHARD


def read_all(folder, manifest):
    return [read_table(folder / shard["name"], SHARD)[0] for shard in manifest["shards"]]


def test_each_split_has_a_shard_and_the_manifest_tells_the_truth(dataset):
    folder = dataset / "results" / "dataset"
    manifest = json.loads((folder / "shards.json").read_text())
    assert [(s["name"], s["rows"]) for s in manifest["shards"]] == [
        ("train-00000.parquet", 2),
        ("valid-00000.parquet", 0),
        ("test-00000.parquet", 2),
    ]
    for shard in manifest["shards"]:
        data = (folder / shard["name"]).read_bytes()
        assert len(data) == shard["bytes"] and hashlib.sha256(data).hexdigest() == shard["sha256"]
        assert pq.read_schema(folder / shard["name"]).metadata[b"handroll_schema_version"].decode() == SCHEMA_VERSION


def test_a_row_contains_the_window_of_its_video(dataset, records):
    rows, _ = read_table(dataset / "results" / "dataset" / "train-00000.parquet", SHARD)
    motion = records["ann", "long"].motion
    for row, frames in enumerate((slice(0, 900), slice(720, 1620))):
        assert rows["n_frames"][row] == 900 and rows["start_frame"][row] == frames.start
        for side, hand in enumerate(("left", "right")):
            for name in ("state", "rotation_rad", "translation_m", "joints_m", "joints_keyboard_mm", "residual_px"):
                np.testing.assert_array_equal(rows[f"{hand}_{name}"][row], motion[name][frames, side])
            np.testing.assert_array_equal(rows[f"{hand}_betas"][row], motion["betas"][-1, side])
            assert rows[f"{hand}_bone_scale"][row] == motion["bone_scale"][-1, side]
        np.testing.assert_allclose(rows["time_s"][row], np.arange(900) / 30.0, atol=1e-9)
    assert rows["left_rotation_rad"][0].shape == (900, 16, 3)
    assert np.isnan(rows["left_joints_m"][0][100:200]).all()
    assert json.loads(rows["provenance"][0]) == {"handroll": "1", "settings": {"length_s": 30.0}}


def test_the_camera_and_its_pose_relative_to_the_keyboard(dataset):
    ann, _ = read_table(dataset / "results" / "dataset" / "train-00000.parquet", SHARD)
    bob, _ = read_table(dataset / "results" / "dataset" / "test-00000.parquet", SHARD)
    assert ann["focal_source"].tolist() == ["keyboard"] * 2 and ann["k1"].tolist() == [-0.03] * 2 and ann["focal_px"][0] == 1480.0
    np.testing.assert_array_equal(ann["centre_px"], [[965.0, 536.0]] * 2)
    over = Extrinsics(ann["keyboard_rotation_rad"][0], ann["keyboard_translation_mm"][0])
    for hand in ("left", "right"):
        np.testing.assert_allclose(over.to_camera(ann[f"{hand}_joints_keyboard_mm"][1]), 1e3 * ann[f"{hand}_joints_m"][1], atol=1e-3)
        assert np.isnan(np.concatenate(bob[f"{hand}_joints_keyboard_mm"])).all()
    assert bob["k1"].tolist() == [0.0] * 2 and bob["centre_px"].tolist() == [[960.0, 540.0]] * 2
    assert np.isnan(bob["keyboard_rotation_rad"]).all() and np.isnan(bob["keyboard_translation_mm"]).all()


def test_fingers_and_key_press_scores(dataset, records):
    ann, _ = read_table(dataset / "results" / "dataset" / "train-00000.parquet", SHARD)
    bob, _ = read_table(dataset / "results" / "dataset" / "test-00000.parquet", SHARD)
    notes = ann["notes"][1]
    assert [n["finger"] for n in notes[:7]] == [0, 1, 2, 3, 4, 5, 0]
    assert [n["hand"] for n in notes[:4]] == ["", "right", "left", "right"]
    assert notes[3]["finger_confidence"] == pytest.approx(records["ann", "long"].notes["finger_confidence"][51])
    # Not a time: it must not be shifted to the clip's start.
    assert np.isnan(notes[0]["landing_error_mm"]) and notes[1]["landing_error_mm"] == 1.5
    np.testing.assert_allclose(ann["key_press_recall"], [0.0, 24.0 / 54.0], rtol=1e-6)
    np.testing.assert_allclose(ann["key_press_f1"], [0.847] * 2, rtol=1e-6)
    np.testing.assert_allclose(ann["landing_error_mm"], [2.5] * 2)
    for name in ("key_press_precision", "key_press_recall", "key_press_f1", "landing_error_mm"):
        assert np.isnan(bob[name]).all()


def test_notes_and_pedal_count_from_the_start_of_the_clip(dataset):
    rows, _ = read_table(dataset / "results" / "dataset" / "train-00000.parquet", SHARD)
    notes = rows["notes"][1]
    assert [n["onset_s"] for n in notes] == pytest.approx(np.arange(0, 30, 0.5))
    assert notes[-1]["sounding_offset_s"] == pytest.approx(32.5)
    assert notes[0]["pitch"] == 40 + 48 % 40
    # A press that is held across the clip's start is kept whole; one before it is not.
    assert rows["pedal"][0] == [{"onset_s": 10.0, "offset_s": 12.0}, {"onset_s": 23.0, "offset_s": 26.0}]
    assert rows["pedal"][1] == [{"onset_s": -1.0, "offset_s": 2.0}]


def test_the_audio_has_the_samples_of_the_video(dataset, records):
    rows, _ = read_table(dataset / "results" / "dataset" / "test-00000.parquet", SHARD)
    source, rate_hz = soundfile.read(records["bob", "long"].audio_path, dtype="int16")
    samples, clip_rate_hz = soundfile.read(io.BytesIO(rows["audio"][1]["bytes"]), dtype="int16")
    assert clip_rate_hz == rate_hz
    np.testing.assert_array_equal(samples, source[24 * rate_hz : 54 * rate_hz])
    assert rows["audio"][1]["path"] == "bob_long_00001.flac"


def test_the_same_clips_give_the_same_bytes_in_any_order(tmp_path, dataset, records, clips, splits):
    shuffled = {name: values[::-1] for name, values in clips.items()}
    manifest = write_shards(shuffled, splits, lambda *name: records[name], tmp_path, row_group_rows=2)
    assert manifest == json.loads((dataset / "results" / "dataset" / "shards.json").read_text())


def test_shards_are_closed_at_their_size_and_old_ones_go(tmp_path, records, clips, splits):
    everything = {**splits, "split": np.full(len(splits["split"]), "train", dtype=object)}
    for name in ("train-00007.parquet", ".test-00000.parquet.node_123_0123abcd.part.parquet"):
        (tmp_path / name).write_bytes(b"old")
    (tmp_path / "splits.parquet").write_bytes(b"kept")
    opened = []

    def open_video(*name):
        opened.append(name)
        return records[name]

    manifest = write_shards(clips, everything, open_video, tmp_path, target_bytes=1, row_group_rows=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*(s["name"] for s in manifest["shards"]), "shards.json", "splits.parquet"])
    assert [s["rows"] for s in manifest["shards"]] == [1, 1, 1, 1, 0, 0]
    assert opened == [("ann", "long"), ("bob", "long")]
    names = [(*map(str, (t["subject"][0], t["video"][0])), int(t["clip"][0])) for t in read_all(tmp_path, manifest)[:4]]
    assert names == [("ann", "long", 0), ("ann", "long", 1), ("bob", "long", 0), ("bob", "long", 1)]
    manifest = write_shards(clips, everything, open_video, tmp_path, row_group_rows=3)
    assert [s["rows"] for s in manifest["shards"]] == [4, 0, 0]
    with pq.ParquetFile(tmp_path / "train-00000.parquet") as shard:
        assert [shard.metadata.row_group(i).num_rows for i in range(shard.num_row_groups)] == [3, 1]


def test_no_clips_give_three_empty_shards(tmp_path, splits):
    manifest = write_shards(CLIPS.empty(), splits, None, tmp_path)
    assert [s["rows"] for s in manifest["shards"]] == [0, 0, 0]
    assert all(len(table["clip"]) == 0 for table in read_all(tmp_path, manifest))
    assert survey_shards(tmp_path, manifest)["pitch"].sum() == 0


def test_a_clip_without_split_is_an_error(tmp_path, records, clips, splits):
    fewer = {name: values[1:] for name, values in splits.items()}
    with pytest.raises(ValueError, match="ann/long has accepted clips but no split"):
        write_shards(clips, fewer, lambda *name: records[name], tmp_path)


def test_a_note_in_two_clips_counts_once(dataset):
    folder = dataset / "results" / "dataset"
    survey = survey_shards(folder, json.loads((folder / "shards.json").read_text()))
    # Two videos, of each the first 54 s, two notes a second.
    assert survey["pitch"].sum() == survey["velocity"].sum() == 2 * 108
    assert survey["pitch"][40] == 2 * 3
    assert survey["values"]["licence"] == {"": 2, "CC-BY-4.0": 2}
    assert survey["values"]["detector"] == {"finder 1": 4}


def test_frames_are_stored_as_lists_of_fixed_lists(dataset):
    found = pq.read_schema(dataset / "results" / "dataset" / "train-00000.parquet")
    assert found.field("left_rotation_rad").type == pa.list_(pa.list_(pa.float32(), 48))
    assert found.field("right_joints_m").type == pa.list_(pa.list_(pa.float32(), 63))
    assert found.field("left_state").type == pa.list_(pa.int8())


def test_rows_that_are_read_and_written_again_give_the_same_bytes(tmp_path, dataset):
    folder = dataset / "results" / "dataset"
    rows = list(read_rows(folder))
    assert [(row["subject"], row["clip"], row["split"]) for row in rows] == [
        *(("ann", clip, "train") for clip in (0, 1)),
        *(("bob", clip, "test") for clip in (0, 1)),
    ]
    assert rows[0]["left_rotation_rad"].shape == (900, 16, 3) and rows[1]["notes"][0]["onset_s"] == 0.0
    by_split = {split: [row for row in rows if row["split"] == split] for split in ("train", "valid", "test")}
    assert write_rows(by_split, tmp_path, row_group_rows=2) == json.loads((folder / "shards.json").read_text())


def test_a_manifest_with_another_path_is_an_error(tmp_path):
    write_json(tmp_path / "shards.json", {"shards": [{"name": "../train-00000.parquet"}]})
    with pytest.raises(SchemaError, match=r"expected names of shards such as train-00000.parquet, found '../train-00000.parquet'"):
        list(read_rows(tmp_path))
