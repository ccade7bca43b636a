"""What runs again after a change: exactly what depends on it. One real run is the ground that the others look at."""

import shutil

import pyarrow.parquet as pq
import pytest

TARGETS = ("all", "overlays")
BELOW_MOTION = {"clean_motion": 2, "cut_clips": 2, "write_shards": 1, "describe_dataset": 1, "draw_overlay": 2}


@pytest.fixture(scope="module")
def done(project, small_videos):
    """The project after a complete run on two small videos."""
    one, two = small_videos
    rows = f"anna\tone\t{one}\ttrain\nbela\ttwo\t{two}\tvalid\n"
    (project.root / "videos.tsv").write_text("subject\tvideo\tsource\tsplit\n" + rows, encoding="utf-8")
    project.run(*TARGETS)
    assert project.planned(*TARGETS) == {}
    return project


def results(project):
    """Modification time of every result file but logs and benchmarks."""
    folder = project.root / "results"
    files = (path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in ("logs", "benchmarks"))
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in files}


def test_run_gives_the_dataset(done):
    shards = done.root / "results" / "dataset"
    assert pq.read_table(shards / "train-00000.parquet").num_rows == 2
    assert pq.read_table(shards / "valid-00000.parquet").num_rows == 2
    assert pq.read_table(shards / "test-00000.parquet").num_rows == 0
    assert (shards / "README.md").stat().st_size > 1000


def test_a_run_elsewhere_gives_the_same_bytes(done, another_project):
    for name in ("videos.tsv", "config/test.yaml"):
        shutil.copy(done.root / name, another_project.root / name)
    another_project.run("all")
    manifests = [(project.root / "results/dataset/shards.json").read_text(encoding="utf-8") for project in (done, another_project)]
    assert manifests[0] == manifests[1]  # names, sizes and SHA-256 of all shards


def test_unused_key_reruns_nothing(done):
    assert done.planned("all", "--config", "overlay={max_height_px: 360}") == {}


def test_filter_parameter_reruns_cleaning_and_below(done):
    assert done.planned(*TARGETS, "--config", "motion={hampel: {n_sigma: 4.0}}") == BELOW_MOTION


def test_screening_threshold_reruns_no_detection(done):
    planned = done.planned("all", "--config", "screen={visibility: {min_both_hands: 0.7}}")
    assert "detect_hands" not in planned and "extract_audio" not in planned
    assert planned["screen_video"] == 2


def test_comment_reruns_nothing(done):
    done.edit("src/handroll/motion/outliers.py", '"""Frames that do not fit', '"""All the frames that do not fit')
    with (done.root / "src/handroll/motion/clean.py").open("a", encoding="utf-8") as file:
        file.write("\n# A comment.\n")
    assert done.planned(*TARGETS) == {}


def test_function_of_motion_reruns_cleaning_and_below(done):
    path = done.root / "src/handroll/motion/outliers.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "\n\ndef another():\n    return 1\n", encoding="utf-8")
    assert done.planned(*TARGETS) == BELOW_MOTION
    path.write_text(before, encoding="utf-8")
    assert done.planned(*TARGETS) == {}


def test_real_rerun_touches_only_what_depends(done):
    before = results(done)
    done.run(*TARGETS, "--config", "motion={hampel: {n_sigma: 4.0}}")
    after = results(done)
    changed = {path for path in after if after[path] != before.get(path)}
    assert {path.split("/")[0] for path in changed} == {"motion", "dataset", "report"}
    assert "dataset/splits.parquet" not in changed
    assert done.planned(*TARGETS, "--config", "motion={hampel: {n_sigma: 4.0}}") == {}


def test_new_video_runs_only_its_jobs_and_collectors(done, small_videos):
    sheet = done.root / "videos.tsv"
    sheet.write_text(sheet.read_text(encoding="utf-8") + f"anna\tthree\t{small_videos[0]}\ttest\n", encoding="utf-8")
    planned = done.planned(*TARGETS, "--config", "motion={hampel: {n_sigma: 4.0}}")
    assert set(planned.values()) == {1}
    assert {"fetch_video", "detect_hands", "transcribe_audio", "clean_motion", "draw_overlay"} <= set(planned)
    assert {"split_videos", "write_shards", "describe_dataset"} <= set(planned)
