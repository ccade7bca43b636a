"""Correct modification times of files that are in the future because of a wrong system clock.

With such files, Snakemake fails every job whose input is newer than its output.
"""

import os
import time
from pathlib import Path

STEP_NS = 2_000
"""Difference between two corrected times, ns. Snakemake compares times as floating-point seconds, whose resolution is about 1000 ns."""


def correct_future_dates(folder, now_ns=None):
    """Set modification times that are in the future to times just before now, and keep their order.

    Parameters
    ----------
    folder : path
        Folder whose files and folders are corrected, at any depth. Of a link, the link itself is corrected, not its target.
    now_ns : int, optional
        Current time, ns since 1970. Default: the system clock.

    Returns
    -------
    int
        Number of corrected files and folders.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    dates_ns = {path: path.lstat().st_mtime_ns for path in Path(folder).rglob("*")}
    future = {path: date_ns for path, date_ns in dates_ns.items() if date_ns > now_ns}
    distinct = sorted(set(future.values()))
    corrected_ns = {date_ns: now_ns - STEP_NS * (len(distinct) - rank) for rank, date_ns in enumerate(distinct)}
    for path, date_ns in future.items():
        os.utime(path, ns=(corrected_ns[date_ns], corrected_ns[date_ns]), follow_symlinks=False)
    return len(future)
