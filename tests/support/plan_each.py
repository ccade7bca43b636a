"""Run Snakemake once for each of several lists of arguments, each in a process of its own; the project's code is parsed only once.

Called in the project as `plan_each.py LISTS`, with the lists as JSON. Writes the output of each followed by a line with its status.
"""

import json
import os
import re
import sys
from pathlib import Path

END = "end of the output, status "


def main(lists):
    from snakemake.cli import main as snakemake

    from handroll import provenance

    for path in (*provenance.PACKAGE.rglob("*.py"), *Path("workflow/scripts").resolve().glob("*.py")):
        provenance._parse_module(path)
    for arguments in lists:
        process = os.fork()
        if not process:
            status = 1
            try:
                sys.argv = ["snakemake", *arguments]
                snakemake()
            except SystemExit as end:
                status = end.code or 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(f"{END}{status}", flush=True)


def read(output):
    """(status, output) of each run."""
    parts = re.split(rf"^{END}(-?\d+)\n", output, flags=re.MULTILINE)
    return list(zip(map(int, parts[1::2]), parts[0::2], strict=False))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
