"""Run Snakemake as a child process of `handroll run`. It ends, with all its jobs, when its parent ends for any reason.

A parent that is killed (`kill -9`, out of memory) cannot end its children. So the child checks once a second that its parent runs.
"""

import os
import signal
import sys
import threading
import time

PERIOD_S = 1.0
"""Time between two checks (s)."""


def end_with(parent):
    """Kill this process group when the process `parent` is no longer its parent."""

    def watch():
        while os.getppid() == parent:
            time.sleep(PERIOD_S)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def interrupt(_number, _frame):
    """End Snakemake and its jobs as Ctrl-C does; further output goes to the log."""
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.killpg(0, signal.SIGINT)
    raise KeyboardInterrupt


if __name__ == "__main__":
    from snakemake.cli import main

    end_with(int(sys.argv[1]))
    # Children of a background command inherit from the shell that this signal is ignored.
    signal.signal(signal.SIGINT, interrupt)
    sys.exit(main(sys.argv[2:]))
