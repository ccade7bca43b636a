import numpy as np

from handroll.mask_runs import flicker, in_runs, runs


def test_runs_have_a_start_and_a_stop():
    start, stop = runs(np.array([1, 1, 0, 0, 1, 0, 1], dtype=bool))
    assert (start.tolist(), stop.tolist()) == ([0, 4, 6], [2, 5, 7])


def test_no_frames_and_none_true():
    assert [a.tolist() for a in runs(np.zeros(0, dtype=bool))] == [[], []]
    assert in_runs(*runs(np.zeros(0, dtype=bool)), 0).shape == (0,)
    assert not flicker(np.zeros(20, dtype=bool), 15).any()


def test_runs_of_14_are_flicker_and_of_15_are_not():
    visible = np.zeros(200, dtype=bool)
    visible[50:64] = True
    visible[100:115] = True
    visible[190:] = True  # the video ends: what follows counts as hidden
    assert np.flatnonzero(flicker(visible, 15)).tolist() == [*range(50, 64), *range(190, 200)]
