"""Folders in PianoMotion10M's layout: imported, exported, and imported again."""

import io
import json
import logging
from collections import Counter

import numpy as np
import pytest
import soundfile

from handroll.dataset.shards import read_rows, write_rows
from handroll.exchange.pianomotion10m import LeftOut
from handroll.exchange.pianomotion10m_export import export_tree
from handroll.exchange.pianomotion10m_import import guess_mean_pose, import_tree
from handroll.hand.mano import mano_joints
from handroll.music.midi import read_midi, write_midi
from handroll.music.notes import note_table, pedal_table
from support.toy_mano import synthetic_mano

MODEL = synthetic_mano()
LISTS = {"train": [("100", "BV1a"), ("100", "BV2b")], "valid": [], "test": [("200", "BV3c")]}
FRAMES = {"BV1a": 300, "BV2b": 250, "BV3c": 600, "BVtwo": 20, "BVnone": 20}
FPS = {"BV1a": 30, "BV2b": 25, "BV3c": 60, "BVtwo": 30, "BVnone": 30}
ADJUST = [0.125, -0.25, 3.5]


def mp3(seconds, pitch_hz):
    data = io.BytesIO()
    samples = 0.3 * np.sin(2 * np.pi * pitch_hz * np.arange(round(22050 * seconds)) / 22050)
    soundfile.write(data, samples, 22050, format="MP3")
    return data.getvalue()


def stored(frames, seed, fingers_rad=0.0):
    """Rows (frame, 62) as JSON has them: float32 values, some frames hidden."""
    rng = np.random.default_rng(seed)
    rows = np.cumsum(rng.normal(0.0, 0.02, (frames, 62)), axis=0).astype(np.float32)
    rows[:, 0], rows[:, 3], rows[:, 52:] = 1.0, rows[:, 3] + 32.0, rows[-1, 52:]
    rows[:, 7:52] += np.float32(fingers_rad)
    rows[20:40] = 0.0
    return rows.astype(np.float64).tolist()


def write_clip(root, subject, video, clip, **changes):
    """A clip of 10 s or so, 8 s after the one before."""
    frames, fps = FRAMES[video], FPS[video]
    seed = clip + 7 * len(video) + ord(subject[0])
    values = {"bv": video, "fps": fps, "start_frame": clip * 8 * fps, "adjust": ADJUST}
    values |= {"left": stored(frames, seed), "right": stored(frames, seed + 1)} | changes
    stem = f"{subject}/{video}/{video}_seq_{clip:04d}"
    for folder, ending, data in (("annotation", "json", json.dumps(values).encode()), ("audio", "mp3", mp3(frames / fps, 220 + clip))):
        path = root / folder / f"{stem}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_music(path, seconds, seed):
    """Notes all over the clips' time, on whole ticks, some held from one clip into the next, and a pedal press across clips."""
    rng = np.random.default_rng(seed)
    onset_s = np.sort(rng.integers(0, seconds * 960, 40)) / 960
    pedal = pedal_table([1.0, 7.5], [2.0, 8.5])
    write_midi(path, note_table(onset_s, onset_s + 0.5, rng.integers(21, 109, 40), rng.integers(1, 128, 40), pedal), pedal)


def write_lists(root, lists):
    for split, videos in lists.items():
        (root / f"{split}.txt").write_text("".join(f"{subject} {video}\n" for subject, video in videos))


def make_tree(root):
    for subject, video in (name for names in LISTS.values() for name in names):
        for clip in (0, 1):
            write_clip(root, subject, video, clip)
        write_music(root / "midi" / subject / f"{video}.mid", 8 + FRAMES[video] / FPS[video], int(subject))
    write_lists(root, LISTS)
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="module")
def imported(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    return folder, *import_tree(tree, folder)


def files_of(root, *folders):
    return {str(path.relative_to(root)): path for folder in folders for path in sorted((root / folder).rglob("*.*"))}


def same(first, second):
    """Whether two trees hold the same files of the same bytes."""
    names = sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(second)) for path in second.rglob("*") if path.is_file())
    return all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


