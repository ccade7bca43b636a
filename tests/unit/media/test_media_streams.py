"""Conversion of timestamps to times: frames without a timestamp, never visible, or of another recording."""

import pytest

from handroll.media.streams import TimestampConverter


def convert(pts_s, nominal_s=0.1):
    converter = TimestampConverter(nominal_s)
    return converter, [converter.time_s(t) for t in pts_s]


def test_times_start_at_the_first_frame():
    assert convert([7.0, 7.1, 7.3])[1] == pytest.approx([0, 0.1, 0.3])


def test_a_missing_timestamp_follows_the_previous_frame():
    assert convert([None, None, 5.2, None, 5.5])[1] == pytest.approx([0, 0.1, 0.2, 0.3, 0.5])


def test_a_frame_not_later_than_the_previous_one_has_no_time():
    assert convert([0.0, 0.1, 0.1, 0.05, 0.2])[1] == [0.0, 0.1, None, None, 0.2]


def test_concatenated_recordings_have_different_offsets():
    converter, found = convert([20.0, 20.1])
    converter.set_offset(3.0 - 0.2)
    assert [*found, converter.time_s(3.0), converter.time_s(2.9), converter.time_s(3.1)] == pytest.approx([0, 0.1, 0.2, None, 0.3])
