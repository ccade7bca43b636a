import json
import subprocess
import sys

import numpy as np
import pytest

from handroll.screen.reasons import Reason
from handroll.screen.verdict import Verdict, screen, summary_tsv
from handroll.video.probe import Probe

THRESHOLDS = {
    "resolution": {"min_short_side_px": 1080, "min_long_side_px": 1920},
    "duration": {"min_s": 30.0, "max_s": 7200.0},
    "sound": {"required": True},
    "visibility": {"min_both_hands": 0.8},
}


def probed(**fields):
    good = {
        "readable": True,
        "width_px": 1920,
        "height_px": 1080,
        "n_frames": 10,
        "duration_s": 60.0,
        "has_audio": True,
        "audio_start_s": 0.0,
        "audio_duration_s": 60.0,
    }
    return json.loads(json.dumps(Probe(**{**good, **fields}).to_dict()))


def detected(frames=10, both=10):
    return {"found": np.arange(frames)[:, None] < np.array([frames, both])}


def test_a_good_video_passes():
    verdict = screen(probed(), detected(), THRESHOLDS)
    assert verdict.usable_for_motion and verdict.usable_for_dataset and verdict.reasons == ()
    assert [c.criterion for c in verdict.criteria] == ["resolution", "duration", "sound", "visibility"]
    assert all(c.passed for c in verdict.criteria)
    assert verdict.criteria[3].thresholds == {"min_both_hands": 0.8} and verdict.criteria[3].scores["both_hands"] == 1.0


def test_a_silent_video_still_gives_motion():
    verdict = screen(probed(has_audio=False, audio_start_s=None, audio_duration_s=None), detected(), THRESHOLDS)
    assert verdict.usable_for_motion and not verdict.usable_for_dataset
    assert verdict.reasons == (Reason.NO_AUDIO,)


def test_all_reasons_are_told_in_order():
    probe = probed(width_px=640, height_px=360, duration_s=5.0, has_audio=False, audio_start_s=None, audio_duration_s=None)
    verdict = screen(probe, detected(both=3), THRESHOLDS)
    assert not verdict.usable_for_motion and not verdict.usable_for_dataset
    assert verdict.reasons == (Reason.LOW_RESOLUTION, Reason.TOO_SHORT, Reason.NO_AUDIO, Reason.HANDS_RARELY_VISIBLE)


@pytest.mark.parametrize("problem", ["source_missing", "unreadable", "no_frames"])
def test_a_file_at_fault_has_no_secondary_reasons(problem):
    for detections in (None, detected(frames=0, both=0)):
        verdict = screen(json.loads(json.dumps(Probe(problems=(problem,)).to_dict())), detections, THRESHOLDS)
        assert verdict.reasons == (Reason(problem),) and verdict.criteria == ()
        assert not verdict.usable_for_motion and not verdict.usable_for_dataset


def test_a_truncated_video_names_the_probes_problems_only():
    verdict = screen(probed(problems=("truncated", "single_frame"), n_frames=1), detected(frames=1), THRESHOLDS)
    assert verdict.reasons == (Reason.TRUNCATED, Reason.SINGLE_FRAME)


def test_hands_not_looked_for_are_not_judged():
    assert [c.criterion for c in screen(probed(), None, THRESHOLDS).criteria] == ["resolution", "duration", "sound"]


def test_verdict_survives_json():
    for detections in (detected(both=3), detected()):
        verdict = screen(probed(duration_s=4.0), detections, THRESHOLDS)
        stored = json.loads(json.dumps({"subject": "a", "video": "b", **verdict.to_dict()}, allow_nan=False))
        assert Verdict.from_dict(stored) == verdict
        assert all(type(name) is str for name in verdict.to_dict()["reasons"])
    with pytest.raises(ValueError, match="bad_luck"):
        Verdict.from_dict({**verdict.to_dict(), "reasons": ["bad_luck"]})


def test_summary_has_one_row_a_video():
    good = {"subject": "a", "video": "1", **screen(probed(), detected(both=9), THRESHOLDS).to_dict()}
    bad = {"subject": "a", "video": "2", **screen(Probe(problems=("unreadable",)).to_dict(), None, THRESHOLDS).to_dict()}
    lines = [line.split("\t") for line in summary_tsv([good, bad]).splitlines()]
    first, second = (dict(zip(lines[0], line, strict=True)) for line in lines[1:])
    assert (
        first["usable_for_dataset"] == "true"
        and first["both_hands"] == "0.9"
        and first["short_side_px"] == "1080"
        and first["reasons"] == ""
    )
    assert second["reasons"] == "unreadable" and second["both_hands"] == "" and second["usable_for_motion"] == "false"
    assert summary_tsv([]).startswith("subject\tvideo\t")


def test_screening_loads_nothing_heavy():
    heavy = ("torch", "mediapipe", "cv2", "av", "librosa", "numba", "scipy")
    code = f"import sys, handroll.screen.verdict; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
