"""Logging of a step: the same lines in the rule's log and on the terminal, and a progress line while it runs."""

import logging
import sys
import time
from contextlib import contextmanager
from pathlib import Path

LOGGER = logging.getLogger("handroll")


@contextmanager
def step_log(path, name):
    """Send handroll's log to `path` and the terminal while the block runs; an exception is logged with its traceback.

    Parameters
    ----------
    path : log file
    name : what the lines on the terminal are marked with, such as "detect_hands pianist/prelude"
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(path, mode="w", encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(logging.Formatter(f"[{name}] %(message)s"))
    for handler in (to_file, to_terminal):
        LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield LOGGER
    except Exception:
        LOGGER.exception("failed")
        raise
    finally:
        for handler in (to_file, to_terminal):
            LOGGER.removeHandler(handler)
            handler.close()


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
