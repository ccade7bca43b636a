import pytest

from handroll.editing.usable_segments import subtract_intervals, usable_segments


def _edits(**changed):
    empty = {name: [] for name in ("cuts", "jumps", "fades", "black", "blank", "frozen", "titles", "insets", "moves")}
    return {"frames": 600, "duration_s": 20.0, "frame_s": 0.0, "places": [(0.0, 20.0, 0)], **empty, **changed}


def test_an_unedited_video_is_usable_throughout():
    assert usable_segments(_edits()) == [(0.0, 20.0)]


@pytest.mark.parametrize("name", ["fades", "black", "blank", "frozen", "titles", "insets", "moves"])
def test_obstructed_intervals_are_left_out(name):
    assert usable_segments(_edits(**{name: [[5.0, 6.0]]})) == [(0.0, 5.0), (6.0, 20.0)]


def test_a_frame_next_to_an_obstruction_is_left_out():
    assert usable_segments(_edits(frozen=[(5.0, 6.0)], frame_s=0.04)) == [(0.0, pytest.approx(4.96)), (pytest.approx(6.04), 20.0)]


def test_short_segments_are_left_out():
    assert usable_segments(_edits(jumps=[3.0, 4.0]), min_s=2.0) == [(0.0, 3.0), (4.0, 20.0)]


def test_the_longest_view_is_the_main_one_without_hands():
    places = [(0.0, 5.0, 0), (5.0, 16.0, 1), (16.0, 20.0, 0)]
    assert usable_segments(_edits(cuts=[5.0, 16.0], places=places)) == [(5.0, 16.0)]


def test_the_view_with_hands_is_the_main_one():
    places = [(0.0, 5.0, 0), (5.0, 16.0, 1), (16.0, 20.0, 0)]
    hands = {"time_s": [1.0, 3.0, 7.0, 9.0, 11.0, 17.0], "hands": [2, 1, 0, 0, 0, 2]}
    assert usable_segments(_edits(cuts=[5.0, 16.0], places=places), hands) == [(0.0, 5.0), (16.0, 20.0)]


def test_intro_and_outro_without_hands_are_trimmed():
    hands = {"time_s": [1.0, 4.0, 6.0, 10.0, 14.0, 18.0], "hands": [0, 0, 2, 0, 2, 0]}
    assert usable_segments(_edits(), hands) == [(5.0, 16.0)]


def test_a_short_pause_before_playing_is_kept():
    hands = {"time_s": [1.0, 2.5, 10.0, 18.5, 19.5], "hands": [0, 2, 2, 2, 0]}
    assert usable_segments(_edits(), hands) == [(0.0, 20.0)]


def test_no_hands_no_segments():
    assert usable_segments(_edits(), {"time_s": [1.0, 10.0], "hands": [0, 0]}) == []


def test_no_static_view_no_segments():
    assert usable_segments(_edits(places=[], moves=[(0.0, 20.0, 0.1, 1.0)])) == []


def test_subtract_intervals():
    assert subtract_intervals((0.0, 10.0), [(8.0, 12.0), (-1.0, 1.0), (0.5, 3.0)]) == [(3.0, 8.0)]
    assert subtract_intervals((0.0, 10.0), [(-1.0, 11.0)]) == []
