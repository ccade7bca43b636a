"""Two clocks for one performance: how times of one go over into the other, as an offset and a drift."""

from dataclasses import dataclass

import numpy as np

from handroll.music.notes import note_table, pedal_table

_TUKEY = 4.685
# Residuals beyond this many robust standard deviations count nothing: 95 % efficient for normal noise (Beaton & Tukey
# 1974, doi:10.1080/00401706.1974.10489171).
_LEAST_SCALE = 1e-3
# Floor of the robust standard deviation (a millisecond), so that exact values do not weigh one another out.
_LEAST_POINTS = 6
_ROUNDS = 20


@dataclass(frozen=True)
class Clock:
    """A time t of one clock is `t + offset_s + drift * t` of the other.

    Attributes
    ----------
    offset_s : float
        At time 0; positive where the other clock is ahead, so that the same event has a later time there.
    drift : float
        Seconds gained a second.
    """

    offset_s: float = 0.0
    drift: float = 0.0

    def __call__(self, time_s):
        """Times (n,) of the first clock on the second; seconds."""
        return np.asarray(time_s, dtype=np.float64) * (1.0 + self.drift) + self.offset_s

    def then(self, other):
        """The clock that applies this one and then `other`."""
        return Clock(float(other(self.offset_s)), (1.0 + self.drift) * (1.0 + other.drift) - 1.0)


def fit_clock(time_s, lag_s):
    """The clock of events that come later by a lag each: a robust line through the lags.

    Parameters
    ----------
    time_s : array (event,), s
        On the first clock.
    lag_s : array (event,), s
        How much later each event is on the second clock; outliers may be up to about a third. NaN counts nothing.

    Returns
    -------
    Clock
        The identity where there is no event.
    """
    known = np.isfinite(lag_s)
    return Clock(*robust_line(np.asarray(time_s)[known], np.asarray(lag_s)[known]))


def robust_line(x, y):
    """Intercept and slope of a line by Tukey's biweight, from the line through the medians of the outer thirds.

    Parameters
    ----------
    x, y : array (point,)

    Returns
    -------
    intercept, slope : float
        The median and 0 for fewer than six points; both 0 without any.
    """
    if len(x) < _LEAST_POINTS or np.ptp(x) == 0.0:
        return (float(np.median(y)) if len(x) else 0.0), 0.0
    low, _, high = np.array_split(np.argsort(x, kind="stable"), 3)
    slope = (np.median(y[high]) - np.median(y[low])) / max(np.median(x[high]) - np.median(x[low]), 1e-9)
    intercept = np.median(y - slope * x)
    for _ in range(_ROUNDS):
        residual = y - intercept - slope * x
        scale = max(1.4826 * np.median(np.abs(residual)), _LEAST_SCALE)
        weight = np.clip(1.0 - (residual / (_TUKEY * scale)) ** 2, 0.0, None) ** 2
        mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
        slope = np.sum(weight * (x - mean_x) * (y - mean_y)) / max(np.sum(weight * (x - mean_x) ** 2), 1e-12)
        intercept = mean_y - slope * mean_x
    return float(intercept), float(slope)


def move(notes, pedal, clock):
    """Notes and pedal on another clock: every time moves, ends as well as onsets, sounding as well as of the keys.

    Parameters
    ----------
    notes, pedal : dict of str to array
        `tables.NOTES` and `tables.PEDAL`.
    clock : Clock

    Returns
    -------
    notes, pedal : dict of str to array
        What ends before the video begins is left out; what sounds then begins with it, at 0.
    """
    down_s, up_s = (np.maximum(clock(pedal[name]), 0.0) for name in ("onset_s", "offset_s"))
    moved_pedal = pedal_table(down_s, up_s)
    onset_s, key_offset_s = (clock(notes[name]) for name in ("onset_s", "key_offset_s"))
    kept = key_offset_s >= 0.0
    columns = np.maximum(onset_s, 0.0)[kept], key_offset_s[kept], notes["pitch"][kept], notes["velocity"][kept]
    return note_table(*columns, moved_pedal), moved_pedal
