"""Which videos a run asks for again: those whose failure may have passed, and those that a limit turned away that is wider now.

Snakemake runs a job again when a param changes. `fetch_video` has one for this, how often the video has been asked for
before: it changes only where asking again can help. The outcome is kept in a file that is no output of the rule, since
Snakemake removes outputs before it looks at params for the last time.
"""

import json
import math
from pathlib import Path

from handroll.acquire.failures import Failure
from handroll.provenance import atomic_path

VERSION = 1
"""Raised by hand when another outcome is remembered of the same try."""

OUTCOME = ".fetch.json"
"""Name of the file, beside the video."""


def remember(folder, info, limits):
    """Keep what decides whether a video is asked for again.

    Parameters
    ----------
    folder : path
        Of the video.
    info : dict
        As `download.fetch` returns, with `tries`.
    limits : dict
        Those it was fetched under; see `limits.Limits`.
    """
    kept = {name: info[name] for name in ("tries", "status", "transient", "duration_s")}
    with atomic_path(Path(folder) / OUTCOME) as temporary:
        temporary.write_text(json.dumps({**kept, "max_size_gb": limits["max_size_gb"]}) + "\n", encoding="utf-8")


def earlier_tries(folder, limits):
    """How often a video has been asked for before; one less where asking again cannot help, so that nothing changes.

    Parameters
    ----------
    folder : path
        Of the video.
    limits : dict
        Those of now; see `limits.Limits`.

    Returns
    -------
    int
        0 where it has never been asked for, or that file is damaged.
    """
    try:
        outcome = json.loads((Path(folder) / OUTCOME).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0
    return outcome["tries"] - (0 if _can_help(outcome, limits) else 1)


def limits_for(video, limits):
    """The limits of a video: a person who accepts it accepts its length, whatever that is.

    Parameters
    ----------
    video : handroll.config.sheet.Video
    limits : dict
        See `limits.Limits`.
    """
    return {**limits, "min_s": 0.0, "max_s": math.inf} if video.override == "accept" else dict(limits)


def _can_help(outcome, limits):
    if outcome["transient"]:
        return True
    if outcome["status"] == Failure.TOO_LARGE:
        return limits["max_size_gb"] > outcome["max_size_gb"]
    if outcome["status"] in (Failure.TOO_SHORT, Failure.TOO_LONG):
        return limits["min_s"] <= outcome["duration_s"] <= limits["max_s"]
    return False
