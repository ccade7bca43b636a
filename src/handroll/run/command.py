"""The command `handroll run`: validate the arguments, run Snakemake as a child process, end it cleanly, and report."""

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

from handroll.config.files import read_config
from handroll.config.pipeline import ConfigError
from handroll.config.sheet import SheetError, is_url
from handroll.provenance import atomic_path, file_identity
from handroll.run.future_dates import correct_future_dates
from handroll.run.own_sheet import add_videos, write_sheet
from handroll.run.report import read_report, report_lines
from handroll.run.snakemake_records import drop_damaged
from handroll.setup.weights import with_absolute_paths
from handroll.storage import SchemaError
from handroll.text import printable

ROOT = Path(__file__).resolve().parents[3]
"""The checkout that holds the Snakefile."""

TARGETS = ("overlays", "music", "keyboard")
"""Targets of the workflow for each video."""

GRACE_S = 15.0
"""Time for Snakemake and its jobs to end after an interrupt (s); then they are killed."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end the command: Ctrl-C, a request to end, a closed terminal."""

LOCK_WAIT_S = 3.0
"""Wait for another run to end (s). A run whose parent was killed ends within a second."""


class UsageError(ValueError):
    """The command is invalid; the message contains the reason and what to do."""


class Ended(BaseException):
    """A signal ended the command; its number is the argument."""


