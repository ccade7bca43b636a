"""What a download may not exceed, looked at before it starts and while it runs: length, size, free disk space; and that it is a video."""

import errno
import logging
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from handroll.acquire.failures import Failure, FetchFailed, causes_of
from handroll.media.file_signatures import MediaError, container_of, file_kind, is_refused, open_media

LOGGER = logging.getLogger("handroll")

GB, MB = 10**9, 10**6

TOLD_SHARE = 0.99
"""A file with less than this share of the bytes that the site tells is not whole; YouTube's numbers are off by some bytes."""

SHORTENED_SHARE, SHORTENED_S = 0.95, 2.0
"""A video is shortened where it lasts less than this share of what the site tells, and less by more seconds: sites round to seconds."""

REPORT_EVERY_S = 10.0
"""Seconds between two lines of progress."""


class DiskFull(RuntimeError):
    """There is no space for a download; the job fails, since every other download would."""


@dataclass(frozen=True)
class Limits:
    """What is fetched.

    Attributes
    ----------
    min_s, max_s : float
        Least and greatest duration (s) of a video whose site tells it.
    max_size_gb : float
        Largest size of a download (GB).
    min_free_gb : float
        Disk space that a download leaves free (GB).
    """

    min_s: float = 0.0
    max_s: float = math.inf
    max_size_gb: float = math.inf
    min_free_gb: float = 0.0


def free_bytes(folder):
    """Bytes that may still be written to the disk of an existing folder."""
    return shutil.disk_usage(folder).free


def check_disk(folder, limits, needed_bytes=0):
    """Raise DiskFull where a number of bytes more would leave less than the reserve."""
    free = free_bytes(folder)
    if free - needed_bytes < limits.min_free_gb * GB:
        needs = f"{needed_bytes / GB:.2f} GB and " if needed_bytes else ""
        raise DiskFull(
            f"{folder}: expected space for {needs}a reserve of {limits.min_free_gb:g} GB (acquire.min_free_gb), "
            f"found {free / GB:.2f} GB free; make space and run again: downloads go on where they ended"
        )


def is_disk_full(error):
    """Whether an exception came from a full disk."""
    return any(
        isinstance(cause, DiskFull)
        or (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT))
        or "No space left on device" in str(cause)
        for cause in causes_of(error)
    )


def check_told(found, folder, limits):
    """Raise where what a site tells of a video is beyond a limit.

    Parameters
    ----------
    found : dict
        yt-dlp's description of a video with chosen formats.
    folder : path
        Where it is to be written.
    limits : Limits

    Raises
    ------
    FetchFailed
        Live or yet to come, too short, too long, too large.
    DiskFull
    """
    if found.get("is_live") or found.get("live_status") in ("is_live", "is_upcoming", "post_live"):
        raise FetchFailed(Failure.LIVE, "is a live stream, or a premiere that is yet to come")
    seconds = found.get("duration")
    if seconds is not None and seconds < limits.min_s:
        raise FetchFailed(
            Failure.TOO_SHORT, f"the site tells {seconds:g} s, at least {limits.min_s:g} s are asked for (screening.duration)"
        )
    if seconds is not None and seconds > limits.max_s:
        raise FetchFailed(Failure.TOO_LONG, f"the site tells {seconds:g} s, at most {limits.max_s:g} s are asked for (screening.duration)")
    formats = found.get("requested_formats") or [found]
    sizes = [part.get("filesize") for part in formats]
    if None not in sizes:
        check_size(sum(sizes), limits)
    expected = sum(part.get("filesize") or part.get("filesize_approx") or 0 for part in formats)
    # Picture and sound that come apart are there twice while they are merged.
    check_disk(folder, limits, expected * (2 if len(formats) > 1 else 1))


def check_size(size_bytes, limits):
    """Raise FetchFailed where a download is, or will be, too large."""
    if size_bytes > limits.max_size_gb * GB:
        raise FetchFailed(
            Failure.TOO_LARGE, f"expected at most {limits.max_size_gb:g} GB (acquire.max_size_gb), found {size_bytes / GB:.3f} GB or more"
        )


def check_length(path, told_s):
    """Raise FetchFailed where a file is much shorter than its site tells: a preview. What cannot be read is left to the probe.

    Parameters
    ----------
    path : path
    told_s : float or None
        Duration as the site tells it (s).
    """
    import av

    if not told_s:
        return
    try:
        with open_media(path) as container:
            found_s = None if container.duration is None else container.duration / av.time_base
    except MediaError:
        return
    if found_s is not None and found_s < min(SHORTENED_SHARE * told_s, told_s - SHORTENED_S):
        raise FetchFailed(Failure.SHORTENED, f"the site tells {told_s:g} s, the file lasts {found_s:.1f} s: a preview, or cut off")


def _is_refused(path):
    """Whether a file begins like a container and yet is of a format that refers to other files."""
    try:
        open_media(path).close()
    except MediaError as error:
        return is_refused(error.__cause__)
    return False


class Watch:
    """Looks at a download while it runs: a hook of yt-dlp, called for every block that arrives."""

    def __init__(self, folder, limits):
        self._folder, self._limits = folder, limits
        self._sizes, self._reported = {}, time.monotonic()

    def __call__(self, status):
        """Raise FetchFailed or DiskFull where the download is to end.

        Parameters
        ----------
        status : dict
            yt-dlp's: `status`, `filename`, `downloaded_bytes`, `total_bytes`, `info_dict`.
        """
        done, total = status.get("downloaded_bytes") or 0, status.get("total_bytes") or 0
        self._sizes[status["filename"]] = max(done, total)
        check_size(sum(self._sizes.values()), self._limits)
        if status["status"] == "finished":
            self._check_file(Path(status["filename"]), status["info_dict"].get("filesize"))
            return
        check_disk(self._folder, self._limits)
        if time.monotonic() - self._reported >= REPORT_EVERY_S:
            self._reported = time.monotonic()
            LOGGER.info("%.1f MB%s", done / MB, f" of {total / MB:.1f} MB" if total else "")

    @staticmethod
    def _check_file(path, told_bytes):
        """Raise FetchFailed where a finished file is no audio or video, or not whole; such a file is not kept."""
        size = path.stat().st_size
        if container_of(path) is None or _is_refused(path):
            _, kind = file_kind(path)
            path.unlink()
            raise FetchFailed(Failure.NOT_A_VIDEO, f"expected a video, found {kind} ({size} bytes)")
        if told_bytes and size < TOLD_SHARE * told_bytes:
            path.unlink()
            raise FetchFailed(Failure.INCOMPLETE, f"the site tells {told_bytes} bytes, {size} came")
