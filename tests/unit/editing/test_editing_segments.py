import numpy as np

from handroll.editing.segments import bounds, within

TIMES_S = np.arange(10) / 10


def test_a_segment_contains_its_start_but_not_its_end():
    assert bounds(TIMES_S, [(0.2, 0.5), (0.5, 0.7)]) == [(2, 5), (5, 7)]
    np.testing.assert_array_equal(np.flatnonzero(within(TIMES_S, [(0.2, 0.5), (0.8, 9.0)])), [2, 3, 4, 8, 9])


def test_rounding_errors_move_no_frame_across_a_boundary():
    assert bounds(np.arange(10) * 0.1, [(0.3, 0.6)]) == bounds(np.cumsum(np.r_[0.0, np.full(9, 0.1)]), [(0.3, 0.6)]) == [(3, 6)]


def test_segments_without_a_frame_are_left_out():
    assert bounds(TIMES_S, [(0.11, 0.19), (5.0, 6.0)]) == []
    assert bounds(np.empty(0), [(0.0, 1.0)]) == []
    assert not within(TIMES_S, []).any()