def run(options):
    """Run the workflow on the videos given and report on each.

    Parameters
    ----------
    options : argparse.Namespace
        videos, midi, name, out, cores, configfile, verbose.

    Returns
    -------
    int
        0 if every video gave motion; 1 if one did not; 2 if the command is invalid; 128 + the signal's number if a signal ended it.
    """
    try:
        with _signals():
            _check(options)
            out = _folder(options.out)
            with _exclusive(out) as (lock, killed):
                _clear_locks(out, killed)
                return _run(options, out, lock)
    except (UsageError, ConfigError, SheetError) as error:
        print(f"handroll run: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        # A failed write on a full disk has no file name.
        print(f"handroll run: {error.filename or _absolute(options.out)}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 2
    except Ended as ended:
        _say(f"\nhandroll run: stopped. Finished results are kept; the same command resumes. Folder: {_absolute(options.out)}")
        return 128 + ended.args[0]


def _run(options, out, lock):
    """Run Snakemake on the videos and print the report."""
    config = read_config([ROOT / "config" / "config.yaml", ROOT / "config" / "own-files.yaml", *options.configfile])
    rows = add_videos(out / "videos.tsv", options.videos, options.name, options.midi)
    private = out / ".handroll"
    # Snakemake gets a sheet of only the videos of this call.
    write_sheet(private / "videos.tsv", rows)
    settings = with_absolute_paths(config).model_copy(update={"sheet": str(private / "videos.tsv")})
    with atomic_path(private / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    if drop_damaged(out):
        _say("Some of Snakemake's records in this folder are damaged; their results are made again.")
    if correct_future_dates(out / "results"):
        _say("Some results were dated in the future by a wrong system clock; their dates are corrected.")
    command = [sys.executable, "-m", "handroll.run.snakemake_child", str(os.getpid()), "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(out), "--cores", str(options.cores), "--workflow-profile", str(ROOT / "profiles" / "default")]
    command += ["--configfile", str(private / "config.yaml"), *([] if options.verbose else ["--logger", "handroll"]), "--", *TARGETS]
    log = out / "handroll.log"
    _say(f"{_count(len(rows))} to {out}" + ("" if options.verbose else f"; full log: {log}"))
    # The rules must use this interpreter, even if its folder is not first on the path.
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
        _say(f"\nSnakemake was killed by signal {-status}, perhaps because of too little memory. The same command resumes.")
    elif status and useful == len(rows):
        _say(f"\nSnakemake ended with status {status}: see {log}")
    if len(rows) > 1:
        _say(f"\n{useful} of {_count(len(rows))} gave motion.")
    return 0 if useful == len(rows) and not status else 1


def _cache(private):
    """Environment variable of a cache folder for Snakemake if the default one is not writable, as in containers without a home folder.

    Snakemake does not start without its cache.
    """
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    try:
        (default / "snakemake").mkdir(parents=True, exist_ok=True)
        if os.access(default / "snakemake", os.W_OK):
            return {}
    except OSError:
        pass
    return {"XDG_CACHE_HOME": str(private / "cache")}


def _report(out, row, thresholds, changed):
    """Print the report on a video; return whether it gave motion and its file did not change during the run."""
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
    """Remove Snakemake's locks in the folder if the last run was killed; raise UsageError if another Snakemake made them."""
    locks = out / ".snakemake" / "locks"
    if not _locked(out):
        return
    if not killed:
        raise UsageError(
            f"Snakemake is running in {out}, or was killed there; wait for it, choose another folder with --out, "
            f"or remove {locks} if no Snakemake runs there"
        )
    shutil.rmtree(locks)
    _say("The last run in this folder was killed. Its incomplete results are made again.")


def _locked(out):
    """Whether Snakemake has locks in the folder."""
    locks = out / ".snakemake" / "locks"
    return locks.is_dir() and any(locks.iterdir())


def _check(options):
    """Raise UsageError if the command line is invalid."""
    if not (ROOT / "Snakefile").is_file():
        raise UsageError(f"expected the workflow at {ROOT / 'Snakefile'}, found none; install handroll from a checkout: pip install -e .")
    for option, given in (("--name", options.name), ("--midi", options.midi)):
        if given and len(given) != len(options.videos):
            raise UsageError(f"expected one {option} for each of {_count(len(options.videos))}, in their order, found {len(given)}")
    files = [*(video for video in options.videos if not is_url(video)), *options.midi, *map(str, options.configfile)]
    if missing := [file for file in files if not os.path.lexists(file)]:
        raise UsageError(f"no such file: {printable(', '.join(missing))}; check the path")


def _folder(out):
    """Return the output folder as an absolute path, and make it if needed."""
    out = _absolute(out)
    try:
        (out / ".handroll").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {(error.strerror or str(error)).lower()}; choose another folder with --out") from None
    return out


def _absolute(path):
    """Make a path absolute and resolve links, also circular ones, for which `Path.resolve` raises an error."""
    return Path(os.path.realpath(path))


def _say(*lines):
    """Print lines. A closed output (`| head`, a closed terminal) is no error, because the results are files."""
    try:
        print(*lines, sep="\n", flush=True)
    except OSError:
        # Else Python would try to write the rest again when it ends.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


@contextmanager
def _exclusive(out):
    """Hold the folder's lock. The operating system releases it when this process and Snakemake have ended for any reason.

    Yields
    ------
    int
        File descriptor of the lock, which the child process inherits.
    bool
        Whether the last run was killed: the lock file contains a process id as long as its Snakemake may have locks.
    """
    with open(out / ".handroll" / "lock", "a+") as file:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    raise UsageError(
                        f"another run (process {file.read().strip()}) is active in {out}; wait for it, or choose another folder with --out"
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
    """Raise `Ended` in the block when a signal arrives that ends the command."""

    def end(number, _frame):
        raise Ended(number)

    # Under `nohup`, the signal of a closed terminal is ignored.
    ending = [number for number in SIGNALS if (number, signal.getsignal(number)) != (signal.SIGHUP, signal.SIG_IGN)]
    before = {number: signal.signal(number, end) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(child):
    """Wait for Snakemake and return its exit status. If a signal ends the command, end Snakemake and all its jobs first."""
    try:
        return child.wait()
    except Ended:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        _say("\nstopping ...")
        # Snakemake passes the signal on to its jobs.
        child.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
        raise
    finally:
        # Jobs may still run after Snakemake was killed.
        _signal_group(child, signal.SIGKILL)
        child.wait()


def _signal_group(child, number):
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _count(number):
    return f"{number} {'video' if number == 1 else 'videos'}"
