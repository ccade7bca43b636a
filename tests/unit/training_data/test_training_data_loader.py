import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from handroll.dataset.clip_content import read_audio
from handroll.dataset.shards import write_shards
from handroll.tables import CLIPS
from handroll.training_data.feature_cache import write_features, write_motion
from handroll.training_data.loader import WINDOWS_PER_VISIT, Clips, Source, Windows, cut_windows, need_clips, prefetch
from handroll.training_data.windows import Scales, evaluation_windows, measure_scales, subsample

WIDTH = 5


def heard(row):
    """Features that encode the numbers of clip and frame."""
    frames = round((row["end_s"] - row["start_s"]) * 30.0)
    return np.concatenate([np.full((frames, 1), row["clip"]), np.arange(frames)[:, None] * np.ones(WIDTH - 1)], axis=1)


@pytest.fixture(scope="session")
def source(tmp_path_factory, clips, splits, records):
    """Clips of 10 s every 4 s of ann's long video, all train: many row groups."""
    folder = tmp_path_factory.mktemp("loader")
    starts = np.arange(0.0, 56.0, 4.0)
    table = {name: np.resize(clips[name][clips["accepted"]], len(starts)) for name in CLIPS.empty()}
    table |= {
        "subject": np.array(["ann"] * len(starts), object),
        "video": np.array(["long"] * len(starts), object),
        "clip": np.arange(len(starts)),
    }
    table |= {
        "start_s": starts,
        "end_s": starts + 10.0,
        "start_frame": (starts * 30).astype(int),
        "end_frame": (starts * 30 + 300).astype(int),
    }
    write_shards(table, splits, lambda *name: records[name], folder / "shards", target_bytes=200_000, row_group_rows=3)
    write_features(folder / "shards", folder / "features", heard, ("start_s", "end_s"), {"features": "test"})
    return Source(folder / "shards", features=folder / "features")


def test_with_fewer_shards_no_file_of_an_earlier_run_stays(source, tmp_path):
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    manifest = json.loads((Path(source.shards) / "shards.json").read_text(encoding="utf-8"))
    assert len(manifest["shards"]) > 4
    chosen = [manifest["shards"][0], *manifest["shards"][-2:]]
    (fewer / "shards.json").write_text(json.dumps(manifest | {"shards": chosen}), encoding="utf-8")
    for shard in chosen:
        (fewer / shard["name"]).symlink_to(Path(source.shards) / shard["name"])
    for name, write in {
        "motion": lambda shards, folder: write_motion(shards, folder, "keyboard", 30.0),
        "features": lambda shards, folder: write_features(shards, folder, heard, ("start_s", "end_s"), {}),
    }.items():
        folder = tmp_path / name
        write(source.shards, folder)
        (folder / ".train-00003.parquet.node_4242_0123abcd.part.parquet").touch()
        assert len(list(folder.iterdir())) == len(manifest["shards"]) + 2
        write(fewer, folder)
        assert {path.name for path in folder.iterdir()} == {f"{name}.json", *(shard["name"] for shard in chosen)}


@pytest.fixture(scope="session")
def train(source):
    return Clips(source, "train")


def test_clips_are_those_of_the_shards(train):
    assert train.names == [("ann", "long", number) for number in range(14)]
    assert set(train.frames) == {300} and len(train) == 14
    assert len({path for path, *_ in train._groups}) > 1, "the test wants several shards"


def test_features_are_those_of_their_clip(train):
    for number in (0, 5, 13):
        assert train[number].features.dtype == np.float16
        np.testing.assert_array_equal(train[number].features[:, 0], number)
        np.testing.assert_array_equal(train[number].features[:, 1], np.arange(300))


def same_clips(one, other):
    assert one.names == other.names and len(one)
    for number in range(len(one)):
        for name in ("position", "pose", "visible"):
            np.testing.assert_array_equal(getattr(one[number], name), getattr(other[number], name))


