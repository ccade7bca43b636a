from types import SimpleNamespace

import pytest

from handroll.screening.criteria import CRITERIA
from handroll.screening.metadata import measure_audio, measure_probe, measure_resolution


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920)])
def test_orientation_does_not_matter(width, height):
    assert measure_resolution(width, height) == {"short_side_px": 1080, "long_side_px": 1920}


@pytest.mark.parametrize(
    ("has_audio", "start_s", "length_s", "covered_s"),
    [
        (True, 0.0, 60.0, 60.0),
        (True, -0.02, 60.0, 59.98),
        (True, 50.0, 60.0, 10.0),
        (True, 0.0, 0.0, 0.0),
        (True, 70.0, 5.0, 0.0),
        (True, -9.0, 5.0, 0.0),
        (True, None, None, 0.0),
        (False, None, None, 0.0),
    ],
)
def test_audio(has_audio, start_s, length_s, covered_s):
    scores = measure_audio(has_audio, start_s, length_s, duration_s=60.0)
    assert scores == {"has_audio": has_audio, "sound_s": pytest.approx(covered_s)}


def test_a_probe_gives_all_scores_and_one_with_problems_none():
    facts = {"width_px": 1280, "height_px": 720, "duration_s": 60.0, "has_audio": True, "audio_start_s": 0.0, "audio_duration_s": 60.0}
    scores = measure_probe(SimpleNamespace(**facts, problems=()))
    assert {name: tuple(values) for name, values in scores.items()} == {
        name: CRITERIA[name].scores for name in ("resolution", "duration", "audio")
    }
    assert scores["duration"]["duration_s"] == 60.0 and scores["audio"]["sound_s"] == 60.0
    assert measure_probe(SimpleNamespace(**facts, problems=("truncated",))) == {}
