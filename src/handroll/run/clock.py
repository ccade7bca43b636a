"""Dates of results in the future, which a clock that was ahead left: Snakemake fails every job whose input is dated after its output."""

import os
import time
from pathlib import Path


def date_back(folder, now_ns=None):
    """Give files that are dated in the future times just before now, in their order, so that what was newer than another is newer still.

    Parameters
    ----------
    folder : path
        All below it; links themselves, not what they lead to.
    now_ns : int, optional
        Now, ns since 1970.

    Returns
    -------
    int
        How many files were dated in the future.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    dated = {path: path.lstat().st_mtime_ns for path in Path(folder).rglob("*")}
    ahead = {path: at_ns for path, at_ns in dated.items() if at_ns > now_ns}
    # Snakemake compares times as floating-point seconds, which tell microseconds apart.
    step_ns = 2_000
    times = sorted(set(ahead.values()))
    new_ns = {at_ns: now_ns - step_ns * (len(times) - rank) for rank, at_ns in enumerate(times)}
    for path, at_ns in ahead.items():
        os.utime(path, ns=(new_ns[at_ns], new_ns[at_ns]), follow_symlinks=False)
    return len(ahead)
