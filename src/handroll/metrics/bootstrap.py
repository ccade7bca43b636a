"""How sure a score is: 95 % intervals by the bootstrap over clips (Efron and Tibshirani 1993, "An Introduction to the
Bootstrap").

Clips are drawn, not frames or samples, because frames of a clip are alike. Clips of one video are alike, too, which is not
taken into account: the intervals hold for more clips of the same players, not for other players.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

CONFIDENCE = 0.95
"""Share of such intervals that hold the value of endlessly many clips."""

RESAMPLES = 2000
"""Draws. The ends of the interval then shake by about 3 % of its half width."""

_BATCH = 100
# Draws held in memory at a time.


@dataclass(frozen=True)
class Estimate:
    """A score and how sure it is.

    Attributes
    ----------
    value : float
        NaN where no clip counts.
    low, high : float
        Ends of the interval; NaN where fewer than two clips count.
    clips : int
        Clips that count.
    left_out : int
        Clips without a value.
    """

    value: float
    low: float
    high: float
    clips: int
    left_out: int


def mean_over_clips(scores, seed=0, resamples=RESAMPLES):
    """Mean of a score over clips, with its interval.

    Parameters
    ----------
    scores : array (clip,) or (clip, sample)
        Samples of a clip are averaged first. A clip is left out where its score, or that of one of its samples, isn't finite.
    seed : int
    resamples : int

    Returns
    -------
    Estimate
        The interval is that of percentiles.
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
    """A statistic of a set of clips, such as a Fréchet distance, with its interval.

    Parameters
    ----------
    items : sequence (clip,) of array (...)
        What the statistic needs of each clip. A clip with a value that isn't finite is left out.
    statistic : callable (list of array) -> float
        Called with the clips, then with `resamples` draws of as many of them, in which some come twice.
    seed : int
    resamples : int

    Returns
    -------
    Estimate
        Draws repeat clips, so a distance between sets is greater in them than in the set itself. The interval is therefore
        that of the draws' percentiles about their own mean, moved to the value: how far the statistic of this many clips
        strays, not where it would be for endlessly many.
    """
    known = [item for item in items if np.isfinite(item).all()]
    left_out = len(items) - len(known)
    if not known:
        return Estimate(np.nan, np.nan, np.nan, 0, left_out)
    value = float(statistic(known))
    if len(known) == 1:
        return Estimate(value, np.nan, np.nan, 1, left_out)
    drawn = _bootstrap(np.arange(len(known)), lambda rows: statistic([known[row] for row in rows]), seed, resamples, vectorized=False)
    moved = value - drawn.bootstrap_distribution.mean()
    interval = drawn.confidence_interval
    return Estimate(value, float(interval.low + moved), float(interval.high + moved), len(known), left_out)


def _bootstrap(data, statistic, seed, resamples, vectorized):
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
