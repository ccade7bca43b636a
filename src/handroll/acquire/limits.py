"""Check the limits of a download before it starts and while it runs: length, size, speed, free disk space, kind of file."""

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

GB = 10**9
"""Number of bytes in a gigabyte."""

MB = 10**6
"""Number of bytes in a megabyte."""

COMPLETE_SHARE = 0.99
"""Minimum size of a complete file, as a share of the size that the site reports. YouTube's sizes differ from the files by a few bytes."""

SHORTENED_SHARE = 0.95
"""Minimum duration of a complete video, as a share of the duration that the site reports. A video counts as shortened if it is below both
this limit and that of `SHORTENED_S`."""

SHORTENED_S = 2.0
"""Maximum difference between the duration that the site reports and that of a complete video, s. Sites round durations to seconds."""

SLOW_S = 60.0
"""Time in which a download must receive at least `SLOW_BYTES`, s."""

SLOW_BYTES = 60_000
"""Minimum number of bytes that a download must receive in `SLOW_S`: 1 kB/s, a hundredth of a slow mobile connection."""

REPORT_EVERY_S = 10.0
"""Time between two progress messages, s."""


class DiskFull(RuntimeError):
    """Raised if the disk has too little space for a download. The job fails, since all other downloads would fail, too."""


@dataclass(frozen=True)
class Limits:
    """Limits of a download.

    Attributes
    ----------
    min_s, max_s : float
        Minimum and maximum duration of a video, s. They apply if the site reports a duration.
    max_size_gb : float
        Maximum size of a download, GB.
    min_free_gb : float
        Disk space that a download leaves free, GB.
    """

    min_s: float = 0.0
    max_s: float = math.inf
    max_size_gb: float = math.inf
    min_free_gb: float = 0.0


def free_bytes(folder):
    """Return the free space on the disk of an existing folder, bytes."""
    return shutil.disk_usage(folder).free


def check_disk(folder, limits, needed_bytes=0):
    """Raise DiskFull if less than `limits.min_free_gb` would be free after another `needed_bytes` are written."""
    free = free_bytes(folder)
    if free - needed_bytes < limits.min_free_gb * GB:
        needs = f"{needed_bytes / GB:.2f} GB and " if needed_bytes else ""
        raise DiskFull(
            f"{folder}: expected space for {needs}a reserve of {limits.min_free_gb:g} GB (acquire.min_free_gb), "
            f"found {free / GB:.2f} GB free; free some disk space and run again: downloads resume"
        )


def is_disk_full(error):
    """Return whether a full disk caused an exception."""
    return any(
        isinstance(cause, DiskFull)
        or (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT))
        or "No space left on device" in str(cause)
        for cause in causes_of(error)
    )


def check_reported(found, folder, limits):
    """Raise an exception if the video that a site reports exceeds a limit.

    Parameters
    ----------
    found : dict
        yt-dlp's description of a video with its chosen formats.
    folder : path
        Folder in which the download is written.
    limits : Limits

    Raises
    ------
    FetchFailed
        The video is live, not yet published, too short, too long or too large.
    DiskFull
        The disk has too little space for the video.
    """
    if found.get("is_live") or found.get("live_status") in ("is_live", "is_upcoming", "post_live"):
        raise FetchFailed(Failure.LIVE, "expected a finished video, found a live stream or a premiere that has not started")
    seconds = found.get("duration")
    if seconds is not None and seconds < limits.min_s:
        raise FetchFailed(
            Failure.TOO_SHORT, f"expected a video of at least {limits.min_s:g} s (screening.duration.min_s), the site reports {seconds:g} s"
        )
    if seconds is not None and seconds > limits.max_s:
        raise FetchFailed(
            Failure.TOO_LONG, f"expected a video of at most {limits.max_s:g} s (screening.duration.max_s), the site reports {seconds:g} s"
        )
    formats = found.get("requested_formats") or [found]
    sizes = [part.get("filesize") for part in formats]
    if None not in sizes:
        check_size(sum(sizes), limits)
    expected = sum(part.get("filesize") or part.get("filesize_approx") or 0 for part in formats)
    # While separate video and audio files are merged, the disk contains everything twice.
    check_disk(folder, limits, expected * (2 if len(formats) > 1 else 1))


