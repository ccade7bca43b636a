import io
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from handroll.camera import Extrinsics
from handroll.dataset.shards import survey_shards
from handroll.hand.kinematics import hand_joints
from handroll.hand.skeleton import HANDS
from handroll.metrics.key_press import key_press_scores
from handroll.provenance import file_sha256
from handroll.simulator.corpus import Recipe, assign_splits, main, take_rows, write_corpus
from handroll.simulator.pianists import pianist_of
from handroll.storage import from_arrow
from handroll.tables import SHARD, State

RECIPE = Recipe(seed=3, take_s=30.0, length_s=12.0, hop_s=9.0)
HOURS = 4 * 30.0 / 3600.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder, HOURS, RECIPE, row_group_rows=2)
    return folder


@pytest.fixture(scope="module")
def clips(folder):
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return from_arrow(SHARD, pa.concat_tables([table.replace_schema_metadata() for table in tables]))


def test_takes_are_dealt_and_cut(folder, clips):
    manifest = json.loads((folder / "shards.json").read_text(encoding="utf-8"))
    assert {shard["split"]: shard["rows"] for shard in manifest["shards"]} == {"train": 6, "valid": 3, "test": 3}
    split_of = dict(zip(clips["video"], clips["split"], strict=True))
    assert Counter(split_of.values()) == {"train": 2, "valid": 1, "test": 1}
    np.testing.assert_array_equal(clips["start_s"].reshape(4, 3), np.tile([0.0, 9.0, 18.0], (4, 1)))
    assert set(clips["n_frames"]) == {360} and set(clips["licence"]) == {"CC0-1.0"} and set(clips["permission"]) == {"granted"}
    assert survey_shards(folder, manifest)["pitch"].sum() > 300


def test_joints_are_where_pose_and_extrinsics_say(clips):
    for row in range(len(clips["video"])):
        over = Extrinsics(clips["keyboard_rotation_rad"][row], clips["keyboard_translation_mm"][row])
        assert over.rotation[2, 2] < -np.cos(np.radians(13.0)), "from above"
        for hand in HANDS:
            joints_mm = 1e3 * clips[f"{hand}_joints_m"][row].astype(float)
            seen = clips[f"{hand}_state"][row] == State.OBSERVED
            assert np.array_equal(seen, np.isfinite(joints_mm).all(axis=(1, 2)))
            np.testing.assert_allclose(over.to_keyboard(joints_mm)[seen], clips[f"{hand}_joints_keyboard_mm"][row][seen], atol=0.01)
            pose = clips[f"{hand}_rotation_rad"][row][seen].reshape(-1, 48), clips[f"{hand}_translation_m"][row][seen]
            again_mm = 1e3 * hand_joints(*pose, clips[f"{hand}_bone_scale"][row], hand)
            np.testing.assert_allclose(again_mm, joints_mm[seen], atol=0.01)
            assert joints_mm[seen][..., 2].min() > 700


def test_the_motion_plays_the_notes(clips):
    assert np.mean(clips["key_press_f1"]) > 0.93
    for row, notes in enumerate(clips["notes"]):
        joints_mm = np.stack([clips[f"{hand}_joints_keyboard_mm"][row] for hand in HANDS], axis=1)
        columns = {name: np.array([note[name] for note in notes]) for name in ("onset_s", "pitch")}
        late = columns | {"onset_s": columns["onset_s"] + 1.0}
        right, wrong = (key_press_scores(played, clips["time_s"][row], joints_mm)["key_press_f1"] for played in (columns, late))
        assert right > 0.9 > 0.5 > wrong
        known = [note for note in notes if np.isfinite(note["landing_error_mm"])]
        assert len(known) > 0.8 * len(notes) and np.mean([note["landing_error_mm"] for note in known]) < 0.5
        assert {note["hand"] for note in notes} <= set(HANDS) and {note["finger"] for note in notes} <= {1, 2, 3, 4, 5}
        assert {note["finger_confidence"] for note in notes} == {1.0}


def test_sound_has_the_clips_length_and_begins_with_its_notes(clips):
    for row, audio in enumerate(clips["audio"]):
        samples, rate_hz = soundfile.read(io.BytesIO(audio["bytes"]))
        assert rate_hz == 16000 and samples.shape == (12 * 16000,)
        first = clips["notes"][row][0]["onset_s"]
        if clips["start_s"][row] == 0.0:
            assert np.abs(samples[: int((first - 0.01) * rate_hz)]).max() < 1e-3
            assert np.abs(samples[int(first * rate_hz) : int((first + 0.1) * rate_hz)]).max() > 0.01


def test_processes_do_not_change_a_byte(folder, tmp_path):
    write_corpus(tmp_path, HOURS, RECIPE, jobs=2, row_group_rows=2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [path.name for path in sorted(folder.iterdir())]
    for path in folder.iterdir():
        assert file_sha256(path) == file_sha256(tmp_path / path.name)


def test_another_seed_and_no_sound():
    still = Recipe(seed=3, take_s=30.0, audio_rate_hz=None)
    row, other = take_rows(still, (0, "train"))[0], take_rows(Recipe(seed=4, take_s=30.0, audio_rate_hz=None), (0, "train"))[0]
    assert row["audio"] is None and row["left_bone_scale"] != other["left_bone_scale"]
    assert [note["pitch"] for note in row["notes"]] != [note["pitch"] for note in other["notes"]]


def test_a_random_pianist_plays_music_of_its_own_with_its_hands():
    row, standard = (take_rows(Recipe(seed=3, take_s=30.0, audio_rate_hz=None, pianist=number), (0, "train"))[0] for number in (2, 0))
    pianist = pianist_of(2)
    assert (standard["subject"], row["subject"]) == ("synthetic", "synthetic-2")
    assert row["left_bone_scale"] == row["right_bone_scale"] == np.float32(pianist.hand_size) != standard["left_bone_scale"]
    assert [note["pitch"] for note in row["notes"]] != [note["pitch"] for note in standard["notes"]]
    assert row["key_press_f1"] > 0.95


def test_small_corpora_have_every_split():
    shares = {"train": 0.8, "valid": 0.1, "test": 0.1}
    for count, expected in ((1, (1, 1, 1)), (6, (4, 1, 1)), (50, (40, 5, 5))):
        assert tuple(Counter(assign_splits(count, shares).values())[split] for split in shares) == expected
    assert set(assign_splits(2, {"train": 1.0}).values()) == {"train"}
    with pytest.raises(ValueError, match="shares"):
        assign_splits(5, {"train": 0.0})


def test_wrong_arguments_are_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match=r"at least 30.0 s"):
        Recipe(seed=0, take_s=25.0)
    with pytest.raises(ValueError, match="pianist: expected 0 .* found -1"):
        Recipe(seed=0, pianist=-1)
    with pytest.raises(ValueError, match="hours above 0"):
        write_corpus(tmp_path, 0.0, RECIPE)
    with pytest.raises(SystemExit):
        main(["--hours", "-1", "--out", str(tmp_path)])
    assert "found -1.0 hours" in capsys.readouterr().err
