import errno
import logging
import os

import pytest

from handroll import logs
from handroll.logs import LOGGER, progress, step_log


def file_handlers():
    """Handlers that a step must remove; importing the package may have added null handlers."""
    return [handler for handler in LOGGER.handlers if not isinstance(handler, logging.NullHandler)]


def test_lines_go_to_the_file_and_the_terminal(tmp_path, capsys):
    handlers = list(LOGGER.handlers)
    with step_log(tmp_path / "logs" / "step.log", "detect_hands ann/long") as log:
        log.info("found %d hands", 2)
        logging.getLogger("handroll").warning("one is blurred")
    text = (tmp_path / "logs" / "step.log").read_text()
    assert "INFO found 2 hands" in text and "WARNING one is blurred" in text
    assert "[detect_hands ann/long] found 2 hands" in capsys.readouterr().err
    assert LOGGER.handlers == handlers
    LOGGER.info("after the step")
    assert "after" not in (tmp_path / "logs" / "step.log").read_text()


def test_an_error_is_logged_with_its_traceback_and_passed_on(tmp_path):
    with pytest.raises(KeyError), step_log(tmp_path / "step.log", "x"):
        raise KeyError("missing")
    text = (tmp_path / "step.log").read_text()
    assert "ERROR failed" in text and "Traceback" in text and "KeyError: 'missing'" in text
    assert not file_handlers()


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "the disk is full; free some space"), (errno.EROFS, "read-only"), (errno.EACCES, "no permission to write")],
)
def test_errors_of_the_machine_say_what_to_do(tmp_path, number, advice):
    with pytest.raises(RuntimeError), step_log(tmp_path / "step.log", "x"):
        try:
            raise OSError(number, os.strerror(number), "/data/motion.parquet")
        except OSError as error:
            raise RuntimeError("could not write") from error
    text = (tmp_path / "step.log").read_text()
    assert advice in text and "/data/motion.parquet" in text and "run again to resume" in text


def test_a_disk_too_full_for_the_log_itself_says_what_to_do(tmp_path, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "step.log")

    monkeypatch.setattr(logging, "FileHandler", full)
    with pytest.raises(OSError), step_log(tmp_path / "step.log", "x"):
        raise AssertionError("nothing is begun")
    assert "the disk is full; free some space" in capsys.readouterr().err and not file_handlers()


def test_a_second_run_begins_a_new_file(tmp_path):
    for line in ("first", "second"):
        with step_log(tmp_path / "step.log", "x") as log:
            log.info(line)
    assert "first" not in (tmp_path / "step.log").read_text()


def test_progress_passes_items_through_and_counts_them(caplog, monkeypatch):
    monkeypatch.setattr(logs, "PROGRESS_S", 0.0)
    caplog.set_level(logging.INFO, "handroll")
    assert list(progress(iter("abcd"), 4, "frames")) == list("abcd")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("1 frames of 4 (25 %)") and lines[-1].startswith("4 frames in ")


def test_progress_without_total_or_items(caplog, monkeypatch):
    monkeypatch.setattr(logs, "PROGRESS_S", 0.0)
    caplog.set_level(logging.INFO, "handroll")
    assert list(progress([], None, "frames")) == []
    list(progress([1], None, "frames"))
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("0 frames in") and "of" not in lines[1]
