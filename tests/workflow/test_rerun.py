"""What runs again after a change: exactly what depends on it. All plans are of one finished project."""

import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from handroll.provenance import file_sha256
from support.untrained_corrector import write_corrector

TARGETS = ("all", "overlays")
BELOW_MOTION = {"clean_motion": 2, "cut_clips": 2, "write_shards": 1, "describe_dataset": 1, "draw_overlay": 2}
BELOW_FIT = {"refine_pose": 2, **BELOW_MOTION}
BELOW_FINGERING = {"label_fingering": 2, **BELOW_FIT}
BELOW_KEYBOARD = {"register_keyboard": 2, "fit_pose": 2, "screen_videos": 1, **BELOW_FINGERING}
BELOW_TRANSCRIPTION = {"transcribe_audio": 2, "check_midi": 2, **BELOW_KEYBOARD}
BELOW_VISIBILITY = {"measure_visibility": 2, **BELOW_TRANSCRIPTION}
BELOW_DETECTION = {"detect_hands": 2, **BELOW_VISIBILITY}
BELOW_SEGMENTS = {"find_segments": 2, **BELOW_DETECTION}
BELOW_PROBE = {"extract_audio": 2, "survey_video": 2, "measure_audio": 2, **BELOW_SEGMENTS}
BELOW_CORRECTION = {"correct_motion": 2} | {rule: jobs for rule, jobs in BELOW_MOTION.items() if rule != "clean_motion"}
VERDICTS = {"screen_videos": 1, "describe_dataset": 1}
VIDEOS = ("anna/one", "bela/two")
N_SIGMA = "motion={hampel: {n_sigma: 4.0}}"
CORRECTED = "motion={correction: mapnet, mapnet: {checkpoint: mapnet.safetensors}}"
# Jobs of a run of these targets with these settings.
SETTINGS = {
    (TARGETS, "keyboard={min_finger_confidence: 0.9}"): BELOW_FINGERING,
    (TARGETS, "keyboard={frames: 24}"): BELOW_KEYBOARD,
    (TARGETS, "pose={contacts: false}"): BELOW_FIT,
    (TARGETS, "pose={temporal: {enabled: true}}"): BELOW_FIT,
    (TARGETS, "pose={hand_length_m: 0.19}"): {"fit_pose": 2, **BELOW_FINGERING},
    (TARGETS, "pose={focal_px: 600}"): BELOW_KEYBOARD,
    (TARGETS, "music={engine: kong}"): {"transcribe_audio": 2, "check_midi": 2, **BELOW_KEYBOARD},
    # Another engine's section.
    (TARGETS, "music={kong: {checkpoint: elsewhere.pth}}"): {},
    (TARGETS, N_SIGMA): BELOW_MOTION,
    (TARGETS, CORRECTED): BELOW_CORRECTION,
    # The correction is off.
    (TARGETS, "motion={mapnet: {checkpoint: elsewhere.safetensors, max_gap_s: 1.0}}"): {},
    (("motion",), CORRECTED): {"correct_motion": 2, "motion": 1},
    # No verdict changes.
    (TARGETS, "screening={visibility: {min_both_hands: 0.7}}"): VERDICTS,
    (TARGETS, "screening={duration: {min_s: 2.0}}"): VERDICTS,
    # Both videos are rejected: everything below the rule that measured becomes empty, and nothing above it runs.
    (TARGETS, "screening={duration: {min_s: 100.0}}"): BELOW_PROBE,
    (TARGETS, "screening={resolution: {min_short_side_px: 1080, min_long_side_px: 1920}}"): BELOW_PROBE,
    # `all` updates overlays that exist.
    (("all",), "overlay={max_height_px: 360}"): {"draw_overlay": 2},
    (("all",), N_SIGMA): BELOW_MOTION,
    # No rule of `all` uses this key.
    (("all",), "synthetic={hours: 0.1}"): {},
}
MARKED = "A0-front 37 170; A0-back 40 90; end-front 597 190; end-back 600 110"
# Changed cells of the rows of both videos, and the jobs of a run of all targets with this sheet.
SHEETS = {
    # Other spellings of the same files.
    "dots": ({"source": "./media/one.mp4", "midi": "./media/one.mid"}, {"source": "{outside}"}, {}),
    "detours": ({"source": "results/../media/one.mp4", "midi": "{root}/media/one.mid"}, {"source": "./{outside}"}, {}),
    "absolute": (
        {"source": "{root}/config/../media/one.mp4", "midi": "media/../media/one.mid"},
        {"source": "{folder}/../videos/ode.mp4"},
        {},
    ),
    "other_video": ({"source": "{folder}/ode.mp4"}, {}, {"fetch_video": 1, "probe_video": 1, **dict.fromkeys(BELOW_PROBE, 1)}),
    "marked": ({"keyboard": MARKED}, {}, dict.fromkeys(BELOW_KEYBOARD, 1)),
    # The rejected video has no jobs any more; the accepted one passed anyway.
    "verdicts": ({"override": "reject"}, {"override": "accept"}, {"screen_videos": 1, "write_shards": 1, "describe_dataset": 1}),
    "missing_midi": ({"midi": "media/gone.mid"}, {}, None),
}


