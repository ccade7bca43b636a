"""`handroll run` as it is called: what it prints, its exit status, and what a second call in the same folder does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from handroll.config.sheet import read_sheet

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder of files that are no videos of piano playing, two of them of one name."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "again").mkdir()
    (folder / "take.mp4").touch()
    (folder / "again" / "take.mp4").write_text("These are words.\n" * 50, encoding="utf-8")
    return folder


def start(*arguments, cwd):
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command = [sys.executable, "-m", "handroll.cli", "run", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env={**os.environ, "PYTHONPATH": path}, start_new_session=True, **streams)


def run(*arguments, cwd):
    process = start(*arguments, cwd=cwd)
    said, _ = process.communicate()
    assert len(said.splitlines()) <= 40 and "Traceback" not in said and "[Errno" not in said, said
    return process.returncode, said


def test_two_runs_in_one_folder(films, tmp_path):
    status, said = run(films / "take.mp4", "--out", "out", cwd=tmp_path)
    assert status == 1
    assert f"take ({films}/take.mp4): not useful\n  The file is empty (zero bytes)" in said
    # What a run that was killed leaves behind.
    locks = tmp_path / "out" / ".snakemake" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "0.input.lock").touch()
    (tmp_path / "out" / ".handroll" / "lock").write_text("4711\n", encoding="utf-8")
    status, said = run(films / "again" / "take.mp4", "--out", "out", cwd=tmp_path)
    assert status == 1
    assert "The last run in this folder was killed." in said
    # Only the videos of this call are reported, under a name of their own.
    assert f"take_2 ({films}/again/take.mp4): not useful" in said and "(zero bytes)" not in said
    assert [row.video for row in read_sheet(tmp_path / "out" / "videos.tsv")] == ["take", "take_2"]
    # Weights are relative to the folder that the command is called in, as for `handroll doctor`.
    settings = yaml.safe_load((tmp_path / "out" / ".handroll" / "config.yaml").read_text(encoding="utf-8"))
    assert settings["pose"]["hamer"]["mano"] == str(tmp_path / "resources/weights/mano/MANO_RIGHT.pkl")
    assert (tmp_path / "out" / "results" / "acquire" / "own" / "take" / "info.json").is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_and_its_children(number, films, tmp_path):
    process = start(films / "take.mp4", "--out", "out", cwd=tmp_path)
    log = tmp_path / "out" / "handroll.log"
    while process.poll() is None and not (log.is_file() and "Building DAG" in log.read_text(encoding="utf-8")):
        time.sleep(0.1)
    process.send_signal(number)
    said, _ = process.communicate()
    assert process.returncode == 128 + number
    assert said.rstrip().splitlines()[-1].startswith("handroll run: stopped. Finished results are kept; the same command resumes.")
    assert processes_in(tmp_path) == []


def test_children_of_a_killed_command_end(films, tmp_path):
    process = start(films / "take.mp4", "--out", "out", cwd=tmp_path)
    while process.poll() is None and not processes_in(tmp_path / "out"):
        time.sleep(0.1)
    process.kill()
    process.communicate()
    while processes_in(tmp_path):
        time.sleep(0.1)


def processes_in(folder):
    """Command lines of the processes that name the folder or work in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            works = (process / "cwd").readlink()
        except OSError:
            continue
        if works.is_relative_to(folder) or any(str(folder) in word for word in words):
            found.append(words)
    return found
