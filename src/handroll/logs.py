"""Log a step: write the same lines to the log file of the rule and to the terminal, with progress lines while the step runs."""

import errno
import logging
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

LOGGER = logging.getLogger("handroll")
"""Logger of all modules of handroll."""

PROGRESS_S = 5.0
"""Minimum time between two progress lines, seconds."""

# Advice for errors of the file system, by error number.
_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space, or ask for a larger quota",
    errno.EROFS: "the file system is read-only; make it writable, or work in another folder (snakemake --directory)",
    errno.EACCES: "no permission to write in the folder; change its permissions, or work in another folder (snakemake --directory)",
}


@contextmanager
def step_log(path, name):
    """Write handroll's log to a file and to the terminal while the block runs. An exception is logged with its traceback.

    Parameters
    ----------
    path : path
        Log file. Its folder is created.
    name : str
        Prefix of the lines on the terminal, such as "detect_hands pianist/prelude".

    Yields
    ------
    logging.Logger
    """
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(logging.Formatter(f"[{name}] %(message)s"))
    handlers = [to_terminal]
    LOGGER.addHandler(to_terminal)
    LOGGER.setLevel(logging.INFO)
    try:
        # On a full disk, the log file cannot be created. The advice is then printed on the terminal only.
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        to_file = logging.FileHandler(path, mode="w", encoding="utf-8")
        to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        handlers.append(to_file)
        LOGGER.addHandler(to_file)
        yield LOGGER
    except Exception as error:
        LOGGER.exception("failed")
        if advice := _find_advice(error):
            LOGGER.error("%s", advice)
        raise
    finally:
        for handler in handlers:
            LOGGER.removeHandler(handler)
            # A log file that is incomplete because of a full disk is not a failure: the step has written its own files completely.
            with suppress(OSError):
                handler.close()


def _find_advice(error):
    """Return advice for an error of the file system, such as a full disk; None for any other error."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        if number in _ADVICE:
            return f"{error}: {_ADVICE[number]}. Finished results are complete; run again to resume."
        error = error.__cause__ or error.__context__
    return None


def progress(items, total, unit):
    """Yield the items, and log the number of finished items, the speed and the remaining time. Lines are at least `PROGRESS_S` apart.

    Parameters
    ----------
    items : iterable
    total : int or None
        Expected number of items; None if unknown.
    unit : str
        Name of the items in the plural, such as "frames".
    """
    started = logged = time.monotonic()
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - logged >= PROGRESS_S:
            logged = now
            rate = done / max(now - started, 1e-9)
            share = f" of {total} ({100 * done / total:.0f} %), {max(total - done, 0) / rate:.0f} s left" if total else ""
            LOGGER.info("%d %s%s, %.1f %s/s", done, unit, share, rate, unit)
    elapsed = time.monotonic() - started
    LOGGER.info("%d %s in %.1f s", done, unit, elapsed)
