import numpy as np
import pytest

from handroll.reasons import Reason
from handroll.screening import audio, duration, resolution, visibility


@pytest.mark.parametrize(
    ("width", "height", "passes"),
    [
        (1920, 1080, True),
        (1080, 1920, True),
        (3840, 2160, True),
        (1920, 1079, False),
        (1919, 1080, False),
        (1440, 1440, False),
        (640, 360, False),
    ],
)
def test_resolution(width, height, passes):
    reasons = resolution.decide(resolution.measure(width, height), min_short_side_px=1080, min_long_side_px=1920)
    assert reasons == (() if passes else (Reason.LOW_RESOLUTION,))


@pytest.mark.parametrize(
    ("seconds", "reasons"),
    [(29.9, (Reason.TOO_SHORT,)), (30.0, ()), (7200.0, ()), (7200.1, (Reason.TOO_LONG,))],
)
def test_duration(seconds, reasons):
    assert duration.decide(duration.measure(seconds), min_s=30.0, max_s=7200.0) == reasons


@pytest.mark.parametrize(
    ("has_audio", "start_s", "length_s", "covered_s", "reasons"),
    [
        (True, 0.0, 60.0, 60.0, ()),
        (True, -0.02, 60.0, 59.98, ()),
        (True, 50.0, 60.0, 10.0, ()),
        (True, 0.0, 0.0, 0.0, (Reason.AUDIO_EMPTY,)),
        (True, 70.0, 5.0, 0.0, (Reason.AUDIO_EMPTY,)),
        (True, -9.0, 5.0, 0.0, (Reason.AUDIO_EMPTY,)),
        (True, None, None, 0.0, (Reason.AUDIO_EMPTY,)),
        (False, None, None, 0.0, (Reason.NO_AUDIO,)),
    ],
)
def test_sound(has_audio, start_s, length_s, covered_s, reasons):
    scores = audio.measure(has_audio, start_s, length_s, duration_s=60.0)
    assert scores["sound_s"] == pytest.approx(covered_s)
    assert audio.decide(scores, required=True) == reasons
    assert audio.decide(scores, required=False) == ()


def test_visibility_scores():
    found = np.array([[True, True], [True, False], [False, False], [True, False]])
    assert visibility.measure(found) == {"both_hands": 0.25, "any_hand": 0.75, "left_hand": 0.75, "right_hand": 0.25}
    assert visibility.measure(np.zeros((0, 2), bool)) == dict.fromkeys(visibility.SCORES, 0.0)


@pytest.mark.parametrize(
    ("both", "either", "reasons"),
    [
        (0.8, 1.0, ()),
        (0.79, 1.0, (Reason.HANDS_RARELY_VISIBLE,)),
        (0.0, 1.0, (Reason.HANDS_RARELY_VISIBLE,)),
        (0.0, 0.0, (Reason.NO_HANDS,)),
    ],
)
def test_visibility(both, either, reasons):
    assert visibility.decide({"both_hands": both, "any_hand": either}, min_both_hands=0.8) == reasons


def test_every_criterion_lists_its_scores():
    assert tuple(resolution.measure(3, 4)) == resolution.SCORES
    assert tuple(duration.measure(1.0)) == duration.SCORES
    assert tuple(audio.measure(False, None, None, 1.0)) == audio.SCORES
    assert tuple(visibility.measure(np.ones((1, 2), bool))) == visibility.SCORES
