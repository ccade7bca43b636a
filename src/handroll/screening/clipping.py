"""Is the sound clipped? Seen by its distribution, which piles up at the limit even where a codec has rippled the flat tops."""

import numpy as np

from handroll.reasons import Reason

SCORES = ("clipped_share",)

PEAK_SHARE = 1e-4
"""This share of the samples lies above what counts as the peak, so that single clicks do not."""
NEAR_PEAK = 0.9
"""Samples beyond this part of the peak are near it: codecs ripple flat tops by less."""


def measure(samples):
    """Share of the samples near the peak.

    Parameters
    ----------
    samples : float array (sample,)
        Mono, -1..1.

    Returns
    -------
    dict
        `clipped_share`, 0..1: of the upward or the downward half of the wave, whichever has more; 0 without sound. A piano
        strikes its peaks seldom: a few in 10 000 samples.
    """
    samples = np.asarray(samples, np.float32)
    return {"clipped_share": max(_near_peak(samples), _near_peak(-samples))}


def _near_peak(samples):
    if not len(samples):
        return 0.0
    peak = np.quantile(samples, 1.0 - PEAK_SHARE)
    return float(np.mean(samples > NEAR_PEAK * peak)) if peak > 0.0 else 0.0


def decide(scores, max_clipped_share):
    """Compare with the greatest share of samples near the peak.

    Returns
    -------
    tuple of Reason
        Empty where the sound is not clipped.
    """
    return () if scores["clipped_share"] <= max_clipped_share else (Reason.SOUND_CLIPPED,)
