"""Transcribe audio to notes with a selectable engine."""

import importlib
import logging

import numpy as np

from handroll.media.audio import SILENCE_PEAK
from handroll.tables import NOTES, PEDAL

VERSION = 1
"""Version of the tables, increased manually when the same output of an engine gives another table."""

LOGGER = logging.getLogger("handroll")

ENGINES = {"kong": "handroll.music.kong", "transkun": "handroll.music.transkun"}
"""Module of each engine, by name. A module has a `VERSION` and `transcribe(samples, rate_hz, **options) -> (notes, pedal, facts)`."""


def transcribe(samples, rate_hz, engine, options=None):
    """Transcribe piano audio with the selected engine.

    Parameters
    ----------
    samples : float array (sample,)
        Mono, -1..1; sample 0 is time 0. Without samples, or for silence, the tables are empty and the engine is not loaded.
    rate_hz : int
    engine : str
        A key of `ENGINES`.
    options : dict, optional
        Keyword arguments of the engine's `transcribe`, such as `threads` and `device`.

    Returns
    -------
    notes, pedal : dict
        Columns of `tables.NOTES` and `tables.PEDAL`.
    info : dict
        Provenance: `engine`, `engine_version`, and values that the engine adds, such as the hash of its weights.

    Raises
    ------
    ValueError
        The engine is unknown, or the samples are not mono.
    """
    if engine not in ENGINES:
        raise ValueError(f"expected one of the transcription engines {', '.join(sorted(ENGINES))}, found {engine!r}")
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1:
        raise ValueError(f"expected mono samples (sample,), found shape {samples.shape}")
    if np.max(np.abs(samples), initial=0.0) < SILENCE_PEAK:
        LOGGER.info("the audio is silent; the tables of notes and pedal are empty")
        return NOTES.empty(), PEDAL.empty(), {"engine": engine}
    module = importlib.import_module(ENGINES[engine])
    notes, pedal, facts = module.transcribe(samples, rate_hz, **(options or {}))
    return notes, pedal, {"engine": engine, "engine_version": module.VERSION, **facts}
