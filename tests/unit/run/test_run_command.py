"""`handroll run` where Snakemake does not run: wrong options, readers and disks that have gone."""

import errno
import os
import signal
import subprocess
import sys
from argparse import Namespace

import pytest

from handroll.cli import main
from handroll.config.pipeline import Config
from handroll.config.sheet import Video
from handroll.run import command
from handroll.run.report import STEPS


@pytest.mark.parametrize("cores", ["0", "-1", "abc", "1.5", ""])
def test_an_invalid_number_of_cores_is_a_usage_error(cores, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["run", "take.mp4", "--out", str(tmp_path / "out"), f"--cores={cores}"])
    assert ended.value.code == 2
    assert f"expected `all` or an integer of at least 1, found {cores!r}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_output_folder_with_circular_links(tmp_path, capsys):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "take.mp4").touch()
    assert main(["run", str(tmp_path / "take.mp4"), "--out", str(tmp_path / "one" / "out")]) == 2
    assert f"cannot write to {tmp_path}/one/out: too many levels of symbolic links" in capsys.readouterr().err


def test_the_message_of_a_failed_write_contains_the_folder(tmp_path, monkeypatch, capsys):
    def full(*_):
        # As a write raises it: without the name of a file.
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(command, "_run", full)
    (tmp_path / "take.mp4").touch()
    assert main(["run", str(tmp_path / "take.mp4"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"handroll run: {tmp_path}/out: no space left on device\n"


def test_a_closed_output_is_no_error():
    code = "from handroll.run.command import _say\nfor _ in range(3): _say('a line', 'another')\nprint('still printing')\n"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_ends_the_command_except_under_nohup(ignored, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_run", lambda *_: signal.raise_signal(signal.SIGHUP) or 0)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    (tmp_path / "take.mp4").touch()
    options = Namespace(videos=[str(tmp_path / "take.mp4")], midi=[], name=[], configfile=[], out=tmp_path / "out")
    try:
        assert command.run(options) == (0 if ignored else 128 + signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("damaged", ["acquire/own/take/probe.json", "motion/own/take/motion.parquet"])
def test_a_damaged_result_is_reported_beside_the_other_videos(damaged, tmp_path, capsys):
    for path in STEPS.values():
        file = tmp_path / "results" / path.format(v="own/take")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}", encoding="utf-8")
    (tmp_path / "results" / damaged).write_text('{"a', encoding="utf-8")
    row = Video(subject="own", video="take", source="/films/take.mp4", override="accept")
    assert command._print_report(tmp_path, row, Config().screening.model_dump(), changed=False) is False
    said = capsys.readouterr().out
    assert said.startswith("\ntake (/films/take.mp4): not finished\n") and f"{tmp_path}/results/{damaged}: expected" in said
    assert "delete it and run again" in said


@pytest.mark.parametrize("change", [None, "removed", "grown"])
def test_a_file_that_changes_during_the_run(change, tmp_path, monkeypatch, capsys):
    take = tmp_path / "take.mp4"
    take.write_text("words", encoding="utf-8")

    class Snakemake:
        """A child that changes the file."""

        pid = -1

        def __init__(self, *_, **__):
            if change:
                take.unlink() if change == "removed" else take.write_text("more words", encoding="utf-8")

        def wait(self):
            return 0

    monkeypatch.setattr(command, "subprocess", Namespace(Popen=Snakemake, DEVNULL=subprocess.DEVNULL))
    monkeypatch.setattr(command, "_signal_group", lambda *_: None)
    assert main(["run", str(take), "--out", str(tmp_path / "out")]) == 1
    assert ("the file changed during the run" in capsys.readouterr().out) is bool(change)


def test_snakemake_gets_a_cache_without_a_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert command._cache_environment(tmp_path / "out") == {}
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert command._cache_environment(tmp_path / "out") == {"XDG_CACHE_HOME": str(tmp_path / "out" / "cache")}


@pytest.mark.parametrize("killed", [False, True])
def test_locks_of_another_snakemake_are_kept(killed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "_run", lambda *_: 0)
    (tmp_path / "take.mp4").touch()
    arguments = ["run", str(tmp_path / "take.mp4"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    locks = tmp_path / "out" / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    if killed:
        (tmp_path / "out" / ".handroll" / "lock").write_text("4711\n", encoding="utf-8")
    assert main(arguments) == (0 if killed else 2)
    assert locks.exists() is not killed
    said = capsys.readouterr()
    assert ("is locked" in said.err, "The last run in this folder was killed." in said.out) == (not killed, killed)


def test_a_snakemake_that_was_killed_leaves_locks_for_the_next_run(tmp_path, monkeypatch):
    locks = tmp_path / "out" / ".snakemake" / "locks"

    def killed(*_):
        locks.mkdir(parents=True, exist_ok=True)
        (locks / "0.input.lock").touch()
        return 1

    monkeypatch.setattr(command, "_run", killed)
    (tmp_path / "take.mp4").touch()
    assert [main(["run", str(tmp_path / "take.mp4"), "--out", str(tmp_path / "out")]) for _ in range(2)] == [1, 1]