def test_a_shorter_clip_gives_fewer_windows(source, clips, splits, records, tmp_path):
    starts, lengths = np.array([0.0, 10.0, 20.0]), np.array([30.0, 10.0, 16.0])
    table = {name: np.resize(clips[name][clips["accepted"]], 3) for name in CLIPS.empty()}
    table |= {"subject": np.array(["ann"] * 3, object), "video": np.array(["long"] * 3, object), "clip": np.arange(3)}
    table |= {"start_s": starts, "end_s": starts + lengths}
    table |= {"start_frame": (starts * 30).astype(int), "end_frame": ((starts + lengths) * 30).astype(int)}
    write_shards(table, splits, lambda *name: records[name], tmp_path / "shards", row_group_rows=2)
    windows = Windows(Clips(Source(tmp_path / "shards"), "train"), 240, batch=3, seed=1)
    assert windows.clips.frames.tolist() == [900, 300, 480] and windows.epoch_windows == 6
    drawn = [window for step in range(4) for window in windows.draw(step)]
    assert np.bincount([clip for clip, _ in drawn]).tolist() == [6, 2, 4]
    assert all(0 <= first <= windows.clips.frames[clip] - 240 for clip, first in drawn)
    assert windows[0]["pose"].shape == (3, 240, 96)
    assert evaluation_windows(windows.clips, 240)[:4] == [(0, 0), (0, 240), (0, 480), (1, 0)]


def test_cached_motion_is_that_of_the_shards(source, train, tmp_path):
    write_motion(source.shards, tmp_path, "keyboard", 30.0)
    kept = Clips(replace(source, motion=tmp_path), "train")
    same_clips(kept, train)
    np.testing.assert_array_equal(kept[5].features, train[5].features)


def test_motion_is_cached_for_clips_with_and_without_a_keyboard(dataset, tmp_path):
    for frame, rate_hz, splits in (("camera", 25.0, ("train", "test")), ("keyboard", 30.0, ("train",))):
        source = Source(dataset / "results" / "dataset", frame, rate_hz)
        write_motion(source.shards, tmp_path / frame, frame, rate_hz)
        for split in splits:
            same_clips(Clips(replace(source, motion=tmp_path / frame), split), Clips(source, split))


def test_memory_holds_at_most_the_given_number_of_clips(source):
    clips = Clips(source, "train", keep_clips=6)
    for number in range(len(clips)):
        clips[number]
        assert sum(map(len, clips._kept.values())) <= 6


def test_a_batch_does_not_depend_on_earlier_ones(train, source):
    windows = Windows(train, 240, batch=4, seed=3)
    again = Windows(Clips(source, "train", keep_clips=3), 240, batch=4, seed=3)
    for step in (40, 2, 0):
        for name, values in windows[step].items():
            np.testing.assert_array_equal(values, again[step][name])
    assert windows.draw(0) != Windows(train, 240, batch=4, seed=4).draw(0)


def test_an_epoch_visits_every_clip_as_often(train):
    windows = Windows(train, 240, batch=1, seed=0, block_clips=5)
    for epoch in range(2):
        numbers = [windows.draw(step)[0][0] for step in range(epoch * windows.epoch_windows, (epoch + 1) * windows.epoch_windows)]
        assert np.bincount(numbers, minlength=14).tolist() == [WINDOWS_PER_VISIT] * 14


@pytest.mark.parametrize("block", [2, 4, 7])
def test_an_epoch_reads_each_row_group_once(source, block, monkeypatch):
    clips, read = Clips(source, "train", keep_clips=block), []
    decode = clips._read
    monkeypatch.setattr(clips, "_read", lambda group: read.append(group) or decode(group))
    windows = Windows(clips, 240, batch=1, seed=0, block_clips=block)
    for step in range(windows.epoch_windows):
        windows[step]
    assert sorted(read) == list(range(len(clips._groups)))


def test_windows_begin_anywhere_and_stay_inside(train):
    windows = Windows(train, 240, batch=500, seed=0)
    first = np.array([begin for _, begin in windows.draw(0)])
    assert first.min() == 0 and first.max() == 60


