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

from handroll.config.pipeline import ConfigError
from handroll.config.sheet import SheetError, is_url
from handroll.provenance import atomic_path, file_identity
from handroll.run.clock import date_back
from handroll.run.own_sheet import add_videos, write_sheet
from handroll.run.records import drop_damaged
from handroll.run.report import read_report, report_lines
from handroll.setup.doctor import read_config
from handroll.setup.weights import with_absolute_paths
from handroll.storage import SchemaError
from handroll.text import printable

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
            with _only_run(out) as (lock, killed):
                _clear_locks(out, killed)
                return _run(options, out, lock)
    except (UsageError, ConfigError, SheetError) as error:
        print(f"handroll run: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        # A write that fails, on a full disk, names no file.
        print(f"handroll run: {error.filename or _absolute(options.out)}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 2
    except Ended as ended:
        _say(f"\nhandroll run: stopped. What was finished is kept: the same command resumes. Folder: {_absolute(options.out)}")
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
    if drop_damaged(out):
        _say("Some of Snakemake's records in this folder are damaged: the results that they are of are made again.")
    if date_back(out / "results"):
        _say("Results were dated in the future, by a clock that was ahead: they are dated now.")
    command = [sys.executable, "-m", "handroll.run.attended", str(os.getpid()), "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(out), "--cores", str(options.cores), "--workflow-profile", str(ROOT / "profiles" / "default")]
    command += ["--configfile", str(private / "config.yaml"), *([] if options.verbose else ["--logger", "handroll"]), "--", *TARGETS]
    log = out / "handroll.log"
    _say(f"{_count(len(rows))} to {out}" + ("" if options.verbose else f"; full log: {log}"))
    # The same interpreter must serve the rules, also where its folder is not first on the path.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    before = [file_identity(row.source) for row in rows]
    with log.open("w", encoding="utf-8") as file:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=None if options.verbose else file,
            env={**os.environ, "PATH": path, **_cache(private)},
            pass_fds=[lock],
            start_new_session=True,
        )
        status = _wait(child)
    useful = 0
    for row, identity in zip(rows, before, strict=True):
        useful += _report(out, row, settings.screening.model_dump(), changed=file_identity(row.source) != identity)
    if status < 0:
        _say(f"\nSnakemake was killed by signal {-status}, perhaps because memory was short. The same command resumes.")
    elif status and useful == len(rows):
        _say(f"\nSnakemake ended with status {status}: see {log}")
    if len(rows) > 1:
        _say(f"\n{useful} of {_count(len(rows))} gave motion.")
    return 0 if useful == len(rows) and not status else 1


def _cache(private):
    """For the environment of Snakemake, which does not start without its cache: a folder for it where the usual one cannot be made.

    So it is in containers, whose users often have no home folder.
    """
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    try:
        (usual / "snakemake").mkdir(parents=True, exist_ok=True)
        if os.access(usual / "snakemake", os.W_OK):
            return {}
    except OSError:
        pass
    return {"XDG_CACHE_HOME": str(private / "cache")}


def _report(out, row, thresholds, changed):
    """Print what the run made of a video; returns whether it gave motion of one file that did not change meanwhile."""
    if changed:
        _say("", f"{row.video} ({row.source}): the file changed during the run, or was still being copied. Run the same command again.")
        return False
    try:
        report = read_report(out, row, thresholds)
    except SchemaError as error:
        _say("", f"{row.video} ({row.source}): not finished", f"  {error}")
        return False
    _say("", *report_lines(report, out / "results" / "logs"))
    return report.useful


def _clear_locks(out, killed):
    """Remove the locks that Snakemake left in the folder when the last run was killed; UsageError where they are of somebody else."""
    locks = out / ".snakemake" / "locks"
    if not _locked(out):
        return
    if not killed:
        raise UsageError(
            f"Snakemake is at work in {out}, or was killed there; wait for it, choose another folder with --out, "
            f"or remove {locks} if no Snakemake runs there"
        )
    shutil.rmtree(locks)
    _say("The last run in this folder was killed. What it left half made is made again.")


def _locked(out):
    """Whether the folder has locks of Snakemake."""
    locks = out / ".snakemake" / "locks"
    return locks.is_dir() and any(locks.iterdir())


def _check(options):
    """Raise UsageError where the command line is not right."""
    if not (ROOT / "Snakefile").is_file():
        raise UsageError(f"expected the workflow at {ROOT / 'Snakefile'}, found none; install from a checkout: pip install -e .")
    for option, given in (("--name", options.name), ("--midi", options.midi)):
        if given and len(given) != len(options.videos):
            raise UsageError(f"expected one {option} for each of {_count(len(options.videos))}, in their order, found {len(given)}")
    files = [*(video for video in options.videos if not is_url(video)), *options.midi, *map(str, options.configfile)]
    if missing := [file for file in files if not os.path.lexists(file)]:
        raise UsageError(f"no such file: {printable(', '.join(missing))}; check the path")


def _folder(out):
    """The output folder, made where it is not there."""
    out = _absolute(out)
    try:
        (out / ".handroll").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {(error.strerror or str(error)).lower()}; choose another folder with --out") from None
    return out


def _absolute(path):
    """A path from the root without links; also of links in a circle, which `Path.resolve` refuses."""
    return Path(os.path.realpath(path))


def _say(*lines):
    """Print lines. A reader that has gone (`| head`, a terminal that was closed) ends nothing: the results are files."""
    try:
        print(*lines, sep="\n", flush=True)
    except OSError:
        # What could not be written would be tried again when Python ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def _only_run(out):
    """Hold the folder's lock; the system releases it when this process and Snakemake have ended, however that comes.

    Yields
    ------
    int
        File descriptor of the lock, which the child inherits.
    bool
        Whether the last run was killed: the lock's file names a process as long as locks of its Snakemake may be there.
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
        file.seek(0)
        killed = bool(file.read())
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield file.fileno(), killed
        finally:
            if not _locked(out):
                file.truncate(0)


@contextmanager
def _signals():
    """Signals that end a command raise `Ended` in the block."""

    def end(number, _frame):
        raise Ended(number)

    # `nohup` has a closed terminal ignored.
    ending = [number for number in SIGNALS if (number, signal.getsignal(number)) != (signal.SIGHUP, signal.SIG_IGN)]
    before = {number: signal.signal(number, end) for number in ending}
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
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        _say("\nstopping ...")
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
