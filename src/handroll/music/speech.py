"""Where somebody speaks, by a classifier of one's choice. A new one is a module with `VERSION` and `classify`, and a line here."""

import importlib

import numpy as np

from handroll.media.audio import SILENCE_PEAK

CLASSIFIERS = {"silero": "handroll.music.silero"}
"""Classifiers by name: a module with a `VERSION` and `classify(samples, rate_hz, threads) -> (probability, hop_s)`; imported
when used, since they need heavy libraries."""


def speech_probability(samples, rate_hz, classifier, threads=1):
    """How likely somebody speaks, moment by moment.

    Parameters
    ----------
    samples : float array (sample,)
        Mono, -1..1. No samples, or silence, gives no moments without asking the classifier.
    rate_hz : int
    classifier : str
        A name of `CLASSIFIERS`.
    threads : int

    Returns
    -------
    probability : float32 array (moment,), 0..1
    hop_s : float
        From one moment to the next; 0 where there is none.

    Raises
    ------
    ValueError
        There is no such classifier, or the samples are not mono.
    """
    if classifier not in CLASSIFIERS:
        raise ValueError(f"expected a speech classifier among {sorted(CLASSIFIERS)}, found {classifier!r}")
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1:
        raise ValueError(f"expected mono samples (sample,), found shape {samples.shape}")
    if np.max(np.abs(samples), initial=0.0) < SILENCE_PEAK:
        return np.zeros(0, np.float32), 0.0
    return importlib.import_module(CLASSIFIERS[classifier]).classify(samples, rate_hz, threads)