def test_processes_share_a_batch(train):
    windows = Windows(train, 240, batch=4, seed=0)
    whole = windows[7]["position"]
    parts = []
    for number in range(2):
        windows.share = number, 2
        parts.append(windows[7]["position"])
    np.testing.assert_array_equal(whole[0::2], parts[0])
    np.testing.assert_array_equal(whole[1::2], parts[1])


def test_reading_ahead_keeps_the_order(train):
    windows = Windows(train, 240, batch=2, seed=0)
    for step, batch in zip(range(3, 9), prefetch(windows, 3, 9), strict=True):
        np.testing.assert_array_equal(batch["position"], windows[step]["position"])


def test_windows_longer_than_every_clip_are_an_error(train):
    with pytest.raises(
        ValueError, match="split train: expected a clip of at least 301 frames.* found 14 clips of at most 300 frames; shorten"
    ):
        Windows(train, 301, batch=1, seed=0)


def test_empty_splits_and_splits_whose_clips_are_left_out_have_different_errors(source):
    for changed, split, message in (
        ({}, "valid", "split valid: expected clips, found none; give this split a share"),
        ({"subjects": ("bob", "cleo")}, "train", "expected clips of bob, cleo .* with a registered keyboard .*, found no such clip"),
        ({"subjects": ("bob",), "frame": "camera"}, "train", r"expected clips of bob \(`benchmark.subjects`\), found no such clip"),
    ):
        with pytest.raises(ValueError, match=message):
            need_clips(Clips(replace(source, **changed), split), 240)


def test_subjects_and_keyboards_choose_clips(dataset):
    shards = dataset / "results" / "dataset"
    for split in ("train", "test"):
        both, over_keys = (Clips(Source(shards, frame), split) for frame in ("camera", "keyboard"))
        assert {name[0] for name in both.names} == {"train": {"ann"}, "test": {"bob"}}[split]
        assert len(over_keys) == (len(both) if split == "train" else 0)
    assert not len(Clips(Source(shards, "camera", subjects=("bob",)), "train"))


def test_audio_comes_with_the_window(source, train):
    loud = Clips(Source(source.shards, audio_rate_hz=16000), "train")
    batch = cut_windows(loud, [(2, 0), (2, 60)], 240)
    assert batch["audio"].shape == (2, 128000) and batch["audio"].dtype == np.float32
    np.testing.assert_allclose(batch["audio"][0, 32000:], batch["audio"][1, :-32000], atol=1e-6)
    assert "features" not in batch


def test_audio_is_moved_by_its_delay():
    samples = np.zeros(1000, np.float32)
    samples[500] = 0.5
    file = io.BytesIO()
    soundfile.write(file, samples, 1000, format="FLAC", subtype="PCM_16")
    audio = {"bytes": file.getvalue(), "path": "a.flac"}
    for delay_s in (0.1, -0.1, 0.0):
        assert np.argmax(read_audio(audio, 1000, delay_s)) == 500 - round(1000 * delay_s)
    with pytest.raises(ValueError, match="clip with audio"):
        read_audio(None, 1000)


def test_evaluation_windows_do_not_overlap(train):
    windows = evaluation_windows(train, 100)
    assert windows[:3] == [(0, 0), (0, 100), (0, 200)] and len(windows) == 42
    assert subsample(windows, 0) == windows and subsample(windows, 100) == windows
    assert subsample(windows, 3) == [windows[0], windows[20], windows[41]]


def test_scales_are_those_of_visible_frames(train):
    scales = measure_scales(train)
    values = np.concatenate([train[number].position[:, 3:][train[number].visible[:, 1]] for number in range(len(train))])
    np.testing.assert_allclose(scales.position_mean[3:], values.mean(0), rtol=1e-5)
    np.testing.assert_allclose(scales.position_scale[3:], np.maximum(values.std(0), 1.0), rtol=1e-4)
    back = scales.unscaled("pose", scales.scaled("pose", train[0].pose))
    np.testing.assert_allclose(back, train[0].pose, atol=1e-6)
    shown = np.repeat(train[0].visible, 48, axis=1)
    assert np.abs(scales.scaled("pose", train[0].pose))[shown].max() <= scales.max_abs + 1e-4
    assert Scales.from_dict(scales.to_dict()) == scales
