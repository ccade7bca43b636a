"""Decide which videos a run tries to fetch again: those with a transient failure, and those that now meet a wider limit.

Snakemake runs a job again if one of its params changes. The param `tries` of `fetch_video` is the number of earlier tries; it
changes only if another try may succeed. The outcome of a try is kept in a file that is no output of the rule, because Snakemake
removes outputs before it evaluates params for the last time.
"""

import json
import math
from pathlib import Path

from handroll.acquire.failures import Failure
from handroll.provenance import atomic_path

VERSION = 1
"""Raised by hand if the same try gives another outcome."""

OUTCOME = ".fetch.json"
"""Name of the file, beside the video."""


def write_outcome(folder, info, limits):
    """Write the outcome of a try, which decides whether another one is made.

    Parameters
    ----------
    folder : path
        Of the video.
    info : dict
        As `download.fetch` returns, with `tries`.
    limits : dict
        Limits of the try; see `limits.Limits`.
    """
    kept = {name: info[name] for name in ("tries", "status", "transient", "duration_s")}
    with atomic_path(Path(folder) / OUTCOME) as temporary:
        temporary.write_text(json.dumps({**kept, "max_size_gb": limits["max_size_gb"]}) + "\n", encoding="utf-8")


def earlier_tries(folder, limits):
    """Count the earlier tries to fetch a video; one less if another try cannot succeed, so that the param stays the same.

    Parameters
    ----------
    folder : path
        Of the video.
    limits : dict
        Today's limits; see `limits.Limits`.

    Returns
    -------
    int
        0 if there was no try, or the file of its outcome is damaged.
    """
    try:
        outcome = json.loads((Path(folder) / OUTCOME).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0
    return outcome["tries"] - (0 if _can_succeed(outcome, limits) else 1)


def limits_for(video, limits):
    """Limits of a video: `override: accept` also accepts its length.

    Parameters
    ----------
    video : handroll.config.sheet.Video
    limits : dict
        See `limits.Limits`.
    """
    return {**limits, "min_s": 0.0, "max_s": math.inf} if video.override == "accept" else dict(limits)


def _can_succeed(outcome, limits):
    if outcome["transient"]:
        return True
    if outcome["status"] == Failure.TOO_LARGE:
        return limits["max_size_gb"] > outcome["max_size_gb"]
    if outcome["status"] in (Failure.TOO_SHORT, Failure.TOO_LONG):
        return limits["min_s"] <= outcome["duration_s"] <= limits["max_s"]
    return False
