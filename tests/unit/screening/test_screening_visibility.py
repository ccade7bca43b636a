import numpy as np
import pytest

from handroll.screening.criteria import CRITERIA
from handroll.screening.visibility import measure_visibility

TIME_S = np.arange(10) * 0.5
FOUND = np.stack([np.arange(10) >= 4, np.arange(10) >= 6], axis=1)


def test_shares_of_frames():
    found = np.array([[True, True], [True, False], [False, False], [True, False]])
    assert measure_visibility(found) == {"both_hands": 0.25, "any_hand": 0.75, "left_hand": 0.75, "right_hand": 0.25}
    assert measure_visibility(np.zeros((0, 2), bool)) == dict.fromkeys(CRITERIA["visibility"].scores, 0.0)


def test_frames_outside_of_the_segments_do_not_count():
    assert measure_visibility(FOUND)["both_hands"] == 0.4
    scores = measure_visibility(FOUND, TIME_S, [(2.0, 3.5), (4.5, 9.0)])
    assert scores == {"both_hands": 0.5, "any_hand": 1.0, "left_hand": 1.0, "right_hand": 0.5}


def test_no_segment_is_no_frame():
    assert measure_visibility(FOUND, TIME_S, []) == dict.fromkeys(CRITERIA["visibility"].scores, 0.0)


def test_segments_need_the_times_of_all_frames():
    for time_s in (None, TIME_S[:9]):
        with pytest.raises(ValueError, match="expected 10 times"):
            measure_visibility(FOUND, time_s, [(0.0, 1.0)])
