import numpy as np
import pytest

from handroll.reasons import Reason
from handroll.screening import speech


def test_share_of_sure_moments():
    scores = speech.measure(np.array([0.0, 0.5, speech.SURE, 1.0]))
    assert scores == {"speech_share": 0.5}
    assert speech.decide(scores, max_speech_share=0.49) == (Reason.SPEECH,)
    assert speech.decide(scores, max_speech_share=0.5) == ()


def test_no_moments():
    scores = speech.measure(np.zeros(0))
    assert scores == {"speech_share": pytest.approx(0.0)} and speech.decide(scores, max_speech_share=0.0) == ()
