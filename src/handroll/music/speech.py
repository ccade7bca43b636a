"""Speech detection with exchangeable classifiers. A new classifier is a module with `VERSION` and `classify`, and an entry here."""

import importlib

import numpy as np

from handroll.media.audio import SILENCE_PEAK

CLASSIFIERS = {"silero": "handroll.music.silero"}
"""Classifiers by name: modules with a `VERSION` and `classify(samples, rate_hz, threads) -> (probability, hop_s)`. They need heavy
libraries, so they are imported when used."""


def speech_probability(samples, rate_hz, classifier, threads=1):
    """Estimate the probability of speech over time.

    Parameters
    ----------
    samples : float array (sample,)
        Mono, -1..1. No samples, or silence, gives no moments without a call of the classifier.
    rate_hz : int
    classifier : str
        A key of `CLASSIFIERS`.
    threads : int

    Returns
    -------
    probability : float32 array (moment,), 0..1
    hop_s : float
        Time from one moment to the next; 0 without moments.

    Raises
    ------
    ValueError
        The classifier is unknown, or the samples are not mono.
    """
    if classifier not in CLASSIFIERS:
        raise ValueError(f"expected a speech classifier among {sorted(CLASSIFIERS)}, found {classifier!r}")
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1:
        raise ValueError(f"expected mono samples (sample,), found shape {samples.shape}")
    if np.max(np.abs(samples), initial=0.0) < SILENCE_PEAK:
        return np.zeros(0, np.float32), 0.0
    return importlib.import_module(CLASSIFIERS[classifier]).classify(samples, rate_hz, threads)
