import json
import subprocess
import sys

import pytest

from handroll.config.pipeline import Screening
from handroll.reasons import Reason
from handroll.screening.criteria import CRITERIA
from handroll.screening.metadata import measure_audio, measure_resolution
from handroll.screening.verdict import in_words, judge, summary_tsv

THRESHOLDS = Screening().model_dump()


def probed(width_px=1920, height_px=1080, duration_s=60.0, has_audio=True, problems=()):
    """Values of probe.json that the verdict needs."""
    scores = {
        "resolution": measure_resolution(width_px, height_px),
        "duration": {"duration_s": duration_s},
        "audio": measure_audio(has_audio, 0.0, duration_s, duration_s),
    }
    return {"problems": list(problems), "screening": {} if problems else scores}


def detected(both=1.0):
    """Values of visibility.json."""
    return {"screening": {"visibility": {**dict.fromkeys(CRITERIA["visibility"].scores, 1.0), "both_hands": both}}}


def test_a_good_video_passes():
    verdict = judge([probed(), detected()], THRESHOLDS)
    assert verdict.usable_for_motion and verdict.usable_for_dataset and verdict.reasons == ()
    assert [c.criterion for c in verdict.criteria] == ["resolution", "duration", "audio", "visibility"]
    assert all(c.passed for c in verdict.criteria)
    assert verdict.criteria[3].thresholds == THRESHOLDS["visibility"] and verdict.criteria[3].scores["both_hands"] == 1.0


def test_a_criterion_without_scores_does_not_count():
    assert judge([], THRESHOLDS).usable_for_dataset
    assert [c.criterion for c in judge([probed()], THRESHOLDS).criteria] == ["resolution", "duration", "audio"]


def test_a_video_without_audio_gives_motion_if_configured():
    silent = [probed(has_audio=False), detected()]
    verdict = judge(silent, THRESHOLDS | {"motion_without_audio": False})
    assert not verdict.usable_for_motion and not verdict.usable_for_dataset and verdict.reasons == (Reason.NO_AUDIO,)
    verdict = judge(silent, THRESHOLDS)
    assert verdict.usable_for_motion and not verdict.usable_for_dataset
    assert not judge([probed(duration_s=5.0, has_audio=False)], THRESHOLDS).usable_for_motion


@pytest.mark.parametrize(
    ("video", "motion", "clips", "reasons"),
    [
        ({"width_px": 1280, "height_px": 720, "duration_s": 10.0}, True, True, ()),
        ({"width_px": 720, "height_px": 1280, "duration_s": 27.0}, True, True, ()),
        ({"width_px": 960, "height_px": 720}, True, True, ()),
        ({"width_px": 1280, "height_px": 720, "has_audio": False}, True, False, (Reason.NO_AUDIO,)),
        ({"width_px": 640, "height_px": 360}, False, False, (Reason.LOW_RESOLUTION,)),
        ({"duration_s": 7.9}, False, False, (Reason.TOO_SHORT,)),
    ],
)
def test_typical_videos_under_the_defaults(video, motion, clips, reasons):
    verdict = judge([probed(**video), detected()], THRESHOLDS)
    assert (verdict.usable_for_motion, verdict.usable_for_dataset, verdict.reasons) == (motion, clips, reasons)


def test_all_reasons_are_reported_in_order():
    verdict = judge([probed(640, 360, 5.0, has_audio=False), detected(both=0.3)], THRESHOLDS)
    assert verdict.reasons == (Reason.LOW_RESOLUTION, Reason.TOO_SHORT, Reason.NO_AUDIO, Reason.HANDS_RARELY_VISIBLE)


@pytest.mark.parametrize("problem", ["source_missing", "unreadable", "no_frames"])
def test_a_problem_of_the_file_has_no_secondary_reasons(problem):
    verdict = judge([probed(problems=[problem]), {"screening": {}}], THRESHOLDS)
    assert verdict.reasons == (Reason(problem),) and verdict.criteria == ()
    assert not verdict.usable_for_motion and not verdict.usable_for_dataset


def test_the_later_measurement_counts():
    rough, exact = ({"screening": {"duration": {"duration_s": value}}} for value in (1.0, 60.0))
    assert judge([rough], THRESHOLDS).reasons == (Reason.TOO_SHORT,)
    assert judge([rough, exact], THRESHOLDS).reasons == ()


def test_a_person_overrules_the_scores_and_not_the_file():
    small = [probed(width_px=640), detected(both=0.1)]
    verdict = judge(small, THRESHOLDS, "accept")
    assert verdict.usable_for_dataset and verdict.reasons == () and verdict.override == "accept"
    assert [c.passed for c in verdict.criteria] == [False, True, True, False]
    assert judge([probed(problems=["unreadable"])], THRESHOLDS, "accept").reasons == (Reason.UNREADABLE,)
    verdict = judge([probed()], THRESHOLDS, "reject")
    assert not verdict.usable_for_motion and verdict.reasons == (Reason.REJECTED_BY_HAND,)
    with pytest.raises(ValueError, match="maybe"):
        judge([], THRESHOLDS, "maybe")


def test_a_problem_that_is_no_reason_is_an_error():
    with pytest.raises(ValueError, match="bad_luck"):
        judge([probed(problems=["bad_luck"])], THRESHOLDS)


def test_verdicts_are_json():
    stored = json.loads(json.dumps(judge([probed(duration_s=4.0), detected()], THRESHOLDS).to_dict(), allow_nan=False))
    assert stored["reasons"] == ["too_short"] and stored["criteria"][1]["scores"] == {"duration_s": 4.0}


def test_summary_has_one_row_a_video():
    good = {"subject": "a", "video": "1", **judge([probed(), detected(both=0.9)], THRESHOLDS).to_dict()}
    bad = {"subject": "a", "video": "2", **judge([probed(problems=["unreadable"])], THRESHOLDS, "accept").to_dict()}
    lines = [line.split("\t") for line in summary_tsv([good, bad]).splitlines()]
    first, second = (dict(zip(lines[0], line, strict=True)) for line in lines[1:])
    assert (first["usable_for_dataset"], first["both_hands"], first["short_side_px"], first["reasons"]) == ("true", "0.9", "1080", "")
    assert (second["reasons"], second["both_hands"], second["usable_for_motion"], second["override"]) == (
        "unreadable",
        "",
        "false",
        "accept",
    )
    assert first["verdict"] == "accepted" and second["verdict"] == f"rejected: {Reason.UNREADABLE.description}"
    assert summary_tsv([]).startswith("subject\tvideo\t")


def test_a_verdict_in_words_contains_scores_and_thresholds():
    assert in_words(judge([probed(), detected()], THRESHOLDS).to_dict()) == "accepted"
    words = in_words(judge([probed(width_px=640, height_px=360, duration_s=27.0)], THRESHOLDS).to_dict())
    assert words == (
        f"rejected: {Reason.LOW_RESOLUTION.description} (found short_side_px 360, long_side_px 640; "
        "threshold min_short_side_px 720, min_long_side_px 960)"
    )
    words = in_words(judge([probed(has_audio=False)], THRESHOLDS).to_dict())
    assert words.startswith(f"motion only: {Reason.NO_AUDIO.description} (found has_audio false, sound_s 0; threshold required true)")


def test_screening_loads_nothing_heavy():
    heavy = ("torch", "mediapipe", "cv2", "av", "librosa", "numba", "scipy")
    code = f"import sys, handroll.screening.verdict; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
