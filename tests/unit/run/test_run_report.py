import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from handroll.config.pipeline import Config
from handroll.config.sheet import Video
from handroll.run.report import FILES, STEPS, read_report, report_lines
from handroll.screening.criteria import CRITERIA
from handroll.storage import SchemaError

THRESHOLDS = Config().screening.model_dump() | {"motion_without_audio": True}
ROW = Video(subject="own", video="take", source="/films/take.mp4", override="accept")


@pytest.fixture
def results(tmp_path):
    """A folder with all results of a good video, and a function that writes one of them again."""
    root = tmp_path / "results"

    def write(path, values):
        file = root / path.format(v="own/take")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values) if isinstance(values, dict) else values, encoding="utf-8")

    for path in (*STEPS.values(), *(path for path, _ in FILES.values())):
        write(path, "something")
    for path in ("acquire/{v}/probe.json", "screening/{v}/survey.json", "screening/{v}/audio.json"):
        write(path, {"problems": [], "screening": {}})
    shares = {"both_hands": 1.0, "any_hand": 1.0, "left_hand": 1.0, "right_hand": 1.0}
    write("hands/{v}/visibility.json", {"screening": {"visibility": shares}})
    write("music/{v}/agreement.json", {"notes": "transcribed", "problem": None, "correction": None})
    write("keyboard/{v}/registration.json", {"problem": None, "source": "picture", "confidence": 0.93})
    write("keyboard/{v}/fingering.json", {"notes": 50, "labelled": 48, "delay": {"of": "audio", "estimate_s": 0.012, "trusted": True}})
    save_states(root, np.full((100, 2), 2))
    return tmp_path, write


def save_states(root, states):
    pq.write_table(pa.table({"state": states.reshape(-1).astype(np.int8)}), root / "motion/own/take/motion.parquet")


def report_of(root, row=ROW):
    report = read_report(root, row, THRESHOLDS)
    return report, "\n".join(report_lines(report, root / "results" / "logs"))


def test_a_good_video(results):
    report, text = report_of(results[0])
    assert report.useful and set(report.files) == set(FILES)
    assert text.splitlines()[:3] == [
        "take (/films/take.mp4): motion made",
        "  both hands in 100 % of the frames, 50 notes transcribed, keyboard detected (confidence 0.93), fingers for 96 % of the notes, "
        "audio 12 ms late (corrected)",
        "  A dataset would accept this video.",
    ]


def test_the_report_of_an_unusable_file_contains_only_the_reason(results):
    root, write = results
    write("acquire/{v}/probe.json", {"problems": ["source_empty"], "screening": {}})
    report, text = report_of(root)
    assert not report.useful and not report.files
    assert text.splitlines() == [
        "take (/films/take.mp4): not useful",
        "  The file is empty (zero bytes): copy or record the video again.",
    ]


def test_a_hand_that_is_missing_is_a_warning(results):
    root, _ = results
    states = np.full((100, 2), 2)
    states[:31, 1] = 0
    save_states(root / "results", states)
    report, text = report_of(root)
    assert report.useful and "warning: right hand missing in 31 % of the frames" in text and "left hand missing" not in text


def test_a_video_without_hands_is_not_useful_and_lists_no_file(results):
    root, write = results
    save_states(root / "results", np.zeros((100, 2)))
    write(
        "hands/{v}/visibility.json",
        {"screening": {"visibility": dict.fromkeys(("both_hands", "any_hand", "left_hand", "right_hand"), 0.0)}},
    )
    report, text = report_of(root)
    assert not report.useful and not report.files
    assert "not useful: (almost) no hand was detected" in text and "No hand was detected in any frame" in text
    # Where the camera moves throughout, no hand is looked for.
    write("screening/{v}/survey.json", {"screening": {"editing": dict.fromkeys(CRITERIA["editing"].scores, 0)}})
    text = report_of(root)[1]
    assert "not useful: no part of the video is usable" in text and "No hand was detected" not in text


def test_no_keyboard_no_notes_and_a_late_midi_file_are_warnings(results):
    root, write = results
    write("keyboard/{v}/registration.json", {"problem": "no_keyboard", "message": "no row of keys was found", "screening": {}})
    write("keyboard/{v}/fingering.json", {"notes": 0, "labelled": 0, "audio_delay_s": 0.0})
    write("music/{v}/agreement.json", {"notes": "given", "problem": None, "correction": {"offset_s": -3.27, "drift": 0.0}})
    report, text = report_of(root)
    assert report.useful and set(report.files) == {"overlay", "contact sheet", "motion"}
    assert "no keyboard, so motion is in the camera frame, without fingering: no row of keys was found" in text
    assert "warning: no notes were detected" in text
    assert "warning: the MIDI file is 3.3 s late: corrected" in text


def test_own_videos_are_screened_by_the_criteria_of_the_dataset(results):
    root, write = results
    write(
        "acquire/{v}/probe.json",
        {"problems": [], "screening": {"duration": {"duration_s": 0.5}, "audio": {"has_audio": False, "sound_s": 0.0}}},
    )
    report, text = report_of(root)
    assert report.useful
    # The whole video is short, not what is left of it after cuts.
    assert "shorter than the minimum duration" in text and "Too little of the video is usable" not in text
    assert "A dataset would not accept this video:" in text and "The video has no audio: record with audio" in text


def test_files_of_an_earlier_run_are_not_listed(results):
    root, _ = results
    (root / "results/keyboard/own/take/registration.json").unlink()
    report, text = report_of(root)
    assert not report.useful and not report.files
    assert (root / "results/motion/own/take/motion.parquet").is_file()
    assert "not finished: the step register_keyboard has no result" in text


@pytest.mark.parametrize("content", ["", '{"problems": [', "[1, 2]"])
@pytest.mark.parametrize("path", ["acquire/{v}/probe.json", "keyboard/{v}/fingering.json", "motion/{v}/motion.parquet"])
def test_a_damaged_result_raises_an_error_with_its_path(results, path, content):
    root, write = results
    write(path, content)
    with pytest.raises(
        SchemaError, match=f"{Path(path).name}: expected .*, found another kind of file or a damaged one.*; delete it and run again"
    ):
        report_of(root)


def test_another_table_in_place_of_the_motion_raises_an_error(results):
    for table in (pa.table({"a": [1]}), pa.table({"state": [1, 2, 3]})):
        pq.write_table(table, results[0] / "results/motion/own/take/motion.parquet")
        with pytest.raises(SchemaError, match=r"motion.parquet: expected"):
            report_of(results[0])


def test_a_video_that_a_person_rejected(results):
    report, text = report_of(results[0], ROW.model_copy(update={"override": "reject"}))
    assert not report.useful and "A person rejected the video in the sheet" in text


def test_the_steps_are_those_of_the_workflow():
    rules = Path(__file__).resolve().parents[3] / "workflow" / "rules"
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(rules.glob("*.smk")))
    listed = re.search(r"^STEPS = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)[1]
    assert [*STEPS] == [step for step in re.findall(r'"(\w+)"', listed) if step != "cut_clips"] + ["draw_overlay"]
    for step, path in STEPS.items():
        rule = text.partition(f"rule {step}:")[2].partition("\nrule ")[0]
        assert f'="results/{path.format(v="{subject}/{video}")}"' in rule, step
