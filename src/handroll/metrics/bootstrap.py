"""95 % confidence intervals of scores by the bootstrap over clips (Efron and Tibshirani 1993, "An Introduction to the
Bootstrap").

Clips are resampled, not frames or samples, because frames of a clip are correlated. The correlation between clips of one video
is ignored. Therefore the intervals are valid for other clips of the same players, but not for other players.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

CONFIDENCE = 0.95
"""Confidence level of an interval: probability that it contains the value for infinitely many clips."""

RESAMPLES = 2000
"""Number of bootstrap samples. With 2000 samples, the random error of an interval's ends is about 3 % of half its width."""

# Number of bootstrap samples that are in memory at the same time.
_BATCH = 100


@dataclass(frozen=True)
class Estimate:
    """A score with its confidence interval.

    Attributes
    ----------
    value : float
        NaN if no clip has a value.
    low, high : float
        Ends of the interval; NaN if fewer than two clips have a value.
    clips : int
        Number of clips with a value.
    left_out : int
        Number of clips without a value.
    """

    value: float
    low: float
    high: float
    clips: int
    left_out: int


def estimate_to_json(estimate):
    """Convert an `Estimate`, or a dict of its fields, to JSON values. Numbers that are not finite become None."""
    values = estimate if isinstance(estimate, dict) else vars(estimate)
    return {
        name: (float(value) if np.isfinite(value) else None) if isinstance(value, float) else int(value) for name, value in values.items()
    }


def mean_over_clips(scores, seed=0, resamples=RESAMPLES):
    """Estimate the mean of a score over clips.

    Parameters
    ----------
    scores : array (clip,) or (clip, sample)
        Scores of clips, or of several samples of each clip, which are averaged first. A clip with a score that is not finite is left out.
    seed : int
        Random seed of the bootstrap.
    resamples : int
        Number of bootstrap samples.

    Returns
    -------
    Estimate
        Mean, and its percentile interval.
    """
    scores = np.asarray(scores, dtype=np.float64)
    scores = scores.reshape(len(scores), -1).mean(axis=1) if scores.size else np.empty(0)
    known = scores[np.isfinite(scores)]
    left_out = len(scores) - len(known)
    if not len(known):
        return Estimate(np.nan, np.nan, np.nan, 0, left_out)
    value = float(known.mean())
    if len(known) == 1:
        return Estimate(value, np.nan, np.nan, 1, left_out)
    drawn = _bootstrap(known, np.mean, seed, resamples, vectorized=True)
    return Estimate(value, float(drawn.confidence_interval.low), float(drawn.confidence_interval.high), len(known), left_out)


def statistic_over_clips(items, statistic, seed=0, resamples=RESAMPLES):
    """Estimate a statistic of a set of clips, such as a Fréchet distance.

    Parameters
    ----------
    items : sequence (clip,) of array (...)
        Input of the statistic for each clip. A clip with a value that is not finite is left out.
    statistic : callable (list of array) -> float
        Function that computes the statistic from the inputs of several clips.
    seed : int
        Random seed of the bootstrap.
    resamples : int
        Number of bootstrap samples.

    Returns
    -------
    Estimate
        Bootstrap samples repeat clips, which biases distances between sets upwards. Therefore the percentile interval is shifted, so that
        the mean of the bootstrap samples equals the value. The interval describes the random variation for this number of clips. It says
        nothing about the value for infinitely many clips.
    """
    known = [item for item in items if np.isfinite(item).all()]
    left_out = len(items) - len(known)
    if not known:
        return Estimate(np.nan, np.nan, np.nan, 0, left_out)
    value = float(statistic(known))
    if len(known) == 1:
        return Estimate(value, np.nan, np.nan, 1, left_out)
    drawn = _bootstrap(np.arange(len(known)), lambda rows: statistic([known[row] for row in rows]), seed, resamples, vectorized=False)
    shift = value - drawn.bootstrap_distribution.mean()
    interval = drawn.confidence_interval
    return Estimate(value, float(interval.low + shift), float(interval.high + shift), len(known), left_out)


def _bootstrap(data, statistic, seed, resamples, vectorized):
    """Draw bootstrap samples of `data`, and compute the statistic and its percentile interval."""
    return bootstrap(
        (data,),
        statistic,
        n_resamples=resamples,
        batch=_BATCH,
        vectorized=vectorized,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
