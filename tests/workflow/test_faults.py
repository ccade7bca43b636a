"""Things break at any moment: nothing is lost, nothing half made is taken for whole, and the messages say what to do.

A run from nothing is killed at a random moment, once, or as often as HANDROLL_KILLS says; each time takes a run of the workflow.
"""

import os
import random
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
SHEET = "subject\tvideo\tsource\tpermission\nanna\tone\t{}\tgranted\nanna\tgone\t/nowhere/gone.mp4\tgranted\n"


@pytest.fixture(scope="module")
def reference(project, small_videos):
    """The project after an undisturbed run, how long that took, and what it made."""
    (project.root / "videos.tsv").write_text(SHEET.format(small_videos[0]), encoding="utf-8")
    start = time.monotonic()
    project.run(*TARGETS)
    return project, time.monotonic() - start, made(project)


def made(project):
    """Bytes of every result file but logs, benchmarks and hidden ones."""
    folder = project.root / "results"
    files = (path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in ("logs", "benchmarks"))
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


def start(project):
    """Snakemake running in the project, in a process group of its own."""
    command, environment = project.command(*TARGETS)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=project.root, env=environment, start_new_session=True, **streams)


def kill(running, group):
    """Kill Snakemake, and with `group` the scripts it has started, at once, as a machine that goes down."""
    os.killpg(running.pid, signal.SIGKILL) if group else running.kill()
    running.wait()


def copy_settings(reference, project):
    for name in ("videos.tsv", "config/test.yaml"):
        shutil.copy(reference.root / name, project.root / name)


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_a_random_moment(reference, another_project, seed):
    original, duration_s, expected = reference
    copy_settings(original, another_project)
    running = start(another_project)
    time.sleep(random.Random(seed).uniform(0.05, 0.95) * duration_s)
    # Every other time the scripts go on, and write what nobody waits for.
    kill(running, group=seed % 2 == 0)
    another_project.run("--unlock")
    another_project.run(*TARGETS)
    assert_same(another_project, expected)


def test_a_damaged_table_is_named_and_made_anew(reference):
    project, _, expected = reference
    table = project.root / "results/hands/anna/one/refined.parquet"
    data = bytearray(table.read_bytes())
    data[len(data) // 3] ^= 0xFF
    table.write_bytes(data)
    done = project.run(*TARGETS, check=False)
    assert done.returncode != 0
    assert "refined.parquet: expected a handroll pose table, found another file or a damaged one" in done.stdout
    assert "delete it and run again" in done.stdout
    table.unlink()
    # By name: what is finished does not need it any more.
    project.run(*TARGETS, "results/motion/anna/one/motion.parquet")
    assert_same(project, expected)


def test_weights_and_gpus_that_are_missing_are_named(reference, tmp_path, monkeypatch):
    project, _, expected = reference
    installed, bare = Path(find_spec("transkun").origin).parent, tmp_path / "transkun"
    shutil.copytree(installed, bare, ignore=shutil.ignore_patterns("*.pt", "__pycache__"))
    notes = "results/music/anna/one/transcription/notes.parquet"
    (project.root / notes).unlink()
    done = project.run(notes, check=False, python_path=tmp_path)
    assert done.returncode != 0
    assert "expected the weights of Transkun 2, found none" in done.stdout and "pip install" in done.stdout
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = project.run(notes, "--config", "device=cuda", check=False)
    assert done.returncode != 0
    assert "device: cuda: expected a GPU that PyTorch can use, found none" in done.stdout and "or set `device: cpu`" in done.stdout
    assert not (project.root / notes).exists()
    project.run(*TARGETS, notes)
    assert_same(project, expected)


@pytest.fixture
def small_disk(another_project):
    """A project whose results lie on a file system of their own, of 300 KiB."""
    results = another_project.root / "results"
    results.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", results], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip(f"needs the right to mount a file system: {mount.stderr.decode().strip()}")
    yield another_project
    subprocess.run(["umount", "--lazy", results], check=True)


def remount(project, options):
    subprocess.run(["mount", "-o", f"remount,{options}", project.root / "results"], check=True)


def test_a_full_disk_a_read_only_one_and_kills_on_the_way(reference, small_disk):
    original, duration_s, expected = reference
    copy_settings(original, small_disk)
    done = small_disk.run(*TARGETS, check=False)
    assert done.returncode != 0 and "the disk is full; make room on it" in done.stdout
    kept = {path: data for path, data in made(small_disk).items() if path.endswith("detections.parquet")}
    assert all(data == expected[path] for path, data in kept.items())
    remount(small_disk, "ro")
    done = small_disk.run(*TARGETS, check=False)
    assert done.returncode != 0 and "Read-only file system" in done.stdout
    remount(small_disk, "rw,size=64m")
    for group in (True, False):
        running = start(small_disk)
        time.sleep(0.25 * duration_s)
        kill(running, group)
        small_disk.run("--unlock")
    small_disk.run(*TARGETS)
    assert_same(small_disk, expected)
