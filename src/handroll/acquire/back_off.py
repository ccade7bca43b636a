"""How long to wait before the next try, and the waiting itself."""

import random
import time
from dataclasses import dataclass

JITTER = (0.5, 1.5)
"""A wait is multiplied by a random number between these, lest many jobs that failed together return together."""


@dataclass(frozen=True)
class Pace:
    """How hard sites are pressed; nothing here changes what is downloaded.

    Attributes
    ----------
    tries : int
        Tries within a run, as long as they bring nothing new: one that brings more of the file than all before it starts the count anew.
    back_off_s : float
        Wait before the second try (s), doubled before each later one.
    max_wait_s : float
        Longest wait between two tries (s); a site that asks for a longer one is left for the next run.
    pause_s : float
        Least pause between two requests for pages (s), and before a download.
    max_rate_mb_s : float or None
        Bandwidth of a download (MB/s).
    """

    tries: int = 5
    back_off_s: float = 5.0
    max_wait_s: float = 600.0
    pause_s: float = 1.0
    max_rate_mb_s: float | None = None


def wait_s(pace, failed, asked_s=None, jitter=random.uniform):
    """Seconds to wait after a number of failed tries.

    Parameters
    ----------
    pace : Pace
    failed : int
        Tries that failed, at least 1.
    asked_s : float or None
        What the site asks for; never undercut.
    jitter : callable (low, high) -> float

    Returns
    -------
    float or None
        None where the site asks for more than `pace.max_wait_s`.
    """
    if asked_s is not None and asked_s > pace.max_wait_s:
        return None
    own_s = min(pace.back_off_s * 2 ** (failed - 1) * jitter(*JITTER), pace.max_wait_s)
    return max(own_s, asked_s or 0.0)


def wait(seconds):
    """Wait."""
    time.sleep(seconds)
