"""Time maps: affine maps (offset and drift) between the clocks of two recordings of the same performance."""

from dataclasses import dataclass

import numpy as np

from handroll.music.notes import note_table, pedal_table

# Constant of Tukey's biweight: residuals above this many robust standard deviations have weight 0. With this value, the fit is 95 %
# efficient for normally distributed noise (Beaton & Tukey 1974, doi:10.1080/00401706.1974.10489171).
_TUKEY = 4.685

# Minimum of the robust standard deviation, seconds. Without it, if most residuals are 0, small residuals would have weight 0.
_MIN_SCALE = 1e-3

# Minimum number of points for a line; fewer points give only an offset.
_MIN_POINTS = 6

# Number of iterations of the fit.
_ITERATIONS = 20


@dataclass(frozen=True)
class TimeMap:
    """An affine map of times: t becomes `t + offset_s + drift * t`.

    Attributes
    ----------
    offset_s : float
        Time on the second clock at time 0 of the first clock. Positive: events have later times on the second clock.
    drift : float
        Seconds that the second clock gains on the first clock per second.
    """

    offset_s: float = 0.0
    drift: float = 0.0

    def __call__(self, time_s):
        """Map times (n,) from the first clock to the second clock, seconds."""
        return np.asarray(time_s, dtype=np.float64) * (1.0 + self.drift) + self.offset_s

    def then(self, other):
        """Return the map that applies this map first, then `other`."""
        return TimeMap(float(other(self.offset_s)), (1.0 + self.drift) * (1.0 + other.drift) - 1.0)


def fit_time_map(time_s, lag_s):
    """Fit a time map (offset and drift) to lags, robust to outliers.

    Parameters
    ----------
    time_s : array (event,), s
        Times on the first clock.
    lag_s : array (event,), s
        Times on the second clock minus times on the first clock. Up to about a third may be outliers; NaN is ignored.

    Returns
    -------
    TimeMap
        The identity if there are no events.
    """
    known = np.isfinite(lag_s)
    return TimeMap(*_robust_line(np.asarray(time_s)[known], np.asarray(lag_s)[known]))


def _robust_line(x, y):
    """Fit a line to points with Tukey's biweight.

    The iteration starts with the slope between the medians of the first and of the last third of the points.

    SciPy (Theil-Sen, Siegel) and scikit-learn (Huber) have no fit with a biweight. With 30 % outliers, the errors of their lines are ten
    times as large, and Theil-Sen takes seconds for an hour of notes.

    Parameters
    ----------
    x, y : array (point,)

    Returns
    -------
    intercept, slope : float
        For fewer than `_MIN_POINTS` points, the median of y, and 0. Without points, 0 and 0.
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
        Columns of `tables.NOTES` and `tables.PEDAL`.
    time_map : TimeMap

    Returns
    -------
    notes, pedal : dict of str to array
        Notes and presses that would end before time 0 are dropped; those that would begin before time 0 begin at 0.
    """
    down_s, up_s = (np.maximum(time_map(pedal[name]), 0.0) for name in ("onset_s", "offset_s"))
    mapped_pedal = pedal_table(down_s, up_s)
    onset_s, key_offset_s = (time_map(notes[name]) for name in ("onset_s", "key_offset_s"))
    kept = key_offset_s >= 0.0
    columns = np.maximum(onset_s, 0.0)[kept], key_offset_s[kept], notes["pitch"][kept], notes["velocity"][kept]
    return note_table(*columns, mapped_pedal), mapped_pedal
