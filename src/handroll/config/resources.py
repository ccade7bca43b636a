"""Compute how much memory and time a job requests, by the length of its video."""

from math import ceil

DEFAULT_S = 3600.0
"""Assumed length of a video that is not probed yet and has no length in the sheet, s."""


def video_hours(probe, listed_s=None):
    """Return the length of a video in hours.

    Parameters
    ----------
    probe : dict or None
        Values of `probe.json`; None before the video is probed.
    listed_s : float or None
        Length in the sheet (s), used if the probe contains none.

    Returns
    -------
    float
        Length in hours; that of `DEFAULT_S` if no length is known.
    """
    return ((probe or {}).get("duration_s") or listed_s or DEFAULT_S) / 3600.0


def request(base, per_hour=0, hours=0.0, attempt=1):
    """Compute the memory or time that a job requests: `base + per_hour * hours`, rounded up, times `attempt`.

    Parameters
    ----------
    base : float
        Amount for a video of any length, in MB or minutes.
    per_hour : float
        Additional amount for each hour of video, in MB or minutes.
    hours : float
        Length of the video (h).
    attempt : int
        Number of this run of the job, from 1: Snakemake repeats failed jobs with more memory and time.

    Returns
    -------
    int
        MB or minutes.
    """
    return attempt * ceil(base + per_hour * hours)
