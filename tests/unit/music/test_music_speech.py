import sys
from types import ModuleType

import numpy as np
import pytest

from handroll.music import speech


def test_an_unknown_classifier_is_named():
    with pytest.raises(ValueError, match=r"silero.*'ears'"):
        speech.speech_probability(np.zeros(100), 16_000, "ears")


def test_samples_are_mono():
    with pytest.raises(ValueError, match="mono"):
        speech.speech_probability(np.zeros((100, 2)), 16_000, "silero")


@pytest.mark.parametrize("size", [0, 16_000])
def test_silence_does_not_call_the_classifier(size, monkeypatch):
    monkeypatch.setitem(speech.CLASSIFIERS, "silero", "handroll.no_such_module")
    probability, hop_s = speech.speech_probability(np.zeros(size), 16_000, "silero")
    assert len(probability) == 0 and hop_s == 0.0


def test_another_classifier_can_be_plugged_in(monkeypatch):
    module = ModuleType("loud")
    module.classify = lambda samples, rate_hz, threads: (np.abs(samples[::100]), 100 / rate_hz)
    monkeypatch.setitem(sys.modules, "loud", module)
    monkeypatch.setitem(speech.CLASSIFIERS, "loud", "loud")
    probability, hop_s = speech.speech_probability(np.full(1000, 0.5), 16_000, "loud")
    assert probability == pytest.approx(0.5) and len(probability) == 10 and hop_s == pytest.approx(0.00625)
