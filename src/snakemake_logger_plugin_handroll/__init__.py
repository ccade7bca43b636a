"""Snakemake's logger plugin `handroll`: `snakemake --logger handroll` prints one line for each video and stage on standard output.

Snakemake's own log and the output of jobs are still written to standard error, so that `2> FILE` writes them to a file. Snakemake finds
the plugin by the name of this package.
"""

import json
from contextlib import suppress
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from handroll.run.progress import Job, Progress, last_line, short_name

__all__ = ["LogHandler"]

# Exceptions that Snakemake logs in addition to the record of a failed job.
_JOB_ERRORS = ("RuleException", "CalledProcessError")


class LogHandler(LogHandlerBase):
    """Log handler that prints the progress. `handroll.run.progress.Progress` contains the state."""

    # The handler writes to standard output, but with True, Snakemake would omit its own log on standard error.
    writes_to_stream = False
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self):
        self.progress = Progress(length_of)
        self.failed = False

    def emit(self, record):
        """Print progress lines for a record of Snakemake's log: a finished stage, a failed job, or the reason why a run cannot start."""
        # A closed output (`| head`) is not an error.
        with suppress(OSError):
            for line in self.lines(record):
                print(line, flush=True)

    def lines(self, record):
        """Update the progress with a record of Snakemake's log; return the lines to print, a list of str."""
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
            reason = last_line(log.read_text(encoding="utf-8", errors="replace") if log.is_file() else "")
            video = f"{short_name(job.video)}: " if job and job.video else ""
            return [f"{video}{record.rule_name} failed: {reason}" + (f" (log: {log.resolve()})" if log.is_file() else "")]
        elif event == LogEvent.ERROR and not self.failed and getattr(record, "exception", "") not in _JOB_ERRORS:
            # After a failed job, Snakemake only repeats that a job failed.
            message = record.getMessage()
            if "Traceback (most recent call last)" in message:
                return [f"Snakemake failed: {last_line(message)}"]
            # Snakemake appends the wildcards of the job and the traceback of its rules, which are removed here.
            return [message.partition("\nWildcards:")[0]]
        return []


def length_of(video):
    """Return the length of a video (`subject/name`) by its probe.json: the duration of its frames at 30 frames/s, s.

    0: the file is rejected. None: the video is not probed yet.
    """
    try:
        probe = json.loads(Path(f"results/acquire/{video}/probe.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return 0.0 if probe.get("problems") else (probe.get("n_frames") or 0) / 30.0
