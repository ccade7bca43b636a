"""Is there sound, and is it there all the time? Muted soundtracks, muted stretches and microphones that were off are found."""

import numpy as np

from handroll.reasons import Reason

SCORES = ("loud_db", "silent_share")

BLOCK_S = 0.1
"""Levels are those of blocks of this length."""
PAUSE_S = 5.0
"""Silence up to this long is part of the music."""
QUIET_DB, FAINT_DB = -55.0, -80.0
"""A block is silent below the first against the loud blocks, or below the second against full scale; a room is not."""
LOUD_QUANTILE = 0.95
"""The level of loud blocks: a piano's peaks would stand for the whole."""
_LEAST_DB = -120.0
# What no sound at all is said to have.


def measure(samples, rate_hz):
    """Level of the sound, and share of the time in long silences.

    Parameters
    ----------
    samples : float array (sample,)
        Mono, -1..1.
    rate_hz : int

    Returns
    -------
    dict
        `loud_db`: level (root mean square, dB of full scale) of the loud blocks, at least -120; `silent_share`: share of
        the time in silences longer than `PAUSE_S`, 0..1; 1 without samples.
    """
    size = max(1, round(BLOCK_S * rate_hz))
    blocks = np.asarray(samples, np.float32)[: len(samples) // size * size].reshape(-1, size)
    if not len(blocks):
        return {"loud_db": _LEAST_DB, "silent_share": 1.0}
    level_db = np.maximum(10.0 * np.log10(np.einsum("bs,bs->b", blocks, blocks, dtype=np.float64) / size + 1e-30), _LEAST_DB)
    loud_db = float(np.quantile(level_db, LOUD_QUANTILE))
    # A sound that is muted most of the time is compared with what is left of it.
    silent = level_db < max(FAINT_DB, level_db.max() + QUIET_DB)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]])))
    lengths = edges[1::2] - edges[::2]
    return {"loud_db": loud_db, "silent_share": float(lengths[lengths * BLOCK_S > PAUSE_S].sum() / len(silent))}


def decide(scores, min_loud_db, max_silent_share):
    """Compare with the least level (dB of full scale) and the greatest share of silence.

    Returns
    -------
    tuple of Reason
        Empty where there is enough sound.
    """
    sounds = scores["loud_db"] >= min_loud_db and scores["silent_share"] <= max_silent_share
    return () if sounds else (Reason.SOUND_SILENT,)
