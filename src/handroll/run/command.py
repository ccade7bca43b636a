"""The command `handroll run`: validate the arguments, run Snakemake as a child process, end it cleanly, and print a report."""

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
"""Folder of the checkout, which contains the Snakefile."""

TARGETS = ("overlays", "music", "keyboard")
"""Targets of the Snakemake workflow that `handroll run` requests."""

GRACE_S = 15.0
"""Maximum time between an interrupt and the end of Snakemake and its jobs, s. After this time, they are killed."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end the command: Ctrl-C, a request to terminate, a closed terminal."""

LOCK_WAIT_S = 3.0
"""Maximum wait for another run in the same folder to end, s. A run whose parent process was killed ends within a second."""


class UsageError(ValueError):
    """Raised for an invalid command line or folder; the message contains the reason and what to do."""


class Ended(BaseException):
    """Raised if a signal ends the command; the argument is the number of the signal."""


def run(options):
    """Run the workflow on videos and print a report on each.

    Parameters
    ----------
    options : argparse.Namespace
        Options of `handroll run`: videos, midi, name, out, cores, configfile, verbose.

    Returns
    -------
    int
        Exit status. 0: every video gave motion. 1: at least one video gave none. 2: the command is invalid. 128 + number: a signal
        of this number ended the command.
    """
    try:
        with _end_on_signals():
            _check_options(options)
            out = _make_folder(options.out)
            with _lock_folder(out) as (lock, killed):
                _remove_stale_locks(out, killed)
                return _run(options, out, lock)
    except (UsageError, ConfigError, SheetError) as error:
        print(f"handroll run: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        # The error of a failed write on a full disk contains no file name.
        print(f"handroll run: {error.filename or _absolute(options.out)}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 2
    except Ended as ended:
        _say(f"\nhandroll run: stopped. Finished results are kept; the same command resumes. Folder: {_absolute(options.out)}")
        return 128 + ended.args[0]


def _run(options, out, lock):
    """Run Snakemake on the videos, print the report, and return the exit status.

    `out`: output folder, which is locked. `lock`: file descriptor of its lock.
    """
    config = read_config([ROOT / "config" / "config.yaml", ROOT / "config" / "own-files.yaml", *options.configfile])
    rows = add_videos(out / "videos.tsv", options.videos, options.name, options.midi)
    private = out / ".handroll"
    # Snakemake gets a sheet that contains only the videos of this command.
    write_sheet(private / "videos.tsv", rows)
    settings = with_absolute_paths(config).model_copy(update={"sheet": str(private / "videos.tsv")})
    with atomic_path(private / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    if drop_damaged(out):
        _say("Some of Snakemake's records in this folder are damaged. Their results are created again.")
    if correct_future_dates(out / "results"):
        _say("Some results have dates in the future, probably because of a wrong system clock. Their dates are corrected.")
    command = [sys.executable, "-m", "handroll.run.snakemake_child", str(os.getpid()), "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(out), "--cores", str(options.cores), "--workflow-profile", str(ROOT / "profiles" / "default")]
    command += ["--configfile", str(private / "config.yaml"), *([] if options.verbose else ["--logger", "handroll"]), "--", *TARGETS]
    log = out / "handroll.log"
    _say(f"{_count_videos(len(rows))} to {out}" + ("" if options.verbose else f"; full log: {log}"))
    # The rules must use this Python interpreter, even if its folder is not the first in PATH.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    before = [file_identity(row.source) for row in rows]
    with log.open("w", encoding="utf-8") as file:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=None if options.verbose else file,
            env={**os.environ, "PATH": path, **_cache_environment(private)},
            pass_fds=[lock],
            start_new_session=True,
        )
        status = _wait(child)
    useful = 0
    for row, identity in zip(rows, before, strict=True):
        useful += _print_report(out, row, settings.screening.model_dump(), changed=file_identity(row.source) != identity)
    if status < 0:
        _say(f"\nSnakemake was killed by signal {-status}, perhaps because of too little memory. The same command resumes.")
    elif status and useful == len(rows):
        _say(f"\nSnakemake ended with status {status}: see {log}")
    if len(rows) > 1:
        _say(f"\n{useful} of {_count_videos(len(rows))} gave motion.")
    return 0 if useful == len(rows) and not status else 1


def _cache_environment(private):
    """Return environment variables that give Snakemake a cache folder in `private`, if the default cache folder is not writable.

    Snakemake does not start without a cache folder. Containers often have no writable home folder.
    """
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    try:
        (default / "snakemake").mkdir(parents=True, exist_ok=True)
        if os.access(default / "snakemake", os.W_OK):
            return {}
    except OSError:
        pass
    return {"XDG_CACHE_HOME": str(private / "cache")}


def _print_report(out, row, thresholds, changed):
    """Print the report on a video; return True if the video gave motion and its file did not change during the run.

    `row`: row of the sheet. `thresholds`: section `screening` of the configuration. `changed`: whether the file changed during the run.
    """
    if changed:
        _say("", f"{row.video} ({row.source}): the file changed during the run, or its copy was not complete. Run the same command again.")
        return False
    try:
        report = read_report(out, row, thresholds)
    except SchemaError as error:
        _say("", f"{row.video} ({row.source}): not finished", f"  {error}")
        return False
    _say("", *report_lines(report, out / "results" / "logs"))
    return report.useful


def _remove_stale_locks(out, killed):
    """Remove Snakemake's locks in the folder if the last run was killed. Raise UsageError if another Snakemake owns them."""
    locks = out / ".snakemake" / "locks"
    if not _has_locks(out):
        return
    if not killed:
        raise UsageError(
            f"the folder {out} is locked: Snakemake is running there, or was killed there. Wait for it, choose another folder with --out, "
            f"or, if no Snakemake is running there, remove {locks}"
        )
    shutil.rmtree(locks)
    _say("The last run in this folder was killed. Its incomplete results are created again.")


def _has_locks(out):
    """Return whether the folder contains locks of Snakemake."""
    locks = out / ".snakemake" / "locks"
    return locks.is_dir() and any(locks.iterdir())


def _check_options(options):
    """Raise UsageError if an option or a video on the command line is invalid."""
    if not (ROOT / "Snakefile").is_file():
        raise UsageError(f"expected the workflow at {ROOT / 'Snakefile'}, found none; install handroll from a checkout: pip install -e .")
    for option, given in (("--name", options.name), ("--midi", options.midi)):
        if given and len(given) != len(options.videos):
            raise UsageError(
                f"expected no {option}, or one for each of {_count_videos(len(options.videos))} in their order, found {len(given)}"
            )
    files = [*(video for video in options.videos if not is_url(video)), *options.midi, *map(str, options.configfile)]
    if missing := [file for file in files if not os.path.lexists(file)]:
        raise UsageError(f"no such file: {printable(', '.join(missing))}; check the path")


def _make_folder(out):
    """Create the output folder if needed; return its absolute path."""
    out = _absolute(out)
    try:
        (out / ".handroll").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {(error.strerror or str(error)).lower()}; choose another folder with --out") from None
    return out


def _absolute(path):
    """Return an absolute path with links resolved. Circular links raise no error, unlike in `Path.resolve`."""
    return Path(os.path.realpath(path))


def _say(*lines):
    """Print lines. A closed output (`| head`, a closed terminal) is not an error, since the results are files."""
    try:
        print(*lines, sep="\n", flush=True)
    except OSError:
        # Python writes the rest of its buffer when it exits, which would fail again. So the output is replaced by the null device.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


@contextmanager
def _lock_folder(out):
    """Hold the lock of the output folder. The operating system releases it when this process and Snakemake have ended.

    Yields
    ------
    int
        File descriptor of the lock file. The child process inherits it.
    bool
        Whether the last run was killed. The lock file then still contains the id of its process.
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
            if not _has_locks(out):
                file.truncate(0)


@contextmanager
def _end_on_signals():
    """Raise `Ended` in the block when one of `SIGNALS` arrives."""

    def end(number, _frame):
        raise Ended(number)

    # `nohup` makes a process ignore the signal of a closed terminal (SIGHUP). Then the command must ignore it, too.
    ending = [number for number in SIGNALS if (number, signal.getsignal(number)) != (signal.SIGHUP, signal.SIG_IGN)]
    before = {number: signal.signal(number, end) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(child):
    """Wait for Snakemake and return its exit status. If a signal raises `Ended`, end Snakemake and its jobs before raising it again."""
    try:
        return child.wait()
    except Ended:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        _say("\nstopping ...")
        # Snakemake forwards the signal to its jobs.
        child.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
        raise
    finally:
        # If Snakemake itself was killed, its jobs may still run.
        _signal_group(child, signal.SIGKILL)
        child.wait()


def _signal_group(child, number):
    """Send a signal to a child and all processes of its group, if any still run."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _count_videos(number):
    """Format a number of videos: `1 video`, `2 videos`."""
    return f"{number} {'video' if number == 1 else 'videos'}"
