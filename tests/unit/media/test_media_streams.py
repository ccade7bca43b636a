"""The clock: frames without a time, never seen, or of another recording."""

import pytest

from handroll.media.streams import Clock


def run(pts_s, nominal_s=0.1):
    clock = Clock(nominal_s)
    return clock, [clock.time(t) for t in pts_s]


def test_times_start_at_the_first_frame():
    clock, found = run([7.0, 7.1, 7.3])
    assert found == pytest.approx([0, 0.1, 0.3]) and clock.start_s == 7.0


def test_a_missing_time_follows_its_predecessor():
    clock, found = run([None, None, 5.2, None, 5.5])
    assert found == pytest.approx([0, 0.1, 0.2, 0.3, 0.5]) and clock.start_s == pytest.approx(5.0)


def test_a_frame_not_later_than_its_predecessor_is_not_seen():
    assert run([0.0, 0.1, 0.1, 0.05, 0.2])[1] == [0.0, 0.1, None, None, 0.2]


def test_joined_recordings_have_other_offsets():
    clock, found = run([20.0, 20.1])
    clock.join(3.0 - 0.2)
    assert [*found, clock.time(3.0), clock.time(2.9), clock.time(3.1)] == pytest.approx([0, 0.1, 0.2, None, 0.3])
