"""Waits between two tries."""

import random
import time
from dataclasses import dataclass

JITTER = (0.5, 1.5)
"""A wait is multiplied by a random number in this range, so that jobs that failed together do not return together."""


@dataclass(frozen=True)
class Pace:
    """Rate limits of requests. They do not change what is downloaded.

    Attributes
    ----------
    tries : int
        Maximum tries within a run without progress. A try that adds to the file restarts the count.
    back_off_s : float
        Wait before the second try (s), doubled before each later one.
    max_wait_s : float
        Maximum wait between two tries (s). If a site asks for a longer wait, the next run tries again.
    pause_s : float
        Minimum pause before each request for a page and before each download (s).
    max_rate_mb_s : float or None
        Maximum bandwidth of a download (MB/s).
    """

    tries: int = 5
    back_off_s: float = 5.0
    max_wait_s: float = 600.0
    pause_s: float = 1.0
    max_rate_mb_s: float | None = None


def wait_s(pace, failed, asked_s=None, jitter=random.uniform):
    """Compute the wait after a number of failed tries.

    Parameters
    ----------
    pace : Pace
    failed : int
        Number of failed tries, at least 1.
    asked_s : float or None
        Wait that the site asks for (s); the result is never shorter.
    jitter : callable (low, high) -> float

    Returns
    -------
    float or None
        Seconds; None if the site asks for more than `pace.max_wait_s`.
    """
    if asked_s is not None and asked_s > pace.max_wait_s:
        return None
    own_s = min(pace.back_off_s * 2 ** (failed - 1) * jitter(*JITTER), pace.max_wait_s)
    return max(own_s, asked_s or 0.0)


def wait(seconds):
    """Wait."""
    time.sleep(seconds)
