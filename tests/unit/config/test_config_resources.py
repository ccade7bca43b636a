import pytest

from handroll.config.resources import request, video_hours


def test_a_request_grows_with_the_length_and_with_each_attempt():
    assert request(1000) == 1000
    assert request(1000, per_hour=3000, hours=0.5) == 2500
    assert request(10, per_hour=20, hours=0.01) == 11
    assert request(1000, per_hour=3000, hours=0.5, attempt=3) == 7500


@pytest.mark.parametrize(
    ("probe", "listed_s", "hours"),
    [({"duration_s": 1800.0}, 7200.0, 0.5), ({"duration_s": None}, 7200.0, 2.0), ({}, None, 1.0), (None, 900.0, 0.25), (None, None, 1.0)],
)
def test_the_probed_length_wins_over_the_listed_one(probe, listed_s, hours):
    assert video_hours(probe, listed_s) == hours
