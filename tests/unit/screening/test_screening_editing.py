import pytest

from handroll.reasons import Reason
from handroll.screening import camera_motion, editing


def _edits(**changed):
    empty = {name: [] for name in ("cuts", "jumps", "fades", "black", "blank", "frozen", "titles", "insets", "moves")}
    return {"frames": 600, "duration_s": 20.0, "frame_s": 0.0, "places": [(0.0, 20.0, 0)], **empty, **changed}


def test_editing_scores():
    edits = _edits(
        cuts=[4.0], jumps=[15.0], black=[(0.0, 1.0)], blank=[(1.0, 1.5)], titles=[(1.5, 4.0)], insets=[(6.0, 8.0, []), (7.0, 9.0, [])]
    )
    scores = editing.measure(edits, min_segment_s=3.0)
    assert tuple(scores) == editing.SCORES
    assert scores["black_s"] == 1.5 and scores["title_s"] == 2.5 and scores["inset_s"] == 3.0
    assert (scores["usable_s"], scores["longest_usable_s"], scores["segments"]) == (11.0, 6.0, 2)
    assert scores["usable_share"] == pytest.approx(0.55)


def test_editing_counts_what_is_playable_only():
    few = editing.measure(_edits(jumps=[float(k) for k in range(1, 20)]), min_segment_s=2.0)
    assert few["usable_s"] == 0.0 and few["jumps"] == 19
    assert editing.decide(few, min_usable_s=5.0, min_longest_s=2.0) == (Reason.CUT_UP,)
    whole = editing.measure(_edits())
    assert editing.decide(whole, min_usable_s=20.0, min_longest_s=20.0) == ()
    assert editing.decide(whole, min_usable_s=20.1, min_longest_s=5.0) == (Reason.CUT_UP,)
    assert editing.decide(whole, min_usable_s=5.0, min_longest_s=20.1) == (Reason.CUT_UP,)


def test_camera_motion():
    places, moves = [(0.0, 8.0, 0), (10.0, 18.0, 1)], [(8.0, 10.0, 0.1, 1.2), (18.0, 20.0, 0.05, 1.0)]
    scores = camera_motion.measure(_edits(places=places, moves=moves))
    assert tuple(scores) == camera_motion.SCORES
    assert scores == {"moving_s": 4.0, "moving_share": 0.2, "camera_shift": 0.1, "camera_zoom": 1.2, "places": 2}
    assert camera_motion.decide(scores, max_moving_share=0.2) == ()
    assert camera_motion.decide(scores, max_moving_share=0.19) == (Reason.CAMERA_MOVES,)


def test_camera_of_a_black_video():
    assert camera_motion.measure(_edits(places=[]))["moving_share"] == 0.0
