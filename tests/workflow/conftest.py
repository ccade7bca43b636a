"""A copy of the project in a temporary folder, small videos, and a way to run Snakemake there and to read what it did.

`finished` and `finished_pair` are such copies after an undisturbed run, made once for all tests, which copy them before they change
anything.
"""

import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from support import plan_each, warm_python

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "resources" / "demo"
TARGETS = ("all", "overlays")


@dataclass
class Project:
    """A checkout that tests may edit."""

    root: Path

    def command(self, *arguments, cores=2, python_path=None):
        """The command line that runs Snakemake in the project, and the environment it needs."""
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        python_path = os.pathsep.join(map(str, filter(None, (python_path, self.root / "src"))))
        # The greedy scheduler starts no process of its own for every job.
        options = ["--cores", str(cores), "--configfile", "config/test.yaml", "--scheduler", "greedy"]
        command = [sys.executable, "-m", "snakemake", *arguments, *options]
        return command, {**os.environ, "PYTHONPATH": python_path, "PATH": path}

    def run(self, *arguments, check=True, cores=2, python_path=None):
        """Run Snakemake in the project; returns the finished process with all its output in `stdout`."""
        command, environment = self.command(*arguments, cores=cores, python_path=python_path)
        done = warm_python.run(command[1:], self.root, environment)
        assert done.returncode == 0 or not check, done.stdout
        return done

    def start(self, *arguments, cores=2):
        """Snakemake running in the project, in a process group of its own, and the file that its output goes to."""
        command, environment = self.command(*arguments, cores=cores)
        log = self.root / "running.log"
        with log.open("w", encoding="utf-8") as file:
            return warm_python.start(command[1:], self.root, environment, file), log

    @staticmethod
    def jobs_of(output):
        """Rules of Snakemake's table of jobs, with the number of jobs of each; targets are left out."""
        jobs = dict(re.findall(r"^(\w+)\s+(\d+)$", output, flags=re.MULTILINE))
        left_out = ("total", *TARGETS, "screen", "benchmark", "correction_table")
        return {rule: int(count) for rule, count in jobs.items() if rule not in left_out}

    def planned(self, *arguments):
        """Rules that a run would execute now, with the number of jobs of each; targets are left out."""
        return self.jobs_of(self.run("--dry-run", *arguments).stdout)

    def planned_each(self, arguments):
        """What `planned` returns for each of several lists of arguments; the code of the project is parsed only once."""
        commands = [self.command("--dry-run", *each)[0][3:] for each in arguments]
        done = warm_python.run([plan_each.__file__, json.dumps(commands)], self.root, self.command()[1])
        runs = plan_each.read(done.stdout)
        assert done.returncode == 0 and [status for status, _ in runs] == [0] * len(commands), done.stdout
        return [self.jobs_of(output) for _, output in runs]

    def planned_after(self, target, changes):
        """Planned jobs of a target by changed setting, such as "detection={backend: cpu}"; "" is no change."""
        settings = ["", *changes]
        commands = [(target, *(("--config", setting) if setting else ())) for setting in settings]
        return dict(zip(settings, self.planned_each(commands), strict=True))

    def edit(self, path, old, new):
        """Replace text in a file of the project; it must be there."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} does not contain {old!r}"
        file.write_text(text.replace(old, new), encoding="utf-8")


def copy_project(folder):
    """The parts of the project that the workflow runs on, copied to a folder."""
    for name in ("src", "workflow", "profiles", "envs", "config", "resources/published"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.egg-info"))
    shutil.copy(ROOT / "Snakefile", folder)
    return Project(folder)


@pytest.fixture(scope="session")
def copy_of():
    """A way to copy a project to a folder that does not exist yet, with its results and Snakemake's records or without."""

    def copy(project, folder, results=True):
        left_out = () if results else ("results", ".snakemake")
        shutil.copytree(project.root, folder, symlinks=True, ignore=lambda path, _: left_out if Path(path) == project.root else ())
        return Project(folder)

    return copy


