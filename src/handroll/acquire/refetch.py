"""Decide which videos a run fetches again: those with a transient failure, and those rejected by a limit that is wider now.

Snakemake runs a job again if one of its params changes. The param `tries` of `fetch_video` is the number of earlier tries. It changes only
if another try may succeed. The outcome of a try is stored in a file that the rule does not declare as an output, since Snakemake removes
outputs before it evaluates params for the last time."""

import json
import math
from pathlib import Path

from handroll.acquire.failures import Failure
from handroll.provenance import atomic_path

VERSION = 1
"""Version of the outcomes, increased manually when the same try gives another outcome."""

OUTCOME = ".fetch.json"
"""Name of the file, next to the video, that stores the outcome of the last try."""


def write_outcome(folder, info, limits):
    """Write the outcome of a try to fetch a video. `earlier_tries` reads it to decide whether the next run tries again.

    Parameters
    ----------
    folder : path
        Folder of the video.
    info : dict
        Result of `download.fetch`, and the number of tries as `tries`.
    limits : dict
        Limits of this try; see `limits.Limits`.
    """
    kept = {name: info[name] for name in ("tries", "status", "transient", "duration_s")}
    with atomic_path(Path(folder) / OUTCOME) as temporary:
        temporary.write_text(json.dumps({**kept, "max_size_gb": limits["max_size_gb"]}) + "\n", encoding="utf-8")


def earlier_tries(folder, limits):
    """Return the param `tries`: the number of earlier tries to fetch a video, minus one if another try cannot succeed.

    With the subtraction, the param equals that of the last run, so Snakemake does not run the job again.

    Parameters
    ----------
    folder : path
        Folder of the video.
    limits : dict
        Limits of the next try; see `limits.Limits`.

    Returns
    -------
    int
        It is 0 if there was no try, or if the file of the outcome is damaged.
    """
    try:
        outcome = json.loads((Path(folder) / OUTCOME).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0
    return outcome["tries"] - (0 if _can_succeed(outcome, limits) else 1)


def limits_for(video, limits):
    """Return the limits of a video, a dict. With `override: accept`, any duration is accepted.

    Parameters
    ----------
    video : handroll.config.sheet.Video
    limits : dict
        Limits of all videos; see `limits.Limits`.
    """
    return {**limits, "min_s": 0.0, "max_s": math.inf} if video.override == "accept" else dict(limits)


def _can_succeed(outcome, limits):
    """Return whether another try may succeed after the outcome of the last try, with these limits."""
    if outcome["transient"]:
        return True
    if outcome["status"] == Failure.TOO_LARGE:
        return limits["max_size_gb"] > outcome["max_size_gb"]
    if outcome["status"] in (Failure.TOO_SHORT, Failure.TOO_LONG):
        return limits["min_s"] <= outcome["duration_s"] <= limits["max_s"]
    return False
