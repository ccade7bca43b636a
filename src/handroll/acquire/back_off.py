"""Rate limits of requests, and the wait before a failed request is tried again."""

import random
import time
from dataclasses import dataclass

JITTER = (0.5, 1.5)
"""Minimum and maximum of the random factor by which a wait is multiplied. It spreads the next tries of jobs that fail at the same time."""


@dataclass(frozen=True)
class Pace:
    """Rate limits of requests. They have no effect on the downloaded files.

    Attributes
    ----------
    tries : int
        Maximum number of tries of a request in a run. If a try downloads a further part of the file, the count starts again.
    back_off_s : float
        Wait before the second try, s. It doubles before each later try.
    max_wait_s : float
        Maximum wait between two tries, s. If a site asks for a longer wait, the request fails in this run, and the next run tries again.
    pause_s : float
        Minimum pause before each page request and before each download, s.
    max_rate_mb_s : float or None
        Maximum bandwidth of a download, MB/s; None: no limit.
    """

    tries: int = 5
    back_off_s: float = 5.0
    max_wait_s: float = 600.0
    pause_s: float = 1.0
    max_rate_mb_s: float | None = None


def wait_s(pace, failed, asked_s=None, jitter=random.uniform):
    """Compute the wait before the next try.

    Parameters
    ----------
    pace : Pace
    failed : int
        Number of failed tries so far, at least 1.
    asked_s : float or None
        Wait that the site asks for, s; None if it asks for none. The result is at least this long.
    jitter : callable (low, high) -> float
        Returns a random number between two limits.

    Returns
    -------
    float or None
        Wait, s; None if the site asks for more than `pace.max_wait_s`.
    """
    if asked_s is not None and asked_s > pace.max_wait_s:
        return None
    own_s = min(pace.back_off_s * 2 ** (failed - 1) * jitter(*JITTER), pace.max_wait_s)
    return max(own_s, asked_s or 0.0)


def wait(seconds):
    """Wait a number of seconds. Tests replace this function."""
    time.sleep(seconds)
