"""Sound to notes, by an engine of one's choice."""

import importlib
import logging

import numpy as np

from handroll.media.audio import SILENCE_PEAK
from handroll.tables import NOTES, PEDAL

VERSION = 1
"""Raised by hand when the same notes of an engine give another table."""

LOGGER = logging.getLogger("handroll")

ENGINES = {"kong": "handroll.music.kong", "transkun": "handroll.music.transkun"}
"""Engines by name: a module with a `VERSION` and `transcribe(samples, rate_hz, **options) -> (notes, pedal, facts)`."""


def transcribe(samples, rate_hz, engine, options=None):
    """Transcribe piano sound.

    Parameters
    ----------
    samples : float array (sample,)
        Mono, -1..1; sample 0 is time 0. No samples, or silence, gives empty tables without asking the engine.
    rate_hz : int
    engine : str
        A name of `ENGINES`.
    options : dict, optional
        Arguments of the engine's own, such as `threads` and `device`.

    Returns
    -------
    notes, pedal : dict
        Columns of schema.NOTES and schema.PEDAL.
    info : dict
        What made them: `engine`, its `engine_version`, and its own facts, such as the hash of its weights.

    Raises
    ------
    ValueError
        There is no such engine, or the samples are not mono.
    """
    if engine not in ENGINES:
        raise ValueError(f"expected a transcription engine among {sorted(ENGINES)}, found {engine!r}")
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1:
        raise ValueError(f"expected mono samples (sample,), found shape {samples.shape}")
    if np.max(np.abs(samples), initial=0.0) < SILENCE_PEAK:
        LOGGER.info("no sound to transcribe")
        return NOTES.empty(), PEDAL.empty(), {"engine": engine}
    module = importlib.import_module(ENGINES[engine])
    notes, pedal, facts = module.transcribe(samples, rate_hz, **(options or {}))
    return notes, pedal, {"engine": engine, "engine_version": module.VERSION, **facts}