def cut_demo(name, path, start_s, length_s, max_width_px=640):
    """Cut some seconds of a demo video, scaled down, with its sound."""
    from handroll.media.audio import extract_audio, load_audio
    from handroll.media.frames import read_frames
    from handroll.media.write import VideoWriter

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
screening:
  resolution: {min_short_side_px: 200, min_long_side_px: 300}
  duration: {min_s: 1.0}
  editing: {min_usable_s: 1.0, min_longest_s: 1.0}
music: {transkun: {hop_s: 16.0}}
clips: {length_s: 2.0, hop_s: 1.5}
dataset: {rights: {permissions: [granted, unknown]}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with thresholds for small videos, and no sheet yet."""
    made = copy_project(tmp_path_factory.mktemp("project"))
    (made.root / "config" / "test.yaml").write_text(TEST_CONFIG, encoding="utf-8")
    return made


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory, request):
    """A folder that all workers of a test session have in common."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if hasattr(request.config, "workerinput") else folder


@pytest.fixture(scope="session")
def small_videos(shared_folder):
    """Four seconds each of two demo videos, 640 px wide."""
    folder = shared_folder / "videos"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            part = shared_folder / "videos.part"
            part.mkdir()
            for name in ("prelude", "ode"):
                cut_demo(name, part / f"{name}.mp4", 2.0, 4.0)
            part.rename(folder)
    return [folder / "prelude.mp4", folder / "ode.mp4"]


def write_video_without_hands(path):
    """Three seconds of grey noise and of a struck tone: rejected by what is measured on the way, not by its file."""
    from handroll.media.write import VideoWriter

    rng, rate_hz = np.random.default_rng(0), 44100
    time_s = np.arange(3 * rate_hz) / rate_hz
    tone = 0.2 * np.sin(2 * np.pi * 440.0 * time_s) * np.exp(-4.0 * (time_s % 0.5))
    with VideoWriter(path, 640, 360, 30, audio=(tone.astype(np.float32), rate_hz)) as writer:
        for index in range(90):
            writer.write(rng.integers(120, 136, (360, 640, 3), dtype=np.uint8), index / 30)


def made_once(folder, make):
    """The project in a folder, which `make` makes there once for all workers of a test session."""
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            make(folder.with_suffix(".part")).root.rename(folder)
    return Project(folder)


@pytest.fixture(scope="session")
def finished(shared_folder, small_videos):
    """A project after an undisturbed run over a good video, which is in its folder `media`, and one without hands elsewhere."""

    def make(folder):
        none = shared_folder / "none.mp4"
        write_video_without_hands(none)
        project = copy_project(folder)
        (project.root / "media").mkdir()
        shutil.copy2(small_videos[0], project.root / "media" / "one.mp4")
        rows = f"anna\tone\tmedia/one.mp4\ttrain\ncleo\tnone\t{none}\ttest\n"
        (project.root / "videos.tsv").write_text("subject\tvideo\tsource\tsplit\n" + rows, encoding="utf-8")
        (project.root / "config" / "test.yaml").write_text(TEST_CONFIG, encoding="utf-8")
        project.run(*TARGETS)
        return project

    return made_once(shared_folder / "finished", make)


@pytest.fixture(scope="session")
def finished_pair(shared_folder, finished, copy_of, small_videos):
    """The finished project after a complete run on two good videos, one of them in the project and with its notes given."""

    def make(folder):
        project = copy_of(finished, folder)
        shutil.copy(project.root / "results/music/anna/one/notes.mid", project.root / "media/one.mid")
        rows = f"anna\tone\tmedia/one.mp4\ttrain\tmedia/one.mid\nbela\ttwo\t{small_videos[1]}\tvalid\t\n"
        (project.root / "videos.tsv").write_text("subject\tvideo\tsource\tsplit\tmidi\n" + rows, encoding="utf-8")
        project.run(*TARGETS)
        return project

    return made_once(shared_folder / "pair", make)
