import logging
import os
import subprocess
import sys
from pathlib import Path

from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase as LogHandlerContract

from handroll.run.progress import NO_ERROR
from snakemake_logger_plugin_handroll import LogHandler


class TestContract(LogHandlerContract):
    """What Snakemake asks of a logger plugin."""

    __test__ = True

    def get_log_handler_cls(self):
        return LogHandler

    def get_log_handler_settings(self):
        return None


def handler():
    return LogHandler(None, None)


def record(event, created=0.0, level=logging.INFO, **values):
    made = logging.LogRecord("snakemake", level, "", 0, "message", (), None)
    made.event, made.created = event, created
    vars(made).update(values)
    return made


def test_snakemake_finds_the_plugin_by_the_path_alone():
    source = Path(__file__).resolve().parents[3] / "src"
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--help"],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--logger {handroll}" in " ".join(done.stdout.split())


def test_a_failed_job_is_reported_with_reason_and_log(tmp_path):
    log = tmp_path / "fit_pose.log"
    log.write_text("Traceback (most recent call last):\nValueError: expected 21 joints, found 20\n", encoding="utf-8")
    made, wildcards = handler(), {"subject": "own", "video": "take"}
    job = {"jobid": 1, "rule_name": "fit_pose", "log": [str(log)]}
    assert made.lines(record(LogEvent.RUN_INFO, stats={"fit_pose": 1, "total": 1})) == []
    assert made.lines(record(LogEvent.JOB_INFO, **job, wildcards=wildcards)) == []
    assert made.lines(record(LogEvent.ERROR, exception="RuleException")) == []
    assert made.lines(record(LogEvent.JOB_ERROR, **job)) == [f"take: fit_pose failed: expected 21 joints, found 20 (log: {log})"]
    assert made.lines(record(LogEvent.ERROR, exception="WorkflowError")) == []


def test_a_run_that_cannot_start_is_reported_with_its_reason():
    assert handler().lines(record(LogEvent.ERROR, exception="WorkflowError")) == ["message"]


def test_lines_contain_no_control_characters(capsys):
    made = handler()
    made.emit(record(LogEvent.RUN_INFO, stats={"write_shards": 1}))
    made.emit(record(LogEvent.JOB_INFO, jobid=1, rule_name="write_shards", log=["log"], wildcards={}))
    made.emit(record(LogEvent.JOB_FINISHED, created=5.0, job_id=1))
    said = capsys.readouterr().out
    assert said.endswith("\n") and said.strip().isprintable()


def test_a_failed_plan_is_reported_without_a_traceback():
    failed = record(LogEvent.ERROR, level=logging.ERROR, exception="InputFunctionException")
    failed.msg = "probe.json: expected JSON\nWildcards:\n  video=take\nTraceback:\n  File common.smk, line 1"
    assert handler().lines(failed) == ["probe.json: expected JSON"]
    chain = "OSError: one\n\nDuring handling of the above exception:\n\n"
    failed.msg = f"{chain}Traceback (most recent call last):\n  File pulp.py, line 1\nOSError: [Errno 28] No space left on device\n"
    assert handler().lines(failed) == ["Snakemake failed: [Errno 28] No space left on device"]


def test_a_killed_job_is_not_explained_by_the_last_line_of_its_log(tmp_path):
    log = tmp_path / "survey_video.log"
    job = {"jobid": 1, "rule_name": "survey_video", "log": [str(log)]}
    (line,) = handler().lines(record(LogEvent.JOB_ERROR, **job))
    assert line == f"survey_video failed: {NO_ERROR}"
    log.write_text("2026-01-01 10:00:00,000 INFO 75 frames in 0.2 s\n", encoding="utf-8")
    (line,) = handler().lines(record(LogEvent.JOB_ERROR, **job))
    assert line == f"survey_video failed: {NO_ERROR} (log: {log})"