@pytest.mark.parametrize("model", [None, MODEL], ids=["open hand", "MANO"])
def test_what_is_imported_is_exported_again_as_it_was(tree, tmp_path, model):
    _, report = import_tree(tree, tmp_path / "shards", model=model)
    made = export_tree(tmp_path / "shards", tmp_path / "again", model=model)
    assert report["clips"] == made["clips"] == {"train": 4, "valid": 0, "test": 2}
    assert report["videos"] == made["videos"] == {"train": 2, "valid": 0, "test": 1}
    assert report["left_out"] == {"counts": {}, "clips": []} and made["left_out"] == [] and made["resampled"] == 0
    assert made["licences"] == {"CC-BY-NC-4.0": 6}
    given, found = (files_of(root, "annotation", "audio", "midi") for root in (tree, tmp_path / "again"))
    assert given.keys() == found.keys() and len(given) == 15
    for name, path in given.items():
        if name.endswith(".json"):
            assert json.loads(path.read_text()) == json.loads(found[name].read_text())
        elif name.endswith(".mp3"):
            assert path.read_bytes() == found[name].read_bytes()
        else:
            for table, again in zip(read_midi(path), read_midi(found[name]), strict=True):
                for column, values in table.items():
                    np.testing.assert_allclose(again[column], values, atol=1e-9)
    for split in LISTS:
        assert (tree / f"{split}.txt").read_bytes() == (tmp_path / "again" / f"{split}.txt").read_bytes()
    # A second round changes no byte.
    import_tree(tmp_path / "again", tmp_path / "shards2", model=model)
    export_tree(tmp_path / "shards2", tmp_path / "third", model=model)
    assert same(tmp_path / "again", tmp_path / "third")


def test_shards_of_the_same_tree_are_the_same(tree, imported, tmp_path):
    manifest, report = import_tree(tree, tmp_path, row_group_rows=8)
    assert (manifest, report) == imported[1:]


def test_rows_say_where_they_come_from(imported):
    rows = list(read_rows(imported[0]))
    assert [(row["video"], row["clip"]) for row in rows] == [(v, c) for v in ("BV1a", "BV2b", "BV3c") for c in (0, 1)]
    row = rows[3]
    assert (row["fps"], row["start_s"], row["start_frame"], row["end_s"], row["n_frames"]) == (25.0, 8.0, 200, 18.0, 250)
    np.testing.assert_array_equal(row["time_s"], np.arange(250) / 25)
    assert (row["licence"], row["permission"]) == ("CC-BY-NC-4.0", "unknown") and row["source"].endswith("/BV2b")
    assert row["audio"]["path"] == "100_BV2b_00001.mp3" and row["audio"]["bytes"][:1] == b"\xff"
    facts = json.loads(row["provenance"])["pianomotion10m"]
    assert facts == {"adjust": ADJUST, "bv": "BV2b", "joints": "open hand", "mean_pose": "absolute"}
    # A note struck in both clips is in both, counted from each one's start.
    first, second = ({(round(n["onset_s"] + r["start_s"], 6), n["pitch"]) for n in r["notes"]} for r in rows[2:4])
    assert first & second and all(note["finger"] == 0 and note["hand"] == "" for note in row["notes"])
    assert row["pedal"][0]["onset_s"] == pytest.approx(-0.5)


def test_joints_are_manos_where_it_is_given(tree, tmp_path):
    import_tree(tree, tmp_path, subjects=["200"], model=MODEL)
    row, _ = read_rows(tmp_path)
    pose = row["left_rotation_rad"].reshape(-1, 48), row["left_translation_m"], np.tile(row["left_betas"], (600, 1))
    np.testing.assert_allclose(row["left_joints_m"], mano_joints(MODEL, *pose, "left"), atol=1e-5)
    assert json.loads(row["provenance"])["pianomotion10m"]["joints"].startswith("MANO")


def test_subjects_may_be_chosen(tree, tmp_path):
    _, report = import_tree(tree, tmp_path, subjects=["200", "300"])
    assert report["clips"] == {"train": 0, "valid": 0, "test": 2}
    assert [(e["subject"], e["reason"]) for e in report["left_out"]["clips"]] == [("300", "no_clips")]