@pytest.fixture(scope="module")
def done(finished_pair, copy_of, tmp_path_factory):
    """The project after a complete run on two small videos, one of them in the project and with its notes given."""
    return copy_of(finished_pair, tmp_path_factory.mktemp("rerun") / "project")


@pytest.fixture(scope="module")
def plans(done, small_videos):
    """Planned jobs by name of a sheet and by targets and settings; "nothing" for no change."""
    commands = {"nothing": TARGETS} | {(targets, setting): (*targets, "--config", setting) for targets, setting in SETTINGS}
    folder = small_videos[1].parent
    places = {"root": done.root, "folder": folder, "outside": os.path.relpath(folder / "ode.mp4", done.root)}
    for name, (one, two, _) in SHEETS.items():
        rows = (
            {"subject": "anna", "video": "one", "source": "media/one.mp4", "split": "train", "midi": "media/one.mid"} | one,
            {"subject": "bela", "video": "two", "source": "{folder}/ode.mp4", "split": "valid"} | two,
        )
        columns = list(rows[0] | rows[1])
        lines = [columns, *([row.get(column, "").format(**places) for column in columns] for row in rows)]
        (done.root / f"{name}.tsv").write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")
        commands[name] = (*TARGETS, "--config", f"sheet={name}.tsv")
    return dict(zip(commands, done.planned_each(commands.values()), strict=True))


def results(project):
    """Modification time of every result file but logs and timings."""
    folder = project.root / "results"
    files = (path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in ("logs", "timings"))
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in files}


def test_run_gives_the_dataset(done):
    shards = done.root / "results" / "dataset"
    assert pq.read_table(shards / "train-00000.parquet").num_rows == 2
    assert pq.read_table(shards / "valid-00000.parquet").num_rows == 2
    assert pq.read_table(shards / "test-00000.parquet").num_rows == 0
    assert (shards / "README.md").stat().st_size > 1000


