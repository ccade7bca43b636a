import pytest

from handroll.screening.criteria import CRITERIA
from handroll.screening.editing import measure_camera_motion, measure_editing


def _edits(**changed):
    empty = {name: [] for name in ("cuts", "jumps", "fades", "black", "blank", "frozen", "titles", "insets", "moves")}
    return {"frames": 600, "duration_s": 20.0, "frame_s": 0.0, "places": [(0.0, 20.0, 0)], **empty, **changed}


def test_editing_scores():
    edits = _edits(
        cuts=[4.0], jumps=[15.0], black=[(0.0, 1.0)], blank=[(1.0, 1.5)], titles=[(1.5, 4.0)], insets=[(6.0, 8.0, []), (7.0, 9.0, [])]
    )
    scores = measure_editing(edits)
    assert tuple(scores) == CRITERIA["editing"].scores
    assert scores["black_s"] == 1.5 and scores["title_s"] == 2.5 and scores["inset_s"] == 3.0
    assert (scores["cuts"], scores["jumps"], scores["fades"], scores["frozen_s"]) == (1, 1, 0, 0.0)
    # 4 to 6 s, 9 to 15 s and 15 to 20 s.
    assert (scores["usable_s"], scores["longest_usable_s"], scores["segments"]) == (13.0, 6.0, 3)
    assert scores["usable_share"] == pytest.approx(0.65)


def test_a_video_without_edits_is_one_segment():
    scores = measure_editing(_edits())
    assert (scores["usable_s"], scores["usable_share"], scores["segments"]) == (20.0, 1.0, 1)
    assert measure_editing(_edits(duration_s=0.0, places=[]))["usable_share"] == 0.0


def test_camera_motion():
    places, moves = [(0.0, 8.0, 0), (10.0, 18.0, 1)], [(8.0, 10.0, 0.1, 1.2), (18.0, 20.0, 0.05, 1.0)]
    scores = measure_camera_motion(_edits(places=places, moves=moves))
    assert tuple(scores) == CRITERIA["camera_motion"].scores
    assert scores == {"moving_s": 4.0, "moving_share": 0.2, "camera_shift": 0.1, "camera_zoom": 1.2, "places": 2}


def test_camera_of_a_black_video():
    assert measure_camera_motion(_edits(places=[]))["moving_share"] == 0.0
