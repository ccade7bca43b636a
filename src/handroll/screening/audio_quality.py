"""Measure the audio before transcription: silence, clipping and speech."""

import numpy as np

BLOCK_S = 0.1
"""Length of the blocks whose levels are measured, s."""

PAUSE_S = 5.0
"""Silences up to this length are part of the music, s."""

QUIET_DB, FAINT_DB = -55.0, -80.0
"""A block is silent below the first level relative to the loudest block, or below the second level relative to full scale (dB).
Room noise is louder."""

LOUD_QUANTILE = 0.95
"""Quantile of the block levels that is the level of loud parts; the maximum would be that of single peaks."""

MIN_DB = -120.0
"""Level of digital silence, dB of full scale."""

PEAK_SHARE = 1e-4
"""Share of the samples above the peak level, so that single clicks do not define it."""

NEAR_PEAK = 0.9
"""Samples above this share of the peak level are near the peak. A clipped wave has ripples after a codec, but smaller ones."""

SPEECH_PROBABILITY = 0.8
"""Minimum speech probability of a moment with speech. Piano reaches 0.5 in up to 4 % of a recording, 0.8 in up to 1 %."""


def measure_silence(samples, rate_hz):
    """Measure the level of the audio and the share of long silences: a muted track, muted parts or a microphone that was off.

    Parameters
    ----------
    samples : float array (sample,)
        Mono, -1..1.
    rate_hz : int

    Returns
    -------
    dict
        `loud_db`: level of the loud blocks (root mean square, dB of full scale, at least `MIN_DB`); `silent_share`: share of the
        time in silences longer than `PAUSE_S`, 0..1; 1 without samples.
    """
    size = max(1, round(BLOCK_S * rate_hz))
    blocks = np.asarray(samples, np.float32)[: len(samples) // size * size].reshape(-1, size)
    if not len(blocks):
        return {"loud_db": MIN_DB, "silent_share": 1.0}
    level_db = np.maximum(10.0 * np.log10(np.einsum("bs,bs->b", blocks, blocks, dtype=np.float64) / size + 1e-30), MIN_DB)
    loud_db = float(np.quantile(level_db, LOUD_QUANTILE))
    # Relative to the maximum: `LOUD_QUANTILE` is itself silent in audio that is mostly muted.
    silent = level_db < max(FAINT_DB, level_db.max() + QUIET_DB)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]])))
    lengths = edges[1::2] - edges[::2]
    return {"loud_db": loud_db, "silent_share": float(lengths[lengths * BLOCK_S > PAUSE_S].sum() / len(silent))}


def measure_clipping(samples):
    """Measure the share of samples near the peak: clipped waves have many, even if a codec has rippled the flat tops.

    Parameters
    ----------
    samples : float array (sample,)
        Mono, -1..1.

    Returns
    -------
    dict
        `clipped_share`, 0..1: the larger share of the positive and the negative half of the wave; 0 without audio. Piano has a
        few near-peak samples in 10 000.
    """
    samples = np.asarray(samples, np.float32)
    return {"clipped_share": max(_share_near_peak(samples), _share_near_peak(-samples))}


def _share_near_peak(samples):
    if not len(samples):
        return 0.0
    peak = np.quantile(samples, 1.0 - PEAK_SHARE)
    return float(np.mean(samples > NEAR_PEAK * peak)) if peak > 0.0 else 0.0


def measure_speech(probability):
    """Measure the share of the time with speech.

    Piano masks quiet speech; `purity` finds the rest of it after transcription.

    Parameters
    ----------
    probability : float array (moment,)
        Speech probability from `handroll.music.speech.speech_probability`, 0..1.

    Returns
    -------
    dict
        `speech_share`, 0..1; 0 without moments.
    """
    return {"speech_share": float(np.mean(np.asarray(probability) >= SPEECH_PROBABILITY)) if len(probability) else 0.0}