def test_bad_clips_are_listed_with_their_reason_and_the_rest_is_imported(tmp_path):
    tree = make_tree(tmp_path / "released")
    long = FRAMES["BV1a"]
    write_clip(tree, "100", "BV1a", 2, right=stored(long - 1, 0))
    write_clip(tree, "100", "BV1a", 3, left=[row[:-1] for row in stored(long, 0)])
    write_clip(tree, "100", "BV1a", 4, left=[[1.0] + [float("nan")] * 61] * long)
    for clip in (5, 6, 7, 8):
        write_clip(tree, "100", "BV1a", clip)
    of_video = tree / "annotation/100/BV1a"
    (of_video / "BV1a_seq_0005.json").write_text("{")
    (tree / "audio/100/BV1a/BV1a_seq_0006.mp3").unlink()
    (tree / "audio/100/BV1a/BV1a_seq_0007.mp3").write_bytes(b"")
    (of_video / "BV1a_seq_0008.json").rename(of_video / "BV1a_seq_8.json")
    (of_video / "BV1a_seq_0009.json").mkdir()
    (of_video / "notes.txt").write_text("not a clip")
    for video in ("BVtwo", "BVnone"):
        write_clip(tree, "100", video, 0)
    write_clip(tree, "10 0", "BV1a", 0)
    train = [*LISTS["train"], ("100", "BVtwo"), ("100", "BVgone"), ("..", "BV1a"), ("100", " BV1a")]
    write_lists(tree, {"train": train, "valid": [], "test": [*LISTS["test"], ("100", "BVtwo")]})
    (tree / "midi/100/BV1a.mid").unlink()
    (tree / "midi/200/BV3c.mid").write_bytes(b"MThd")

    _, report = import_tree(tree, tmp_path / "shards")
    assert report["clips"] == {"train": 4, "valid": 0, "test": 2}
    left_out = report["left_out"]["clips"]
    assert {(entry["file"] or entry["video"], entry["reason"]) for entry in left_out} == {
        ("BV1a_seq_0002.json", "unequal_hands"),
        ("BV1a_seq_0003.json", "wrong_width"),
        ("BV1a_seq_0004.json", "not_finite"),
        ("BV1a_seq_0005.json", "unreadable"),
        ("BV1a_seq_0006.json", "no_sound"),
        ("BV1a_seq_0007.json", "no_sound"),
        ("BV1a_seq_8.json", "unsafe_name"),
        ("BV1a_seq_0009.json", "unreadable"),
        ("BVtwo_seq_0000.json", "two_splits"),
        ("BVnone_seq_0000.json", "no_split"),
        ("BVgone", "no_clips"),
        ("BV1a", "unsafe_name"),
        ("train.txt", "unsafe_name"),
    }
    assert report["left_out"]["counts"] == Counter(entry["reason"] for entry in left_out)
    assert sum(entry["file"] == "train.txt" for entry in left_out) == 2 and all(entry["message"] for entry in left_out)
    assert {entry["reason"] for entry in left_out} <= set(LeftOut)
    assert (report["without_midi"], report["unreadable_midi"]) == (["100/BV1a"], ["200/BV3c"])
    assert not any(row["notes"] for row in read_rows(tmp_path / "shards") if row["video"] != "BV2b")


def test_nothing_to_import_is_an_error(tree, tmp_path):
    with pytest.raises(FileNotFoundError, match="found no folder annotation"):
        import_tree(tmp_path, tmp_path / "shards")
    (tmp_path / "annotation").mkdir()
    with pytest.raises(FileNotFoundError, match=r"train.txt: expected the videos of split train"):
        import_tree(tmp_path, tmp_path / "shards")
    with pytest.raises(ValueError, match=r"that can be imported, found none \(1 no_clips\); first: 300: expected clips"):
        import_tree(tree, tmp_path / "shards", subjects=["300"])


def test_the_mean_pose_is_guessed_and_a_wrong_setting_is_logged(tmp_path, caplog):
    tree = tmp_path / "released"
    for fingers_rad, setting, looks in ((MODEL.hands_mean, "absolute", "absolute"), (0.0, "absolute", "subtracted")):
        right = stored(300, 0, fingers_rad)
        write_clip(tree, "100", "BV1a", 0, left=stored(300, 5, fingers_rad), right=right)
        write_lists(tree, {"train": LISTS["train"][:1], "valid": [], "test": []})
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="handroll"):
            _, report = import_tree(tree, tmp_path / "shards", mean_pose=setting, model=MODEL)
        found = report["mean_pose"]
        assert (found["setting"], found["looks"], found["visible_hands"]) == (setting, looks, 2 * 280)
        assert ("seem to be subtracted" in caplog.text) == (setting != looks)
    both = np.concatenate([np.array(stored(300, seed))[np.r_[:20, 40:300], 7:52] for seed in (5, 0)])
    np.testing.assert_allclose(found["mean_rad"], both.mean(axis=0), atol=1e-6)
    assert found["to_zero_rad"] == pytest.approx(np.linalg.norm(both.mean(axis=0)), abs=1e-6)
    assert guess_mean_pose(np.zeros(45), None)["looks"] == "unknown"


