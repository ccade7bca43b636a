"""Things break at any moment: nothing is lost, nothing half made is taken for whole, and the messages say what to do.

A run from nothing is killed at a random moment, once, or as often as HANDROLL_KILLS says; each time takes a run of the workflow.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest

TARGETS = ("all", "overlays")
KILLS = int(os.environ.get("HANDROLL_KILLS", "1"))
PATIENCE_S = 900.0


@pytest.fixture(scope="module")
def reference(finished, copy_of, tmp_path_factory):
    """A project after an undisturbed run, for tests to break, and what it made."""
    project = copy_of(finished, tmp_path_factory.mktemp("reference") / "project")
    return project, made(project)


@pytest.fixture
def unmade(finished, copy_of, tmp_path):
    """The same project before any run, in another place."""
    return copy_of(finished, tmp_path / "elsewhere", results=False)


def made(project):
    """Bytes of every result file but logs, timings and hidden ones."""
    folder = project.root / "results"
    files = (path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in ("logs", "timings"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files if not path.name.startswith(".")}


def assert_same(project, expected):
    """The same files with the same bytes, every table readable, and nothing left over."""
    found = made(project)
    assert found.keys() == expected.keys()
    assert [path for path in found if found[path] != expected[path]] == []
    folder = project.root / "results"
    assert [str(path) for path in folder.rglob("*.part*")] == []
    for path in folder.rglob("*.parquet"):
        pq.read_table(path, page_checksum_verification=True)
    assert project.planned(*TARGETS) == {}


class Running:
    """Snakemake running in the project, in a process group of its own."""

    def __init__(self, project):
        self.process, self.log = project.start(*TARGETS)

    def wait_for(self, share):
        """Wait until such a share of the jobs is done."""
        end = time.monotonic() + PATIENCE_S
        done, total = 0, 1
        while done < share * total:
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text(encoding="utf-8")
            time.sleep(0.1)
            for found in re.finditer(r"^(\d+) of (\d+) steps", self.log.read_text(encoding="utf-8"), flags=re.MULTILINE):
                done, total = map(int, found.groups())

    def kill(self, group):
        """Kill Snakemake, and with `group` the scripts it has started, at once, as a machine that goes down."""
        (os.killpg if group else os.kill)(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_a_random_moment(reference, unmade, seed):
    moment = random.Random(seed)
    running = Running(unmade)
    running.wait_for(moment.uniform(0.0, 0.9))
    time.sleep(moment.uniform(0.0, 3.0))
    # Every other time the scripts go on, and write what nobody waits for.
    running.kill(group=seed % 2 == 0)
    unmade.run("--unlock")
    unmade.run(*TARGETS)
    assert_same(unmade, reference[1])


def test_a_damaged_table_is_named_and_made_anew(reference):
    project, expected = reference
    table = project.root / "results/hands/anna/one/refined.parquet"
    data = bytearray(table.read_bytes())
    data[len(data) // 3] ^= 0xFF
    table.write_bytes(data)
    done = project.run(*TARGETS, check=False)
    assert done.returncode != 0
    assert "refined.parquet: expected a handroll pose table, found another kind of file or a damaged one" in done.stdout
    assert "delete it and run again" in done.stdout
    table.unlink()
    project.run(*TARGETS)
    assert_same(project, expected)


def test_weights_and_gpus_that_are_missing_are_named(reference, tmp_path, monkeypatch):
    project, expected = reference
    installed, bare = Path(find_spec("transkun").origin).parent, tmp_path / "transkun"
    shutil.copytree(installed, bare, ignore=shutil.ignore_patterns("*.pt", "__pycache__"))
    notes = "results/music/anna/one/transcription/notes.parquet"
    (project.root / notes).unlink()
    done = project.run(*TARGETS, check=False, python_path=tmp_path)
    assert done.returncode != 0
    assert "expected the weights of Transkun 2, found no file" in done.stdout and "pip install" in done.stdout
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = project.run(*TARGETS, "--config", "device=cuda", check=False)
    assert done.returncode != 0
    assert "device: cuda: expected a GPU that PyTorch can use, found none" in done.stdout and "or set `device: cpu`" in done.stdout
    assert not (project.root / notes).exists()
    # What failed is tried again, though all that hangs on it is there from before.
    assert {"transcribe_audio", "write_shards"} <= project.planned(*TARGETS, "--config", "device=cuda").keys()
    project.run(*TARGETS)
    assert_same(project, expected)


@pytest.fixture
def small_disk(unmade):
    """A project whose results lie on a file system of their own, of 300 KiB."""
    results = unmade.root / "results"
    results.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", results], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip(f"needs the right to mount a file system: {mount.stderr.decode().strip()}")
    yield unmade
    subprocess.run(["umount", "--lazy", results], check=True)


def remount(project, options):
    subprocess.run(["mount", "-o", f"remount,{options}", project.root / "results"], check=True)


def test_a_full_disk_a_read_only_one_and_kills_on_the_way(reference, small_disk):
    _, expected = reference
    done = small_disk.run(*TARGETS, check=False)
    assert done.returncode != 0 and "the disk is full; free some space" in done.stdout
    kept = {path: data for path, data in made(small_disk).items() if path.endswith("detections.parquet")}
    assert all(data == expected[path] for path, data in kept.items())
    remount(small_disk, "ro")
    done = small_disk.run(*TARGETS, check=False)
    assert done.returncode != 0 and "Read-only file system" in done.stdout
    remount(small_disk, "rw,size=64m")
    for group in (True, False):
        running = Running(small_disk)
        running.wait_for(0.3)
        running.kill(group)
        small_disk.run("--unlock")
    small_disk.run(*TARGETS)
    assert_same(small_disk, expected)
