import numpy as np
import pytest

from handroll.reasons import Reason
from handroll.screening import purity

LIMITS = {"max_foreign_db": -8.0, "max_lasting_db": -55.0, "max_noise_db": -20.0}
SPANS = 100


def spans(foreign_db=-80.0, noise_db=-80.0, counted=0.5, places=slice(None)):
    """Spans of power 2, some of them with foreign power at a level against it."""
    foreign = np.zeros(SPANS)
    foreign[places] = 2.0 * 10.0 ** (foreign_db / 10.0)
    return {
        "power": np.full(SPANS, 2.0),
        "foreign": foreign,
        "noise": np.full(SPANS, 2.0 * 10.0 ** (noise_db / 10.0)),
        "counted": np.full(SPANS, counted),
    }


def test_clean():
    scores = purity.measure(**spans(foreign_db=-200.0))
    assert scores == {"foreign_db": -90.0, "lasting_db": -90.0, "noise_db": pytest.approx(-80.0)}
    assert purity.decide(scores, **LIMITS) == ()


def test_what_is_not_counted_adds_nothing():
    scores = purity.measure(**spans(foreign_db=-20.0, counted=0.25))
    assert scores["foreign_db"] == pytest.approx(-20.0 + 10.0 * np.log10(0.25))


def test_what_passes_is_forgiven_and_what_lasts_is_not():
    short, long = (purity.measure(**spans(foreign_db=-40.0, places=slice(0, n))) for n in (10, 20))
    assert short["lasting_db"] == -90.0 and purity.decide(short, **LIMITS) == ()
    # Ten of 100 spans are left, of which half is counted.
    assert long["lasting_db"] == pytest.approx(-40.0 - 10.0 - 10.0 * np.log10(2.0))
    assert purity.decide(long, **LIMITS) == (Reason.SOUND_IMPURE,)


def test_loud_talk_is_not_forgiven():
    scores = purity.measure(**spans(foreign_db=8.0, places=slice(0, 8)))
    assert scores["lasting_db"] == -90.0 and purity.decide(scores, **LIMITS) == (Reason.SOUND_IMPURE,)


def test_a_pause_is_measured_against_the_music():
    values = spans(foreign_db=-45.0, places=slice(0, 3))
    values["power"][:3] = values["foreign"][:3]
    assert purity.levels_db(values["power"], values["foreign"], values["counted"])[:3].max() < -45.0
    assert purity.measure(**values)["lasting_db"] == -90.0


def test_steady_noise():
    scores = purity.measure(**spans(noise_db=-15.0))
    assert scores["noise_db"] == pytest.approx(-15.0)
    assert purity.decide(scores, **LIMITS) == (Reason.SOUND_NOISY,)


def test_noise_behind_dense_music_is_unknown():
    scores = purity.measure(**spans(noise_db=-15.0, counted=0.1))
    assert scores["noise_db"] is None and purity.decide(scores, **LIMITS) == ()


@pytest.mark.parametrize("size", [0, 5])
def test_no_sound(size):
    nothing = np.zeros(size)
    scores = purity.measure(nothing, nothing, nothing, nothing)
    assert scores == {"foreign_db": -90.0, "lasting_db": -90.0, "noise_db": None}
    assert purity.decide(scores, **LIMITS) == ()
