"""The command `handroll run`: checks what it is given, runs Snakemake as a child, ends it cleanly, and reports."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from handroll.config import ConfigError
from handroll.doctor import read_config
from handroll.provenance import atomic_path
from handroll.run.own_sheet import add_videos, write_sheet
from handroll.run.report import DamagedResultError, read_report, report_lines
from handroll.sheet import SheetError, is_url
from handroll.shown import plain
from handroll.weights import with_absolute_paths

ROOT = Path(__file__).resolve().parents[3]
"""The checkout that holds the Snakefile."""

TARGETS = ("overlays", "music", "keyboard")
"""What is made of each video."""

GRACE_S = 15.0
"""Time that Snakemake and its jobs have to end after an interrupt, s; then they are killed."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a request to end, and a terminal that is closed."""

LOCK_WAIT_S = 3.0
"""How long to wait for another run to end, s: one whose parent was killed needs a second."""


class UsageError(ValueError):
    """The command cannot run as it was given; the message says why and what to do."""


class Ended(BaseException):
    """A signal ends the command; its number is the argument."""


def run(options):
    """Run the workflow on the videos given and report on each.

    Parameters
    ----------
    options : argparse.Namespace
        videos, midi, name, out, cores, configfile, verbose.

    Returns
    -------
    int
        0 when every video gave motion; 1 where one did not; 2 where the command cannot run as it was given; 128 + the signal's number
        where a signal ended it.
    """
    try:
        with _signals():
            _check(options)
            out = _folder(options.out)
            with _only_run(out) as lock:
                return _run(options, out, lock)
    except (UsageError, ConfigError, SheetError) as error:
        print(f"handroll run: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"handroll run: {error.filename}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 2
    except Ended as ended:
        print(f"\nhandroll run: stopped. What was finished is kept: the same command resumes. Folder: {options.out.resolve()}", flush=True)
        return 128 + ended.args[0]


def _run(options, out, lock):
    """Run Snakemake on the videos and print the report."""
    config = read_config([ROOT / "config" / "config.yaml", ROOT / "config" / "own-files.yaml", *options.configfile])
    rows = add_videos(out / "videos.tsv", options.videos, options.name, options.midi)
    private = out / ".handroll"
    # Only the videos of this call are run, so Snakemake sees a sheet of theirs.
    write_sheet(private / "videos.tsv", rows)
    settings = with_absolute_paths(config).model_copy(update={"sheet": str(private / "videos.tsv")})
    with atomic_path(private / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    if (locks := out / ".snakemake" / "locks").is_dir() and any(locks.iterdir()):
        # No other run is at work here: `_only_run` has made sure.
        shutil.rmtree(locks)
        print("The last run in this folder was killed. What it left half made is made again.")
    command = [sys.executable, "-m", "handroll.run.attended", str(os.getpid()), "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(out), "--cores", str(options.cores), "--workflow-profile", str(ROOT / "profiles" / "default")]
    command += ["--configfile", str(private / "config.yaml"), *([] if options.verbose else ["--logger", "handroll"]), "--", *TARGETS]
    log = out / "handroll.log"
    print(f"{_count(len(rows))} to {out}" + ("" if options.verbose else f"; full log: {log}"), flush=True)
    # The same interpreter must serve the rules, also where its folder is not first on the path.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    with log.open("w", encoding="utf-8") as file:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=None if options.verbose else file,
            env={**os.environ, "PATH": path},
            pass_fds=[lock],
            start_new_session=True,
        )
        status = _wait(child)
    useful = 0
    for row in rows:
        try:
            report = read_report(out, row, settings.screen.model_dump())
            lines, useful = report_lines(report, out / "results" / "logs"), useful + report.useful
        except DamagedResultError as error:
            lines = [f"{row.video} ({row.source}): not finished: {error}"]
        print("", *lines, sep="\n", flush=True)
    if status and useful == len(rows):
        print(f"\nSnakemake ended with status {status}: see {log}")
    if len(rows) > 1:
        print(f"\n{useful} of {_count(len(rows))} gave motion.")
    return 0 if useful == len(rows) and not status else 1


def _check(options):
    """Raise UsageError where the command line is not right."""
    if not (ROOT / "Snakefile").is_file():
        raise UsageError(f"expected the workflow at {ROOT / 'Snakefile'}, found none; install from a checkout: pip install -e .")
    for option, given in (("--name", options.name), ("--midi", options.midi)):
        if given and len(given) != len(options.videos):
            raise UsageError(f"expected one {option} for each of {_count(len(options.videos))}, in their order, found {len(given)}")
    files = [*(video for video in options.videos if not is_url(video)), *options.midi, *map(str, options.configfile)]
    if missing := [file for file in files if not os.path.lexists(file)]:
        raise UsageError(f"no such file: {plain(', '.join(missing))}; check the path")


def _folder(out):
    """The output folder, made where it is not there."""
    out = out.resolve()
    try:
        (out / ".handroll").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {(error.strerror or str(error)).lower()}; choose another folder with --out") from None
    return out


@contextmanager
def _only_run(out):
    """Hold the folder's lock; the system releases it when this process and Snakemake have ended, however that comes.

    Yields
    ------
    int
        File descriptor of the lock, which the child inherits.
    """
    with open(out / ".handroll" / "lock", "a+") as file:
        give_up = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    file.seek(0)
                    raise UsageError(
                        f"another run (process {file.read().strip()}) is at work in {out}; wait for it, or choose another folder with --out"
                    ) from None
                time.sleep(0.2)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file.fileno()


@contextmanager
def _signals():
    """Signals that end a command raise `Ended` in the block."""

    def end(number, _frame):
        raise Ended(number)

    before = {number: signal.signal(number, end) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(child):
    """Wait for Snakemake and return its exit status; where a signal ends the command, end Snakemake and all its jobs first."""
    try:
        return child.wait()
    except Ended:
        print("\nstopping ...", flush=True)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        # It passes the signal on to its jobs.
        child.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
        raise
    finally:
        # Also what a Snakemake that was killed has left running.
        _signal_group(child, signal.SIGKILL)
        child.wait()


def _signal_group(child, number):
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _count(number):
    return f"{number} {'video' if number == 1 else 'videos'}"
