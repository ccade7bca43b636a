"""Speech detection with selectable classifiers.

To add a classifier, write a module with `VERSION` and `classify`, and add it to `CLASSIFIERS`.
"""

import importlib

import numpy as np

from handroll.media.audio import SILENCE_PEAK

CLASSIFIERS = {"silero": "handroll.music.silero"}
"""Module of each classifier, by name. A module has a `VERSION` and `classify(samples, rate_hz, threads) -> (probability, hop_s)`. Modules
need large libraries, so each is imported only when it is used."""


def speech_probability(samples, rate_hz, classifier, threads=1):
    """Estimate the probability of speech over time.

    Parameters
    ----------
    samples : float array (sample,)
        Mono, -1..1. Without samples, or for silence, the result is empty and the classifier is not loaded.
    rate_hz : int
    classifier : str
        A key of `CLASSIFIERS`.
    threads : int
        Number of CPU threads.

    Returns
    -------
    probability : float32 array (moment,), 0..1
    hop_s : float
        Time between successive moments; 0 if there are none.

    Raises
    ------
    ValueError
        The classifier is unknown, or the samples are not mono.
    """
    if classifier not in CLASSIFIERS:
        raise ValueError(f"expected one of the speech classifiers {', '.join(sorted(CLASSIFIERS))}, found {classifier!r}")
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1:
        raise ValueError(f"expected mono samples (sample,), found shape {samples.shape}")
    if np.max(np.abs(samples), initial=0.0) < SILENCE_PEAK:
        return np.zeros(0, np.float32), 0.0
    return importlib.import_module(CLASSIFIERS[classifier]).classify(samples, rate_hz, threads)