def test_rotations_relative_to_the_mean_pose_are_imported_and_exported(tree, tmp_path):
    _, report = import_tree(tree, tmp_path / "shards", mean_pose="subtracted", model=MODEL)
    assert report["mean_pose"]["setting"] == "subtracted"
    export_tree(tmp_path / "shards", tmp_path / "again", mean_pose="subtracted", model=MODEL)
    for name, path in files_of(tree, "annotation").items():
        given, found = (json.loads(root.read_text()) for root in (path, tmp_path / "again" / name))
        np.testing.assert_allclose(found["left"], given["left"], atol=1e-5)
        np.testing.assert_allclose(found["right"], given["right"], atol=1e-5)
    with pytest.raises(ValueError, match="mean_pose subtracted: expected MANO's file"):
        import_tree(tree, tmp_path / "x", mean_pose="subtracted")
    with pytest.raises(ValueError, match="mean_pose: expected absolute or subtracted, found 'relative'"):
        export_tree(tmp_path / "shards", tmp_path / "x", mean_pose="relative")


def test_an_export_takes_no_folder_with_files_and_no_unsafe_name(imported, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    with pytest.raises(FileExistsError, match="expected an empty or missing folder"):
        export_tree(imported[0], tmp_path / "mine")
    row = next(read_rows(imported[0])) | {"video": "../up"}
    write_rows({"train": [row], "valid": [], "test": []}, tmp_path / "shards")
    with pytest.raises(ValueError, match=r"found '100' and '../up'"):
        export_tree(tmp_path / "shards", tmp_path / "out")


def test_handrolls_own_clips_are_exported_with_their_notes_once(dataset, records, tmp_path):
    made = export_tree(dataset / "results" / "dataset", tmp_path / "out")
    assert made["clips"] == {"train": 2, "valid": 0, "test": 2} and made["left_out"] == []
    notes, pedal = read_midi(tmp_path / "out/midi/ann/long.mid")
    np.testing.assert_allclose(notes["onset_s"], np.arange(0.0, 54.0, 0.5), atol=6e-4)
    np.testing.assert_allclose(pedal["onset_s"], [10.0, 23.0], atol=6e-4)
    values = json.loads((tmp_path / "out/annotation/ann/long/long_seq_0001.json").read_text())
    assert (values["fps"], values["start_frame"], values["adjust"], values["bv"]) == (30, 720, [0, 0, 0], "long")
    left, right = np.array(values["left"]), np.array(values["right"])
    assert left.shape == right.shape == (900, 62)
    motion = records["bob", "long"].motion
    values = json.loads((tmp_path / "out/annotation/bob/long/long_seq_0000.json").read_text())
    # These made-up hands stray behind the camera, where nothing is seen of them.
    seen = (motion["state"][:900, 0] > 0) & (motion["translation_m"][:900, 0, 2] > 0.0)
    left = np.array(values["left"])
    assert 100 < seen.sum() < 800 and not left[~seen].any() and (left[seen, 0] == 1.0).all()
    samples, rate_hz = soundfile.read(tmp_path / "out/audio/bob/long/long_seq_0001.mp3")
    assert len(samples) == 30 * rate_hz


def test_a_clip_without_audio_is_left_out_and_reported(imported, tmp_path):
    first, second, *_ = read_rows(imported[0])
    write_rows({"train": [first | {"audio": None}, second], "valid": [], "test": []}, tmp_path / "shards")
    made = export_tree(tmp_path / "shards", tmp_path / "out")
    assert made["left_out"] == [{"subject": "100", "video": "BV1a", "clip": 0, "reason": "no_sound"}]
    assert [path.name for path in (tmp_path / "out/annotation/100/BV1a").iterdir()] == ["BV1a_seq_0001.json"]
