"""Memory and time that a job requests, by the length of its video."""

from math import ceil

DEFAULT_S = 3600.0
"""Assumed length (s) of a video that has neither been probed nor listed with a length."""


def video_hours(probe, listed_s=None):
    """Length of a video (h).

    Parameters
    ----------
    probe : dict or None
        Values of `probe.json`; None before the video is probed.
    listed_s : float or None
        Length (s) in the sheet, used where the probe has none.
    """
    return ((probe or {}).get("duration_s") or listed_s or DEFAULT_S) / 3600.0


def request(base, per_hour=0, hours=0.0, attempt=1):
    """Memory or time to request: a base and an amount for each hour of video, multiplied by the number of the attempt.

    Parameters
    ----------
    base, per_hour : float
        MB or minutes.
    hours : float
        Length of the video (h).
    attempt : int
        1 for the first run of a job.

    Returns
    -------
    int
    """
    return attempt * ceil(base + per_hour * hours)
