"""Limits of a download, checked before it starts and while it runs: length, size, speed, free disk space, kind of file."""

import errno
import logging
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from handroll.acquire.failures import Failure, FetchFailed, causes_of
from handroll.media.safe_open import MediaError, container_of, file_kind, is_refused, open_media

LOGGER = logging.getLogger("handroll")

GB, MB = 10**9, 10**6

COMPLETE_SHARE = 0.99
"""A file with a smaller share of the reported bytes is incomplete; sizes that YouTube reports differ from the files by a few bytes."""

SHORTENED_SHARE, SHORTENED_S = 0.95, 2.0
"""A video is shortened if it lasts less than this share of the reported duration, and is shorter by more than these seconds.
Sites round durations to seconds."""

SLOW_S, SLOW_BYTES = 60.0, 60_000
"""A download must receive this many bytes in this time (s). 1 kB/s is a hundredth of a slow mobile connection."""

REPORT_EVERY_S = 10.0
"""Seconds between two progress messages."""


class DiskFull(RuntimeError):
    """The disk has no space for a download. The job fails, because every other download would fail, too."""


@dataclass(frozen=True)
class Limits:
    """Limits of a download.

    Attributes
    ----------
    min_s, max_s : float
        Minimum and maximum duration of a video (s), where the site reports it.
    max_size_gb : float
        Maximum size of a download (GB).
    min_free_gb : float
        Disk space that a download leaves free (GB).
    """

    min_s: float = 0.0
    max_s: float = math.inf
    max_size_gb: float = math.inf
    min_free_gb: float = 0.0


def free_bytes(folder):
    """Free bytes on the disk of an existing folder."""
    return shutil.disk_usage(folder).free


def check_disk(folder, limits, needed_bytes=0):
    """Raise DiskFull if a number of further bytes would use the reserve of disk space."""
    free = free_bytes(folder)
    if free - needed_bytes < limits.min_free_gb * GB:
        needs = f"{needed_bytes / GB:.2f} GB and " if needed_bytes else ""
        raise DiskFull(
            f"{folder}: expected space for {needs}a reserve of {limits.min_free_gb:g} GB (acquire.min_free_gb), "
            f"found {free / GB:.2f} GB free; free some disk space and run again: downloads resume"
        )


def is_disk_full(error):
    """Whether a full disk caused an exception."""
    return any(
        isinstance(cause, DiskFull)
        or (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT))
        or "No space left on device" in str(cause)
        for cause in causes_of(error)
    )


def check_reported(found, folder, limits):
    """Raise if the site reports a video that exceeds a limit.

    Parameters
    ----------
    found : dict
        yt-dlp's description of a video with chosen formats.
    folder : path
        Where the download is written.
    limits : Limits

    Raises
    ------
    FetchFailed
        The video is live, not yet published, too short, too long or too large.
    DiskFull
    """
    if found.get("is_live") or found.get("live_status") in ("is_live", "is_upcoming", "post_live"):
        raise FetchFailed(Failure.LIVE, "expected a finished video, found a live stream or a premiere that has not started")
    seconds = found.get("duration")
    if seconds is not None and seconds < limits.min_s:
        raise FetchFailed(Failure.TOO_SHORT, f"expected at least {limits.min_s:g} s (screening.duration), the site reports {seconds:g} s")
    if seconds is not None and seconds > limits.max_s:
        raise FetchFailed(Failure.TOO_LONG, f"expected at most {limits.max_s:g} s (screening.duration), the site reports {seconds:g} s")
    formats = found.get("requested_formats") or [found]
    sizes = [part.get("filesize") for part in formats]
    if None not in sizes:
        check_size(sum(sizes), limits)
    expected = sum(part.get("filesize") or part.get("filesize_approx") or 0 for part in formats)
    # Separate video and audio files exist twice while they are merged.
    check_disk(folder, limits, expected * (2 if len(formats) > 1 else 1))


