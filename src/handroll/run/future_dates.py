"""Correct modification times in the future, which a wrong system clock left.

Snakemake fails every job whose input is newer than its output.
"""

import os
import time
from pathlib import Path

STEP_NS = 2_000
"""Difference between two corrected times (ns). Snakemake compares times as floating-point seconds, which resolve microseconds."""


def correct_future_dates(folder, now_ns=None):
    """Set modification times in the future to times just before now, in the same order.

    Parameters
    ----------
    folder : path
        Corrected with everything below it; links themselves, not their targets.
    now_ns : int, optional
        Now (ns since 1970).

    Returns
    -------
    int
        Number of corrected files.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    dates_ns = {path: path.lstat().st_mtime_ns for path in Path(folder).rglob("*")}
    future = {path: date_ns for path, date_ns in dates_ns.items() if date_ns > now_ns}
    distinct = sorted(set(future.values()))
    corrected_ns = {date_ns: now_ns - STEP_NS * (len(distinct) - rank) for rank, date_ns in enumerate(distinct)}
    for path, date_ns in future.items():
        os.utime(path, ns=(corrected_ns[date_ns], corrected_ns[date_ns]), follow_symlinks=False)
    return len(future)
