"""Time maps: an affine map (offset and drift) between the times of two recordings of one performance."""

from dataclasses import dataclass

import numpy as np

from handroll.music.notes import note_table, pedal_table

# Residuals beyond this many robust standard deviations have weight 0: 95 % efficient for normal noise (Beaton & Tukey
# 1974, doi:10.1080/00401706.1974.10489171).
_TUKEY = 4.685

# Minimum of the robust standard deviation, seconds. Without it, exact values would give each other no weight.
_MIN_SCALE = 1e-3

_MIN_POINTS = 6
_ITERATIONS = 20


@dataclass(frozen=True)
class TimeMap:
    """An affine map of times: t becomes `t + offset_s + drift * t`.

    Attributes
    ----------
    offset_s : float
        At time 0. Positive: an event has a later time on the second clock.
    drift : float
        Seconds gained per second.
    """

    offset_s: float = 0.0
    drift: float = 0.0

    def __call__(self, time_s):
        """Map times (n,) of the first clock to the second; seconds."""
        return np.asarray(time_s, dtype=np.float64) * (1.0 + self.drift) + self.offset_s

    def then(self, other):
        """Compose two maps: this one first, then `other`."""
        return TimeMap(float(other(self.offset_s)), (1.0 + self.drift) * (1.0 + other.drift) - 1.0)


def fit_time_map(time_s, lag_s):
    """Fit a time map (offset and drift) to lags, robust to outliers.

    Parameters
    ----------
    time_s : array (event,), s
        On the first clock.
    lag_s : array (event,), s
        Time on the second clock minus time on the first. Up to about a third may be outliers; NaN is ignored.

    Returns
    -------
    TimeMap
        The identity without events.
    """
    known = np.isfinite(lag_s)
    return TimeMap(*_robust_line(np.asarray(time_s)[known], np.asarray(lag_s)[known]))


def _robust_line(x, y):
    """Fit a line by Tukey's biweight, starting from the line through the medians of the outer thirds.

    SciPy (Theil-Sen, Siegel) and scikit-learn (Huber) offer no biweight. With 30 % outliers their lines are off by ten times as
    much, and Theil-Sen takes seconds for an hour of notes.

    Parameters
    ----------
    x, y : array (point,)

    Returns
    -------
    intercept, slope : float
        The median and 0 for fewer than six points; both 0 without points.
    """
    if len(x) < _MIN_POINTS or np.ptp(x) == 0.0:
        return (float(np.median(y)) if len(x) else 0.0), 0.0
    low, _, high = np.array_split(np.argsort(x, kind="stable"), 3)
    slope = (np.median(y[high]) - np.median(y[low])) / max(np.median(x[high]) - np.median(x[low]), 1e-9)
    intercept = np.median(y - slope * x)
    for _ in range(_ITERATIONS):
        residual = y - intercept - slope * x
        scale = max(1.4826 * np.median(np.abs(residual)), _MIN_SCALE)
        weight = np.clip(1.0 - (residual / (_TUKEY * scale)) ** 2, 0.0, None) ** 2
        mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
        slope = np.sum(weight * (x - mean_x) * (y - mean_y)) / max(np.sum(weight * (x - mean_x) ** 2), 1e-12)
        intercept = mean_y - slope * mean_x
    return float(intercept), float(slope)


def map_times(notes, pedal, time_map):
    """Map all times of notes and pedal: onsets, key releases and sounding ends.

    Parameters
    ----------
    notes, pedal : dict of str to array
        `tables.NOTES` and `tables.PEDAL`.
    time_map : TimeMap

    Returns
    -------
    notes, pedal : dict of str to array
        Notes and presses that end before time 0 are dropped; those that begin before it begin at 0.
    """
    down_s, up_s = (np.maximum(time_map(pedal[name]), 0.0) for name in ("onset_s", "offset_s"))
    mapped_pedal = pedal_table(down_s, up_s)
    onset_s, key_offset_s = (time_map(notes[name]) for name in ("onset_s", "key_offset_s"))
    kept = key_offset_s >= 0.0
    columns = np.maximum(onset_s, 0.0)[kept], key_offset_s[kept], notes["pitch"][kept], notes["velocity"][kept]
    return note_table(*columns, mapped_pedal), mapped_pedal
