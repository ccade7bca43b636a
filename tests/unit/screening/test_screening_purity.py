import numpy as np
import pytest

from handroll.reasons import Reason
from handroll.screening.criteria import CRITERIA
from handroll.screening.purity import measure_purity

LIMITS = {"max_foreign_db": -8.0, "max_lasting_db": -55.0, "max_noise_db": -20.0}
SPANS = 100


def decide(scores):
    return CRITERIA["purity"].decide(scores, LIMITS)


def spans(foreign_db=-80.0, noise_db=-80.0, counted=0.5, places=slice(None)):
    """Spans of power 2, some of them with foreign power at a level relative to it."""
    foreign = np.zeros(SPANS)
    foreign[places] = 2.0 * 10.0 ** (foreign_db / 10.0)
    return {
        "power": np.full(SPANS, 2.0),
        "foreign": foreign,
        "noise": np.full(SPANS, 2.0 * 10.0 ** (noise_db / 10.0)),
        "counted": np.full(SPANS, counted),
    }


def test_clean():
    scores = measure_purity(**spans(foreign_db=-200.0))
    assert scores == {"foreign_db": -90.0, "lasting_db": -90.0, "noise_db": pytest.approx(-80.0)}
    assert decide(scores) == ()


def test_uncounted_time_adds_nothing():
    scores = measure_purity(**spans(foreign_db=-20.0, counted=0.25))
    assert scores["foreign_db"] == pytest.approx(-20.0 + 10.0 * np.log10(0.25))


def test_brief_foreign_sound_is_accepted_and_lasting_sound_is_not():
    short, long = (measure_purity(**spans(foreign_db=-40.0, places=slice(0, n))) for n in (10, 20))
    assert short["lasting_db"] == -90.0 and decide(short) == ()
    # Ten of 100 spans are left, of which half is counted.
    assert long["lasting_db"] == pytest.approx(-40.0 - 10.0 - 10.0 * np.log10(2.0))
    assert decide(long) == (Reason.SOUND_IMPURE,)


def test_loud_brief_sound_is_rejected():
    scores = measure_purity(**spans(foreign_db=8.0, places=slice(0, 8)))
    assert scores["lasting_db"] == -90.0 and decide(scores) == (Reason.SOUND_IMPURE,)


def test_levels_in_a_pause_are_relative_to_the_music():
    values = spans(foreign_db=-45.0, places=slice(0, 3))
    values["power"][:3] = values["foreign"][:3]
    scores = measure_purity(**values)
    assert scores["foreign_db"] < -45.0 and scores["lasting_db"] == -90.0


def test_steady_noise():
    scores = measure_purity(**spans(noise_db=-15.0))
    assert scores["noise_db"] == pytest.approx(-15.0)
    assert decide(scores) == (Reason.SOUND_NOISY,)


def test_noise_behind_dense_music_is_unknown():
    scores = measure_purity(**spans(noise_db=-15.0, counted=0.1))
    assert scores["noise_db"] is None and decide(scores) == ()


@pytest.mark.parametrize("size", [0, 5])
def test_no_audio(size):
    nothing = np.zeros(size)
    scores = measure_purity(nothing, nothing, nothing, nothing)
    assert scores == {"foreign_db": -90.0, "lasting_db": -90.0, "noise_db": None}
    assert decide(scores) == ()
