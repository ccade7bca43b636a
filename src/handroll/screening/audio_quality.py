"""Measure the audio before transcription: silence, clipping and speech."""

import numpy as np

BLOCK_S = 0.1
"""Length of the blocks whose levels are measured, s."""

PAUSE_S = 5.0
"""Maximum length of a silence that is part of the music, s."""

QUIET_DB = -55.0
"""Maximum level of a silent block relative to the loudest block, dB. Room noise is louder."""

FAINT_DB = -80.0
"""Maximum level of a silent block relative to full scale, dB. A block is silent if it is below `QUIET_DB` or `FAINT_DB`."""

LOUD_QUANTILE = 0.95
"""The level of loud parts is this quantile of the block levels, 0..1. The maximum would be the level of single peaks."""

MIN_DB = -120.0
"""Level reported for digital silence, dB relative to full scale."""

PEAK_SHARE = 1e-4
"""The peak level is the level that this share of the samples exceeds, 0..1. It is not the maximum, so single clicks do not define it."""

NEAR_PEAK = 0.9
"""Minimum level of a sample near the peak, as a share of the peak level, 0..1. A codec adds ripples to the flat tops of clipped waves, but
the ripples stay above this level."""

SPEECH_PROBABILITY = 0.8
"""Minimum speech probability of a moment that counts as speech, 0..1. Measured on piano recordings: up to 4 % of the time reaches 0.5, up
to 1 % reaches 0.8."""


def measure_silence(samples, rate_hz):
    """Measure the level of the audio and the share of long silences, such as from muted parts or a microphone that was off.

    Parameters
    ----------
    samples : float array (sample,)
        Mono, -1..1.
    rate_hz : int

    Returns
    -------
    dict
        `loud_db`: level of loud parts (root mean square, dB relative to full scale, at least `MIN_DB`). `silent_share`: share of the
        time in silences longer than `PAUSE_S`, 0..1; 1 without samples.
    """
    size = max(1, round(BLOCK_S * rate_hz))
    blocks = np.asarray(samples, np.float32)[: len(samples) // size * size].reshape(-1, size)
    if not len(blocks):
        return {"loud_db": MIN_DB, "silent_share": 1.0}
    level_db = np.maximum(10.0 * np.log10(np.einsum("bs,bs->b", blocks, blocks, dtype=np.float64) / size + 1e-30), MIN_DB)
    loud_db = float(np.quantile(level_db, LOUD_QUANTILE))
    # `QUIET_DB` is relative to the maximum, because in mostly muted audio the `LOUD_QUANTILE` of the levels is itself silent.
    silent = level_db < max(FAINT_DB, level_db.max() + QUIET_DB)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]])))
    lengths = edges[1::2] - edges[::2]
    return {"loud_db": loud_db, "silent_share": float(lengths[lengths * BLOCK_S > PAUSE_S].sum() / len(silent))}


def measure_clipping(samples):
    """Measure the share of samples near the peak level.

    Clipped waves have many such samples, even after a codec has added ripples to their flat tops.

    Parameters
    ----------
    samples : float array (sample,)
        Mono, -1..1.

    Returns
    -------
    dict
        `clipped_share`, 0..1: share of the samples near the positive or the negative peak, whichever is larger; 0 without audio.
        Unclipped piano recordings have a few such samples in 10 000.
    """
    samples = np.asarray(samples, np.float32)
    return {"clipped_share": max(_share_near_peak(samples), _share_near_peak(-samples))}


def _share_near_peak(samples):
    """Return the share of samples above `NEAR_PEAK` times the positive peak level, 0..1."""
    if not len(samples):
        return 0.0
    peak = np.quantile(samples, 1.0 - PEAK_SHARE)
    return float(np.mean(samples > NEAR_PEAK * peak)) if peak > 0.0 else 0.0


def measure_speech(probability):
    """Measure the share of the time with speech.

    Quiet speech is not detected in loud piano music. After the transcription, the criterion `purity` measures such foreign audio.

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
