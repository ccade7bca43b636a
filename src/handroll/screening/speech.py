"""Does somebody speak? By a classifier of speech, on the sound alone, before anything is transcribed.

Piano hides quiet speech from such classifiers; what it leaves is found by `purity`, from the notes.
"""

import numpy as np

from handroll.reasons import Reason

SCORES = ("speech_share",)

SURE = 0.8
"""Probability of speech from which a moment counts: pianos reach 0.5 in up to 4 % of a recording, 0.8 in up to 1 %."""


def measure(probability):
    """Share of the time in which somebody speaks.

    Parameters
    ----------
    probability : float array (moment,)
        Of `handroll.music.speech.speech_probability`, 0..1.

    Returns
    -------
    dict
        `speech_share`, 0..1; 0 without moments.
    """
    return {"speech_share": float(np.mean(np.asarray(probability) >= SURE)) if len(probability) else 0.0}


def decide(scores, max_speech_share):
    """Compare with the greatest share of time with speech.

    Returns
    -------
    tuple of Reason
        Empty where nobody speaks for so long.
    """
    return () if scores["speech_share"] <= max_speech_share else (Reason.SPEECH,)
