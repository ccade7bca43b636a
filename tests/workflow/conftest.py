"""A copy of the project in a temporary folder, small videos, and a way to run Snakemake there and to read what it did."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "resources" / "demo"


@dataclass
class Project:
    """A checkout that tests may edit."""

    root: Path

    def command(self, *arguments, cores=2, python_path=None):
        """The command line that runs Snakemake in the project, and the environment it needs."""
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        python_path = os.pathsep.join(map(str, filter(None, (python_path, self.root / "src"))))
        command = [sys.executable, "-m", "snakemake", *arguments, "--cores", str(cores), "--configfile", "config/test.yaml"]
        return command, {**os.environ, "PYTHONPATH": python_path, "PATH": path}

    def run(self, *arguments, check=True, cores=2, python_path=None):
        """Run Snakemake in the project; returns the finished process with all its output in `stdout`."""
        command, environment = self.command(*arguments, cores=cores, python_path=python_path)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(command, cwd=self.root, env=environment, check=False, **streams)
        assert done.returncode == 0 or not check, done.stdout
        return done

    def planned(self, *arguments):
        """Rules that a run would execute now, with the number of jobs of each; targets are left out."""
        output = self.run("--dry-run", *arguments).stdout
        jobs = dict(re.findall(r"^(\w+)\s+(\d+)$", output, flags=re.MULTILINE))
        return {rule: int(count) for rule, count in jobs.items() if rule not in ("total", "all", "overlays", "screen")}

    def edit(self, path, old, new):
        """Replace text in a file of the project; it must be there."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} does not contain {old!r}"
        file.write_text(text.replace(old, new), encoding="utf-8")


def copy_project(folder):
    """The parts of the project that the workflow runs on, copied to a folder."""
    for name in ("src", "workflow", "profiles", "envs", "config"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "Snakefile", folder)
    return Project(folder)


def cut_demo(name, path, start_s, length_s, max_width_px=640):
    """Cut some seconds of a demo video, scaled down, with its sound."""
    from handroll.music.audio import extract_audio, load_audio
    from handroll.video.frames import read_frames
    from handroll.video.write import VideoWriter

    source = DEMO / f"{name}.mp4"
    sound = path.with_suffix(".flac")
    extract_audio(source, sound)
    samples, rate_hz = load_audio(sound)
    sound.unlink()
    samples = samples[round(start_s * rate_hz) : round((start_s + length_s) * rate_hz)]
    writer = None
    for frame in read_frames(source, max_width_px=max_width_px):
        if frame.time_s >= start_s + length_s:
            break
        if frame.time_s >= start_s:
            if writer is None:
                height, width = frame.image.shape[:2]
                writer = VideoWriter(path, width, height, 30, audio=(samples, rate_hz)).__enter__()
            writer.write(frame.image, frame.time_s - start_s)
    writer.__exit__(None, None, None)
    return path


TEST_CONFIG = """\
sheet: videos.tsv
screen:
  resolution: {min_short_side_px: 200, min_long_side_px: 300}
  duration: {min_s: 1.0}
  editing: {min_playable_s: 1.0, min_longest_s: 1.0}
clips: {length_s: 2.0, hop_s: 1.5}
dataset: {rights: {permissions: [granted, unknown]}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with thresholds for small videos, and no sheet yet."""
    made = copy_project(tmp_path_factory.mktemp("project"))
    (made.root / "config" / "test.yaml").write_text(TEST_CONFIG, encoding="utf-8")
    return made


@pytest.fixture
def another_project(tmp_path):
    """Another copy, in another place."""
    return copy_project(tmp_path / "elsewhere")


@pytest.fixture(scope="module")
def small_videos(tmp_path_factory):
    """Four seconds each of two demo videos, 640 px wide."""
    folder = tmp_path_factory.mktemp("videos")
    return [cut_demo(name, folder / f"{name}.mp4", 2.0, 4.0) for name in ("prelude", "ode")]
