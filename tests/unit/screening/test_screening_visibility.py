import numpy as np
import pytest

from handroll.reasons import Reason
from handroll.screening import visibility

TIME_S = np.arange(10) * 0.5
FOUND = np.stack([np.arange(10) >= 4, np.arange(10) >= 6], axis=1)


def test_frames_outside_of_the_segments_do_not_count():
    assert visibility.measure(FOUND)["both_hands"] == 0.4
    scores = visibility.measure(FOUND, TIME_S, [(2.0, 3.5), (4.5, 9.0)])
    assert scores == {"both_hands": 0.5, "any_hand": 1.0, "left_hand": 1.0, "right_hand": 0.5}


def test_no_segment_is_no_frame():
    assert visibility.measure(FOUND, TIME_S, []) == dict.fromkeys(visibility.SCORES, 0.0)


def test_segments_need_the_times_of_all_frames():
    for time_s in (None, TIME_S[:9]):
        with pytest.raises(ValueError, match="times of 10 frames"):
            visibility.measure(FOUND, time_s, [(0.0, 1.0)])


@pytest.mark.parametrize(
    ("both", "either", "min_both", "min_any", "reasons"),
    [
        (0.8, 0.9, 0.8, 0.9, ()),
        (0.8, 0.89, 0.8, 0.9, (Reason.HANDS_RARELY_VISIBLE,)),
        (0.79, 1.0, 0.8, 0.9, (Reason.HANDS_RARELY_VISIBLE,)),
        (0.0, 1.0, 0.0, 0.9, ()),
        (0.0, 0.0, 0.0, 0.9, (Reason.NO_HANDS,)),
        (0.0, 0.0, 0.8, 0.0, (Reason.NO_HANDS,)),
        (0.0, 0.0, 0.0, 0.0, ()),
    ],
)
def test_both_shares_are_compared(both, either, min_both, min_any, reasons):
    assert visibility.decide({"both_hands": both, "any_hand": either}, min_both, min_any) == reasons
