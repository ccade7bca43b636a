"""Snakemake as a child of `handroll run`: it ends, with all its jobs, as soon as its parent has ended, however that came.

A parent that is killed (`kill -9`, a full memory) cannot end its children. So the child asks every second whether it still has
the parent that started it.
"""

import os
import signal
import sys
import threading
import time

PERIOD_S = 1.0
"""Time between two questions, s."""


def end_with(parent):
    """End this process group when the process `parent` is not its parent any more."""

    def watch():
        while os.getppid() == parent:
            time.sleep(PERIOD_S)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def interrupt(_number, _frame):
    """End Snakemake and its jobs as Ctrl-C does; what it still prints of jobs that this ends goes to the log."""
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.killpg(0, signal.SIGINT)
    raise KeyboardInterrupt


if __name__ == "__main__":
    from snakemake.cli import main

    end_with(int(sys.argv[1]))
    # A shell starts a command in the background with this signal ignored, and children inherit that.
    signal.signal(signal.SIGINT, interrupt)
    sys.exit(main(sys.argv[2:]))