def check_size(size_bytes, limits):
    """Raise FetchFailed if a download of `size_bytes` exceeds the size limit."""
    if size_bytes > limits.max_size_gb * GB:
        raise FetchFailed(
            Failure.TOO_LARGE,
            f"expected a file of at most {limits.max_size_gb:g} GB (acquire.max_size_gb), found at least {size_bytes / GB:.3f} GB",
        )


def check_length(path, reported_s):
    """Raise FetchFailed if a file is much shorter than its site reports. A file that cannot be opened is not checked; the probe rejects it.

    Parameters
    ----------
    path : path
    reported_s : float or None
        Duration that the site reports, s.
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
            Failure.SHORTENED,
            f"expected a video of {reported_s:g} s as the site reports, found {found_s:.1f} s: a preview or an incomplete file",
        )


def check_file(path, reported_bytes=None):
    """Check a downloaded file. If it is incomplete, or is not an audio or video file, remove it and raise FetchFailed.

    Parameters
    ----------
    path : Path
    reported_bytes : int or None
        Size that the site reports, bytes.
    """
    size = path.stat().st_size
    if container_of(path) is None or _refers_to_files(path):
        _, kind = file_kind(path)
        path.unlink()
        raise FetchFailed(Failure.NOT_A_VIDEO, f"expected a video, found {kind} ({size} bytes)")
    if reported_bytes and size < COMPLETE_SHARE * reported_bytes:
        path.unlink()
        raise FetchFailed(Failure.INCOMPLETE, f"expected {reported_bytes} bytes as the site reports, received {size} bytes")


def _refers_to_files(path):
    """Return whether a file that starts like a media file has a format that refers to other files, such as a playlist."""
    try:
        open_media(path).close()
    except MediaError as error:
        return is_refused(error.__cause__)
    return False


class SpeedCheck:
    """Detect a download that receives less than `SLOW_BYTES` in `SLOW_S`.

    Parameters
    ----------
    done : int
        Number of bytes of the file that exist when the transfer starts.
    """

    def __init__(self, done):
        self._since_s, self._bytes = time.monotonic(), done

    def problem(self, done):
        """Return a message if the download is too slow, otherwise None.

        Parameters
        ----------
        done : int
            Number of bytes of the file that exist now.
        """
        now_s = time.monotonic()
        if now_s - self._since_s < SLOW_S:
            return None
        if done - self._bytes < SLOW_BYTES:
            return f"expected at least {SLOW_BYTES} bytes in {SLOW_S:g} s, received {done - self._bytes} bytes"
        self._since_s, self._bytes = now_s, done
        return None


class DownloadCheck:
    """Progress hook that checks a running download. yt-dlp calls it for every received block.

    Parameters
    ----------
    folder : path
        Folder of the download.
    limits : Limits
    """

    def __init__(self, folder, limits):
        self._folder, self._limits = folder, limits
        self._sizes, self._speeds = {}, {}
        self._logged_s = time.monotonic()

    def __call__(self, progress):
        """Raise FetchFailed or DiskFull if the download exceeds a limit.

        Parameters
        ----------
        progress : dict
            Progress from yt-dlp: `status`, `filename`, `downloaded_bytes`, `total_bytes`, `info_dict`.
        """
        name, done, total = progress["filename"], progress.get("downloaded_bytes") or 0, progress.get("total_bytes") or 0
        self._sizes[name] = max(done, total)
        check_size(sum(self._sizes.values()), self._limits)
        if progress["status"] == "finished":
            check_file(Path(name), progress["info_dict"].get("filesize"))
            return
        check_disk(self._folder, self._limits)
        # The time starts with the first block of a file, so that page requests and pauses before it do not count.
        if problem := self._speeds.setdefault(name, SpeedCheck(done)).problem(done):
            raise FetchFailed(Failure.TOO_SLOW, problem)
        if time.monotonic() - self._logged_s >= REPORT_EVERY_S:
            self._logged_s = time.monotonic()
            LOGGER.info("downloaded %.1f MB%s", done / MB, f" of {total / MB:.1f} MB" if total else "")