def check_size(size_bytes, limits):
    """Raise FetchFailed if a download is too large."""
    if size_bytes > limits.max_size_gb * GB:
        raise FetchFailed(
            Failure.TOO_LARGE, f"expected at most {limits.max_size_gb:g} GB (acquire.max_size_gb), found at least {size_bytes / GB:.3f} GB"
        )


def check_length(path, reported_s):
    """Raise FetchFailed if a file is much shorter than its site reports. A file that cannot be opened passes: the probe rejects it.

    Parameters
    ----------
    path : path
    reported_s : float or None
        Duration that the site reports (s).
    """
    import av

    if not reported_s:
        return
    try:
        with open_media(path) as container:
            found_s = None if container.duration is None else container.duration / av.time_base
    except MediaError:
        return
    if found_s is not None and found_s < min(SHORTENED_SHARE * reported_s, reported_s - SHORTENED_S):
        raise FetchFailed(
            Failure.SHORTENED, f"expected {reported_s:g} s as the site reports, found a file of {found_s:.1f} s: a preview, or cut off"
        )


def check_file(path, reported_bytes=None):
    """Raise FetchFailed if a downloaded file is not audio or video, or incomplete. Such a file is removed.

    Parameters
    ----------
    path : Path
    reported_bytes : int or None
        Size that the site reports.
    """
    size = path.stat().st_size
    if container_of(path) is None or _refers_to_files(path):
        _, kind = file_kind(path)
        path.unlink()
        raise FetchFailed(Failure.NOT_A_VIDEO, f"expected a video, found {kind} ({size} bytes)")
    if reported_bytes and size < COMPLETE_SHARE * reported_bytes:
        path.unlink()
        raise FetchFailed(Failure.INCOMPLETE, f"expected {reported_bytes} bytes as the site reports, received {size}")


def _refers_to_files(path):
    """Whether a file that starts like a container is of a format that refers to other files."""
    try:
        open_media(path).close()
    except MediaError as error:
        return is_refused(error.__cause__)
    return False


class SpeedCheck:
    """Detects a transfer that receives less than `SLOW_BYTES` in `SLOW_S`.

    Parameters
    ----------
    done : int
        Bytes of the file that are there when the transfer starts.
    """

    def __init__(self, done):
        self._since_s, self._bytes = time.monotonic(), done

    def problem(self, done):
        """Return a message if the transfer is too slow, else None.

        Parameters
        ----------
        done : int
            Bytes received so far.
        """
        now_s = time.monotonic()
        if now_s - self._since_s < SLOW_S:
            return None
        if done - self._bytes < SLOW_BYTES:
            return f"expected at least {SLOW_BYTES} bytes in {SLOW_S:g} s, received {done - self._bytes}"
        self._since_s, self._bytes = now_s, done
        return None


class DownloadCheck:
    """Checks a running download: a progress hook of yt-dlp, which calls it for every block that arrives."""

    def __init__(self, folder, limits):
        self._folder, self._limits = folder, limits
        self._sizes, self._speeds = {}, {}
        self._logged_s = time.monotonic()

    def __call__(self, progress):
        """Raise FetchFailed or DiskFull if the download exceeds a limit.

        Parameters
        ----------
        progress : dict
            yt-dlp's: `status`, `filename`, `downloaded_bytes`, `total_bytes`, `info_dict`.
        """
        name, done, total = progress["filename"], progress.get("downloaded_bytes") or 0, progress.get("total_bytes") or 0
        self._sizes[name] = max(done, total)
        check_size(sum(self._sizes.values()), self._limits)
        if progress["status"] == "finished":
            check_file(Path(name), progress["info_dict"].get("filesize"))
            return
        check_disk(self._folder, self._limits)
        # From the first block on: requests for pages and pauses before a file do not count.
        if problem := self._speeds.setdefault(name, SpeedCheck(done)).problem(done):
            raise FetchFailed(Failure.TOO_SLOW, problem)
        if time.monotonic() - self._logged_s >= REPORT_EVERY_S:
            self._logged_s = time.monotonic()
            LOGGER.info("%.1f MB%s", done / MB, f" of {total / MB:.1f} MB" if total else "")