def test_run_gives_poses_above_the_keys_and_fingers(done):
    for video in VIDEOS:
        registration = json.loads((done.root / "results/keyboard" / video / "registration.json").read_text(encoding="utf-8"))
        assert registration["problem"] is None and (registration["first_key"], registration["last_key"]) == (0, 87)
        notes = pq.read_table(done.root / "results/keyboard" / video / "notes.parquet")
        labelled = notes["finger"].to_numpy() > 0
        agreement = json.loads((done.root / "results/music" / video / "agreement.json").read_text(encoding="utf-8"))
        assert agreement["screening"]["purity"]["foreign_db"] < 0.0
        assert labelled.mean() > 0.5 and "audio_delay_s" in {key.decode() for key in notes.schema.metadata}
        fitted, refined = (pq.read_table(done.root / "results/hands" / video / f"{name}.parquet") for name in ("pose", "refined"))
        assert fitted["found"] == refined["found"] and fitted["joints_keyboard_mm"] != refined["joints_keyboard_mm"]
    row = pq.read_table(done.root / "results/dataset/train-00000.parquet").slice(0, 1).to_pylist()[0]
    joints_mm = np.array(row["right_joints_keyboard_mm"]).reshape(-1, 21, 3)
    seen = np.isfinite(joints_mm).all(axis=(1, 2))
    # Hands lie over the keyboard, at the height of hands.
    assert seen.mean() > 0.8 and (np.abs(joints_mm[seen, :, 0].mean(axis=1) - 611.0) < 611.0).all()
    assert 10.0 < joints_mm[seen, 0, 2].mean() < 120.0
    assert np.isfinite(row["keyboard_translation_mm"]).all() and 0.0 <= row["key_press_recall"] <= 1.0
    assert {"hand", "finger", "finger_confidence"} <= set(row["notes"][0])


def test_a_second_run_has_nothing_to_do(plans):
    assert plans["nothing"] == {}


@pytest.mark.parametrize(("targets", "setting"), SETTINGS)
def test_a_setting_reruns_what_uses_it_and_below(plans, targets, setting):
    assert plans[targets, setting] == SETTINGS[targets, setting]


@pytest.mark.parametrize("sheet", [name for name, (*_, jobs) in SHEETS.items() if jobs is not None])
def test_a_row_of_the_sheet_reruns_its_own_video(plans, sheet):
    assert plans[sheet] == SHEETS[sheet][-1]


def test_another_midi_file_repeats_no_transcription(plans):
    planned = plans["missing_midi"]
    assert planned["check_midi"] == 1 and "transcribe_audio" not in planned


def test_the_project_in_another_place_reruns_nothing(done, copy_of, tmp_path):
    moved = copy_of(done, tmp_path / "deeper" / "project")
    assert (moved.root / "results/acquire/anna/one/video").resolve() == moved.root / "media/one.mp4"
    assert moved.planned(*TARGETS) == {}
    moved.root.rename(tmp_path / "moved")
    assert type(moved)(tmp_path / "moved").planned(*TARGETS) == {}


def test_all_draws_no_overlays_of_its_own_accord(done):
    report = done.root / "results" / "report"
    one, two = (report / video for video in VIDEOS)
    (one / "overlay.mp4").rename(report / "one.mp4")
    two.rename(report / "two")
    try:
        # The folder of the first is there, as after a job that failed; the second was never drawn.
        assert done.planned("all") == {"draw_overlay": 1}
        assert done.planned("all", "--config", N_SIGMA) == {**BELOW_MOTION, "draw_overlay": 1}
    finally:
        (report / "one.mp4").rename(one / "overlay.mp4")
        (report / "two").rename(two)


def test_comment_reruns_nothing(done):
    done.edit("src/handroll/motion/outliers.py", '"""Detect outlier frames', '"""Detect all outlier frames')
    with (done.root / "src/handroll/motion/clean.py").open("a", encoding="utf-8") as file:
        file.write("\n# A comment.\n")
    assert done.planned(*TARGETS) == {}


def test_function_of_motion_reruns_cleaning_and_below(done):
    path = done.root / "src/handroll/motion/outliers.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "\n\ndef another():\n    return 1\n", encoding="utf-8")
    assert done.planned(*TARGETS) == BELOW_MOTION
    path.write_text(before, encoding="utf-8")
    # The content decides, not the time of the last change.
    assert done.planned(*TARGETS) == {}


