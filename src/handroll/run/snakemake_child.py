"""Run Snakemake as a child process of `handroll run`. When the parent ends for any reason, the child and all its jobs end, too.

A parent that is killed (`kill -9`, out of memory) cannot end its children. Therefore the child checks once a second whether its parent
still runs.
"""

import os
import signal
import sys
import threading
import time

PERIOD_S = 1.0
"""Time between two checks of the parent, s."""


def end_with(parent):
    """Kill this process and its group as soon as the process with the id `parent` is no longer its parent."""

    def watch():
        while os.getppid() == parent:
            time.sleep(PERIOD_S)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def interrupt(_number, _frame):
    """Handle the interrupt signal: write further output to the log, and end Snakemake and its jobs in the same way as Ctrl-C."""
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.killpg(0, signal.SIGINT)
    raise KeyboardInterrupt


if __name__ == "__main__":
    from snakemake.cli import main

    end_with(int(sys.argv[1]))
    # A shell makes background commands ignore the interrupt signal, so its handler must be set explicitly.
    signal.signal(signal.SIGINT, interrupt)
    sys.exit(main(sys.argv[2:]))
