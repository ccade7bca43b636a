"""A real SLURM of one node, copies of the project whose jobs it runs, and ways to see and to stop these jobs."""

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SYSTEM_FOLDERS = "/usr/sbin:/sbin"
NODE = {"cpus": 4, "memory_mb": 40000}  # more than many a machine has: jobs that only sleep take nothing
PATIENCE_S = 900.0  # for any one thing to happen: Snakemake waits for ever where SLURM does not answer
POLL_S = 0.3
# Snakemake in a process of its own, whose jobs run with the Python that is its first argument.
SNAKEMAKE = "import runpy, sys; sys.executable = sys.argv.pop(1); runpy.run_module('snakemake', run_name='__main__', alter_sys=True)"


def _tools_of_workflow_tests():
    spec = importlib.util.spec_from_file_location("workflow_conftest", HERE.parent / "workflow" / "conftest.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WORKFLOW = _tools_of_workflow_tests()
shared_folder, small_videos, finished = WORKFLOW.shared_folder, WORKFLOW.small_videos, WORKFLOW.finished


@dataclass
class Slurm:
    """A running SLURM, by the environment in which its commands find it."""

    folder: Path
    environment: dict

    def ask(self, *command):
        done = subprocess.run(command, env=self.environment, check=True, text=True, capture_output=True, timeout=PATIENCE_S)
        return done.stdout

    def jobs(self, root, state="all"):
        """Jobs of a project: id to what they run (rule or group)."""
        lines = self.ask("squeue", "--noheader", f"--states={state}", "--format=%i|%Z|%k").splitlines()
        cells = (line.split("|", 2) for line in lines)
        return {job: comment for job, folder, comment in cells if Path(folder) == root}

    def wait_until_none_runs(self, root):
        """Wait until SLURM has ended all jobs of a project."""
        end = time.monotonic() + PATIENCE_S
        while self.jobs(root, "PENDING,RUNNING,COMPLETING"):
            assert time.monotonic() < end, f"jobs still run after {PATIENCE_S:g} s"
            time.sleep(POLL_S)

    def ended(self, root):
        """(id, state, time limit in minutes) of every finished job of a project, in the order in which they ended."""
        text = (self.folder / "log" / "finished.txt").read_text(encoding="utf-8")
        pattern = r"^JobId=(\S+) .*JobState=(\w+) .*TimeLimit=(\d+) .*WorkDir=(\S+) "
        jobs = re.findall(pattern, text, flags=re.MULTILINE)
        return [(job, state, int(minutes)) for job, state, minutes, folder in jobs if Path(folder) == root]


@pytest.fixture(scope="session")
def slurm():
    """SLURM on this machine, for as long as the tests run."""
    path = os.pathsep.join((os.environ["PATH"], SYSTEM_FOLDERS))
    if shutil.which("slurmctld", path=path) is None:
        pytest.skip("SLURM is not installed: apt-get install --no-install-recommends slurm-wlm munge")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Not pytest's own folder: the paths of its sockets must stay short.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    arguments = [folder, port, NODE["cpus"], NODE["memory_mb"]]
    started = subprocess.run([HERE / "start_slurm.sh", *map(str, arguments)], check=False, text=True, capture_output=True, timeout=60)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        found = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": os.pathsep.join((str(folder / "bin"), path))}
        yield Slurm(folder, {**os.environ, **found})
    finally:
        subprocess.run([HERE / "stop_slurm.sh", folder], check=False, timeout=60)
    shutil.rmtree(folder)


@dataclass
class ClusterProject(WORKFLOW.Project):
    """A checkout whose jobs run on SLURM, through profiles/slurm with short waits."""

    slurm: Slurm
    runs: list = field(default_factory=list)

    @staticmethod
    def warm_python():
        """Path of a `python` without the seconds of imports (`support.warm_python`)."""
        return str(Path(WORKFLOW.warm_python.server()[0]).with_name("python"))

    SHORT_WAITS = ("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "5")

    def start(self, *arguments):
        """Start Snakemake; returns the running process and the file it writes to."""
        _, environment = self.command()
        environment = {**environment, "SLURM_CONF": self.slurm.environment["SLURM_CONF"]}
        environment["PATH"] = os.pathsep.join((self.slurm.environment["PATH"].split(os.pathsep)[0], environment["PATH"], SYSTEM_FOLDERS))
        command = [sys.executable, "-c", SNAKEMAKE, self.warm_python()]
        command += ["--workflow-profile", "profiles/slurm", "--configfile", "config/test.yaml"]
        log = self.root / f"run{len(self.runs)}.log"
        with log.open("w", encoding="utf-8") as file:
            streams = {"stdout": file, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
            process = subprocess.Popen([*command, *self.SHORT_WAITS, *arguments], cwd=self.root, env=environment, **streams)
        self.runs.append(process)
        return process, log

    def finish(self, process, log):
        """Wait until Snakemake ends; returns its exit status and all it said."""
        try:
            status = process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"Snakemake did not end within {PATIENCE_S:g} s\n{log.read_text(encoding='utf-8')}")
        return status, log.read_text(encoding="utf-8")

    def wait_for(self, process, log, condition, what):
        """Wait until a condition gives something, and return it; Snakemake must be running for as long."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            assert process.poll() is None, f"Snakemake ended before {what}\n{log.read_text(encoding='utf-8')}"
            time.sleep(POLL_S)
        pytest.fail(f"no {what} within {PATIENCE_S:g} s\n{log.read_text(encoding='utf-8')}")

    def wait_for_job(self, process, log, rule, video="*/*"):
        """Wait until a job of a rule that is no group's is in the middle of its work; returns its id."""

        def working():
            started = {
                "_".join(path.relative_to(self.root).with_suffix("").parts[-2:])
                for path in self.root.glob(f"results/logs/{rule}/{video}.log")
            }
            jobs = self.slurm.jobs(self.root, "RUNNING").items()
            return next((job for job, comment in jobs for name in started if comment == f"rule_{rule}_wildcards_{name}"), None)

        return self.wait_for(process, log, working, f"a running job of {rule}")

    def kill(self):
        """End what is left of the runs."""
        for process in self.runs:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def cluster_project(slurm):
    """A way to copy a project to another folder, for the cluster: with its results, or without; ends the copies' runs in the end."""
    made = []

    def make(project, root, results):
        left_out = () if results else ("results", ".snakemake")
        shutil.copytree(project.root, root, symlinks=True, ignore=lambda folder, _: left_out if Path(folder) == project.root else ())
        made.append(ClusterProject(root, slurm))
        return made[-1]

    yield make
    for copy in made:
        copy.kill()
