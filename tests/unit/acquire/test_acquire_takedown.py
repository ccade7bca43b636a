import base64
import os
from pathlib import Path

import pytest

from handroll.acquire.takedown import PACKED, read_takedown, remove_taken_down, taken_down_names
from handroll.cli import main
from handroll.config.sheet import SheetError, Video
from handroll.storage import write_json, write_table
from handroll.tables import SPLITS, STATUS


def write(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def record(root, output):
    """As Snakemake names its record of an output."""
    return write(root / ".snakemake" / "metadata" / base64.urlsafe_b64encode(output.encode()).decode(), "{}")


def splits(*names):
    return {
        "subject": [subject for subject, _ in names],
        "video": [video for _, video in names],
        "split": ["train"] * len(names),
        "pinned": [True] * len(names),
    }


@pytest.fixture
def project(tmp_path):
    """Results of ann/one, ann/one.2, ann/two and bob/one."""
    results = tmp_path / "work" / "results"
    for subject, video in (("ann", "one"), ("ann", "one.2"), ("ann", "two"), ("bob", "one")):
        folder = results / "acquire" / subject / video
        write(folder / "video", "v" * 100).chmod(0o444)
        write_json(
            folder / "info.json", {"source": f"https://www.youtube.com/watch?v={subject}{video.replace('.', '-'):_<8}", "title": "ann one"}
        )
        write(folder / ".download" / "video.mp4.part", "partial")
        write(folder / ".fetch.json")
        write(results / "hands" / subject / video / "pose.parquet")
        write(results / "dataset" / "clips" / subject / f"{video}.parquet")
        write(results / "dataset" / "clips" / subject / f".{video}.parquet.node_4242_0123abcd.part.parquet")
        write(results / "logs" / "fetch_video" / subject / f"{video}.log")
        write(results / "timings" / "fetch_video" / subject / f"{video}.tsv")
        record(tmp_path / "work", f"results/acquire/{subject}/{video}/video")
    return tmp_path / "work"


def files(project):
    return {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file() or path.is_symlink()}


def listed(project, *rows, header="subject\tvideo"):
    return read_takedown(write(project / "takedown.tsv", "\n".join([header, *rows]) + "\n"))


def test_all_files_of_a_video_are_removed_and_none_of_others(project):
    takedowns = listed(project, "ann\tone")
    before = files(project)
    removal = remove_taken_down(takedowns, project)
    gone = before - files(project)
    assert gone == {
        "results/acquire/ann/one/video",
        "results/acquire/ann/one/info.json",
        "results/acquire/ann/one/.download/video.mp4.part",
        "results/acquire/ann/one/.fetch.json",
        "results/hands/ann/one/pose.parquet",
        "results/dataset/clips/ann/one.parquet",
        "results/dataset/clips/ann/.one.parquet.node_4242_0123abcd.part.parquet",
        "results/logs/fetch_video/ann/one.log",
        "results/timings/fetch_video/ann/one.tsv",
        ".snakemake/metadata/" + base64.urlsafe_b64encode(b"results/acquire/ann/one/video").decode(),
    }
    assert removal.videos == [("ann", "one")] and removal.not_followed == [] and removal.size_bytes > 100
    assert (project / "results/hands/ann").is_dir() and not (project / "results/hands/ann/one").exists()
    assert remove_taken_down(takedowns, project).paths == []


def test_a_dry_run_removes_nothing_and_reports_the_same(project):
    takedowns = listed(project, "ann\tone")
    before = files(project)
    planned = remove_taken_down(takedowns, project, dry_run=True)
    assert files(project) == before
    assert planned == remove_taken_down(takedowns, project)


def test_by_source_in_any_spelling_and_without_a_row_in_the_sheet(project):
    takedowns = listed(project, "https://youtu.be/annone_____?t=3", header="source")
    # The sheet gives the same address to another name, too.
    videos = [Video(subject="zoe", video="copy", source="https://m.youtube.com/watch?v=annone_____")]
    assert taken_down_names(takedowns, videos) == {("zoe", "copy")}
    assert remove_taken_down(takedowns, project, videos).videos == [("ann", "one"), ("zoe", "copy")]
    assert not (project / "results/acquire/ann/one").exists() and (project / "results/acquire/bob/one/video").exists()


def dataset(project, *names):
    folder = project / "results" / "dataset"
    write_table(folder / "train-00000.parquet", SPLITS, splits(*names))
    write_table(folder / "test-00000.parquet", SPLITS, SPLITS.empty())
    for name in (*PACKED, "keys.png", "notes-of-mine.txt"):
        write(folder / name)
    return folder


def test_packed_files_are_removed_together_if_a_shard_holds_the_video(project):
    folder = dataset(project, ("ann", "one"), ("bob", "one"))
    remove_taken_down(listed(project, "ann\tone"), project)
    assert sorted(path.name for path in folder.iterdir()) == ["clips", "notes-of-mine.txt"]


def test_packed_files_stay_if_no_shard_holds_it(project):
    folder = dataset(project, ("bob", "one"), ("ann", "two"))
    remove_taken_down(listed(project, "ann\tone"), project)
    assert {path.name for path in folder.iterdir()} == {
        *PACKED,
        "keys.png",
        "train-00000.parquet",
        "test-00000.parquet",
        "notes-of-mine.txt",
        "clips",
    }


EXPERIMENT = (
    "motion_cache/motion.json",
    "features/notes/features.json",
    "models/notes-ssm/position.safetensors",
    "models/autoencoder.json",
)
EXPERIMENT += ("models/notes-ssm/position.training/state.pt", "motion/mean_pose.json", "scores/mean_pose.json", "table.md")


def experiment(project, name, windows=(), **tables):
    """An experiment's folder, with the videos of its windows and of its tables, by path below it."""
    folder = project / "results" / "experiments" / name
    for path in EXPERIMENT:
        write(folder / path, "{}")
    for path in ("training.json", "windows.json"):
        write_json(folder / path, {"frames": 240, "windows": {"valid": [[*video, 0, 240] for video in windows]}})
    for path in ("motion_cache/train-00000", "features/notes/train-00000", "motion/nearest-notes"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_table(folder / f"{path}.parquet", SPLITS, splits(*tables.get(path.split("/")[0], [("bob", "one")])))
    return folder


@pytest.mark.parametrize(
    "holds", [{"windows": [("bob", "one"), ("ann", "one")]}, *({part: [("ann", "one")]} for part in ("motion_cache", "features", "motion"))]
)
def test_an_experiment_is_removed_as_a_whole_if_a_part_holds_the_video(project, holds):
    held, other = experiment(project, "all", **holds), experiment(project, "ann", windows=[("ann", "two"), ("bob", "one")])
    write(other / "motion_cache" / ".train-00001.parquet.node_4242_0123abcd.part.parquet", "half")
    # Named like the subject and the video, and neither.
    write(other / "one" / "table.md")
    kept = files(other)
    removal = remove_taken_down(listed(project, "ann\tone"), project)
    assert not held.exists() and held in removal.paths
    assert files(other) == kept
    assert remove_taken_down(listed(project, "ann\tone"), project).paths == []


def test_an_experiment_on_another_disk_is_not_followed(project):
    held = experiment(project, "all", motion_cache=[("ann", "one")])
    held.rename(project.parent / "disk")
    held.symlink_to(project.parent / "disk")
    assert remove_taken_down(listed(project, "ann\tone"), project).not_followed == [held]
    assert (project.parent / "disk" / "windows.json").exists()


def test_an_export_is_removed_as_a_whole_if_it_holds_the_video(project):
    exports = project / "results" / "export"
    for layout, subject, video in (("theirs", "ann", "one"), ("theirs", "bob", "one"), ("other", "ann", "two"), ("other", "bob", "one")):
        write(exports / layout / "audio" / subject / video / f"{video}_seq_0000.mp3")
    write(exports / "flat" / "midi" / "ann" / "one.mid")
    remove_taken_down(listed(project, "ann\tone"), project)
    assert sorted(path.name for path in exports.iterdir()) == ["other"]
    assert (exports / "other/audio/ann/two/two_seq_0000.mp3").exists()


def test_tables_and_pages_that_name_the_video_are_removed(project):
    results = project / "results"
    rows = {
        **STATUS.empty(),
        **{c.name: [""] if c.is_object else [0] for c in STATUS.columns},
        "subject": ["ann"],
        "video": ["one"],
        "transient": [False],
    }
    write_table(results / "acquire" / "status.parquet", STATUS, rows)
    write(results / "screening" / "gallery.html", "<p>ann/one</p>")
    write(results / "screening" / "summary.tsv", "subject\tvideo\nann\tone.2\nbob\ttwo\n")
    write(results / "logs" / "write_shards.log", "ann/someone")
    remove_taken_down(listed(project, "ann\tone"), project)
    assert not (results / "acquire" / "status.parquet").exists() and not (results / "screening" / "gallery.html").exists()
    assert (results / "logs" / "write_shards.log").exists() and (results / "acquire" / "ann" / "two" / "info.json").exists()


def test_subjects_named_like_folders_of_the_results(tmp_path):
    results = tmp_path / "results"
    others = [
        write(results / "hands" / "ann" / "x" / "pose.parquet"),
        write(results / "logs" / "fetch_video" / "ann" / "x.log"),
        write(results / "dataset" / "clips" / "ann" / "x.parquet"),
    ]
    own = write(results / "hands" / "clips" / "ann" / "pose.parquet")
    remove_taken_down(listed(tmp_path, "hands\tann", "fetch_video\tann", "clips\tann", "acquire\tann"), tmp_path)
    assert all(path.exists() for path in others) and not own.exists()


def test_a_local_source_stays(project):
    source = write(project.parent / "mine.mp4", "my own video")
    video = project / "results/acquire/ann/one/video"
    video.unlink()
    video.symlink_to(source)
    remove_taken_down(listed(project, "ann\tone"), project)
    assert source.read_text(encoding="utf-8") == "my own video" and not video.is_symlink()


def test_a_local_source_in_any_spelling(project, monkeypatch):
    source = write(project / "media" / "mine.mp4", "my own video")
    video = project / "results/acquire/ann/one/video"
    video.unlink()
    video.symlink_to("../../../../media/mine.mp4")
    monkeypatch.chdir(project)
    row = Video(subject="zoe", video="copy", source="media/mine.mp4")
    for spelling in ("media/mine.mp4", "./media/../media/mine.mp4", str(source)):
        takedowns = listed(project, spelling, header="source")
        assert taken_down_names(takedowns, [row]) == {("zoe", "copy")}
        # A video that is no longer in the sheet is found by its link.
        assert ("ann", "one") in remove_taken_down(takedowns, project, dry_run=True).videos
    assert not taken_down_names(listed(project, "media/other.mp4", header="source"), [row])


def test_links_are_not_followed_and_reported(project):
    elsewhere = project.parent / "elsewhere"
    kept = [write(elsewhere / "ann" / "one" / "x"), write(elsewhere / "one" / "x")]
    (project / "results" / "motion").symlink_to(elsewhere)
    (project / "results" / "hands" / "ann" / "one" / "inner").symlink_to(elsewhere / "one")
    removal = remove_taken_down(listed(project, "ann\tone"), project)
    assert all(path.exists() for path in kept) and removal.not_followed == [project / "results" / "motion"]


def test_results_on_another_disk(project):
    (project / "results").rename(project.parent / "disk")
    (project / "results").symlink_to(project.parent / "disk")
    assert remove_taken_down(listed(project, "ann\tone"), project).not_followed == []
    assert not (project.parent / "disk" / "acquire" / "ann" / "one").exists()


def test_read_only_folders_are_removed(project):
    folder = project / "results/acquire/ann/one"
    folder.chmod(0o555)
    remove_taken_down(listed(project, "ann\tone"), project)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("subject\tvideo", "..\tone", "column subject: expected letters"),
        ("subject\tvideo", "ann\t../../bob/one", "column video: expected letters"),
        ("subject\tvideo", "ann\t", "line 2: expected either subject and video, or source"),
        ("subject\tvideo\tsource", "ann\tone\thttps://x.org/v", "line 2: expected either subject and video, or source"),
        ("subject\tvideo\tdate", "ann\tone\tyesterday", "column date: expected a day as YYYY-MM-DD"),
        ("subject\tvideos", "ann\tone", "did you mean video?"),
    ],
)
def test_bad_lists(tmp_path, header, row, message):
    with pytest.raises(SheetError) as caught:
        listed(tmp_path, row, header=header)
    assert message in str(caught.value)


def test_no_list_and_an_empty_list(tmp_path, project):
    assert read_takedown(tmp_path / "none.tsv") == ()
    before = files(project)
    assert remove_taken_down(listed(project), project).paths == [] and files(project) == before | {"takedown.tsv"}


def test_the_shipped_list_is_empty():
    assert read_takedown(Path(__file__).parents[3] / "config" / "takedown.tsv") == ()


def test_the_command_prints_what_it_removed(project, capsys):
    listed(project, "ann\tone")
    options = ["--list", str(project / "takedown.tsv"), "--sheet", str(project / "none.tsv"), "--directory", str(project)]
    assert main(["takedown", *options, "--dry-run"]) == 0
    planned = capsys.readouterr().out
    assert "results/acquire/ann/one\n" in planned and "would be removed" in planned and (project / "results/acquire/ann/one").exists()
    assert main(["takedown", *options]) == 0
    assert capsys.readouterr().out == planned.replace("would be removed", "removed")
    os.symlink(project.parent, project / "results" / "out")
    assert main(["takedown", *options]) == 1
    assert "is not followed" in capsys.readouterr().err
    assert main(["takedown", "--list", str(project / "none.tsv")]) == 2
