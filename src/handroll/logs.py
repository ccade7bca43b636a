"""Logging of a step: the same lines in the rule's log and on the terminal, and a progress line while it runs."""

import errno
import logging
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

LOGGER = logging.getLogger("handroll")

_ADVICE = {
    errno.ENOSPC: "the disk is full; make room on it",
    errno.EDQUOT: "the disk quota is used up; make room, or ask for more",
    errno.EROFS: "the file system is read-only; make it writable, or work in another folder (snakemake --directory)",
    errno.EACCES: "the folder may not be written to; change its permissions, or work in another folder (snakemake --directory)",
}


@contextmanager
def step_log(path, name):
    """Send handroll's log to `path` and the terminal while the block runs; an exception is logged with its traceback.

    Parameters
    ----------
    path : log file
    name : what the lines on the terminal are marked with, such as "detect_hands pianist/prelude"
    """
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(logging.Formatter(f"[{name}] %(message)s"))
    handlers = [to_terminal]
    LOGGER.addHandler(to_terminal)
    LOGGER.setLevel(logging.INFO)
    try:
        # A full disk shows here first; what to do about it is then said on the terminal.
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        to_file = logging.FileHandler(path, mode="w", encoding="utf-8")
        to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        handlers.append(to_file)
        LOGGER.addHandler(to_file)
        yield LOGGER
    except Exception as error:
        LOGGER.exception("failed")
        if advice := _advice(error):
            LOGGER.error("%s", advice)
        raise
    finally:
        for handler in handlers:
            LOGGER.removeHandler(handler)
            # A log that a full disk cuts short is no reason to fail: the step's own files have been written whole.
            with suppress(OSError):
                handler.close()


def _advice(error):
    """What to do about an error of the machine rather than of the program; None for all others."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        if number in _ADVICE:
            return f"{error}: {_ADVICE[number]}. What was finished before is whole; run again to go on."
        error = error.__cause__ or error.__context__
    return None


def progress(items, total, unit, every_s=5.0):
    """Pass the items through, logging how many are done, how fast, and how long the rest will take.

    Parameters
    ----------
    items : iterable
    total : int or None
        How many are expected, where known.
    unit : str
        What an item is, in the plural: "frames".
    every_s : float
        Seconds between two lines.
    """
    started = shown = time.monotonic()
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - shown >= every_s:
            shown = now
            rate = done / max(now - started, 1e-9)
            share = f" of {total} ({100 * done / total:.0f} %), {max(total - done, 0) / rate:.0f} s left" if total else ""
            LOGGER.info("%d %s%s, %.1f %s/s", done, unit, share, rate, unit)
    elapsed = time.monotonic() - started
    LOGGER.info("%d %s in %.1f s", done, unit, elapsed)
