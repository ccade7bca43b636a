"""Snakemake's logger plugin `handroll`: `snakemake --logger handroll` prints one line for each video and stage on the standard output.

Snakemake's own log stays on the standard error, so that `2> FILE` sends it, with all that jobs print, to a file. Snakemake finds the
plugin by the name of this package.
"""

import json
from contextlib import suppress
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from handroll.run.progress import Job, Progress, last_line, short

__all__ = ["LogHandler"]

_OF_JOBS = ("RuleException", "CalledProcessError")
"""Errors that come with a job that fails."""


class LogHandler(LogHandlerBase):
    """Prints the progress; all state is in `handroll.run.progress.Progress`."""

    writes_to_stream = False
    # Snakemake lets one plugin stand in for its own log on the standard error; this one writes beside it, to the standard output.
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self):
        self.progress = Progress(length_of)
        self.failed = False

    def emit(self, record):
        """Print what an event ends: a stage, a job that fails, or a run that cannot start."""
        # A reader that has gone (`| head`) ends nothing.
        with suppress(OSError):
            for line in self.lines(record):
                print(line, flush=True)

    def lines(self, record):
        """Lines to print for a record of Snakemake's log."""
        event, at_s = getattr(record, "event", None), record.created
        if event == LogEvent.RUN_INFO and getattr(record, "stats", None):
            self.progress.plan(record.stats, at_s)
        elif event == LogEvent.JOB_INFO:
            names = dict(record.wildcards or {})
            video = "/".join(str(names[key]) for key in ("subject", "video") if key in names)
            self.progress.start(record.jobid, Job(record.rule_name, video, at_s, str(next(iter(record.log or ()), ""))))
        elif event == LogEvent.JOB_FINISHED:
            line = self.progress.finish(record.job_id, at_s)
            return [line] if line else []
        elif event == LogEvent.JOB_ERROR:
            self.failed = True
            job = self.progress.fail(record.jobid)
            log = Path(next(iter(record.log or ()), ""))
            why = last_line(log.read_text(encoding="utf-8", errors="replace") if log.is_file() else "")
            what = f"{short(job.video)}: " if job and job.video else ""
            return [f"{what}{record.rule_name} failed: {why}" + (f" (log: {log.resolve()})" if log.is_file() else "")]
        elif (
            event == LogEvent.ERROR and not self.failed and getattr(record, "exception", "") not in ("RuleException", "CalledProcessError")
        ):
            # These come with a job that fails, and after it Snakemake only says again that one did.
            message = record.getMessage()
            if "Traceback (most recent call last)" in message:
                return [f"Snakemake failed: {last_line(message)}"]
            # Behind what is wrong Snakemake prints the job's wildcards and a traceback of its rules.
            return [message.partition("\nWildcards:")[0]]
        return []


def length_of(video):
    """Length of a video (`subject/name`), s at 30 frames/s, by its probe.json; 0 where the file is rejected, None before it is probed."""
    try:
        probe = json.loads(Path(f"results/acquire/{video}/probe.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return 0.0 if probe.get("problems") else (probe.get("n_frames") or 0) / 30.0