@pytest.mark.parametrize(
    ("module", "jobs"),
    [
        # What the survey observed stays: the segments and the scores of the screening are computed again, and hands are detected in
        # the segments; the pass over all frames is not repeated.
        ("editing/usable_segments.py", BELOW_SEGMENTS),
        ("screening/editing.py", BELOW_SEGMENTS),
        ("screening/visibility.py", BELOW_VISIBILITY),
        # Nothing is measured again.
        ("screening/criteria.py", VERDICTS),
        # Imported by name.
        ("music/silero.py", {"measure_audio": 2, **BELOW_DETECTION}),
        ("pose/landmarks.py", BELOW_FIT),
        # Another engine than the configured one.
        ("pose/hamer/engine.py", {}),
    ],
)
def test_what_scripts_also_run_reruns_them(done, module, jobs):
    path = done.root / "src/handroll" / module
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "\n\ndef another():\n    return 1\n", encoding="utf-8")
    planned = done.planned(*TARGETS)
    path.write_text(before, encoding="utf-8")
    assert planned == jobs


def test_a_correction_reruns_itself_and_below(finished_pair, copy_of, tmp_path):
    done = copy_of(finished_pair, tmp_path / "project")
    cleaned = [(done.root / "results/motion" / video / "motion.parquet").read_bytes() for video in VIDEOS]
    missing = done.run("motion", "--config", CORRECTED, check=False)
    assert missing.returncode and "train it as docs/how-to/correct-motion.md describes" in missing.stdout
    checkpoint = write_corrector(done.root / "mapnet.safetensors", std=0.1)
    assert done.jobs_of(done.run(*TARGETS, "--config", CORRECTED).stdout) == BELOW_CORRECTION
    for video, before in zip(VIDEOS, cleaned, strict=True):
        motion, corrected = (done.root / "results/motion" / video / f"{name}.parquet" for name in ("motion", "corrected"))
        assert motion.read_bytes() == before != corrected.read_bytes()
    row = pq.read_table(done.root / "results/dataset/train-00000.parquet").slice(0, 1).to_pylist()[0]
    assert json.loads(row["provenance"])["motion"]["corrector_sha256"] == file_sha256(checkpoint)
    write_corrector(checkpoint, std=0.2)
    os.utime(checkpoint, (1e9, 1e9))
    longer = CORRECTED.replace("checkpoint", "max_gap_s: 3.0, checkpoint")
    commands = [(*TARGETS, "--config", setting) for setting in (CORRECTED, longer, f"{CORRECTED[:-1]}, hampel: {{n_sigma: 4.0}}}}")]
    assert done.planned_each(commands) == [BELOW_CORRECTION, BELOW_CORRECTION, BELOW_CORRECTION | BELOW_MOTION]
    # Without the correction, the later rules use the cleaned motion again.
    assert done.planned(*TARGETS) == {rule: jobs for rule, jobs in BELOW_MOTION.items() if rule != "clean_motion"}


def test_real_rerun_touches_only_what_depends(done):
    before = results(done)
    assert done.jobs_of(done.run(*TARGETS, "--config", N_SIGMA).stdout) == BELOW_MOTION
    after = results(done)
    changed = {path for path in after if after[path] != before.get(path)}
    assert {path.split("/")[0] for path in changed} == {"motion", "dataset", "report"}
    assert "dataset/splits.parquet" not in changed
    assert done.planned(*TARGETS, "--config", N_SIGMA) == {}


def test_new_video_runs_only_its_jobs_and_collectors(done, small_videos):
    sheet = done.root / "videos.tsv"
    sheet.write_text(sheet.read_text(encoding="utf-8") + f"anna\tthree\t{small_videos[0]}\ttest\n", encoding="utf-8")
    planned = done.planned(*TARGETS, "--config", N_SIGMA)
    assert set(planned.values()) == {1}
    assert {"fetch_video", "detect_hands", "transcribe_audio", *BELOW_KEYBOARD} <= set(planned)
    assert {"split_videos", "write_shards", "describe_dataset"} <= set(planned)
