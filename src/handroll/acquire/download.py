"""Fetch a video: link a local file, or download a URL with yt-dlp. An unavailable video gives a status instead of an exception."""

import errno
import hashlib
import http
import logging
import math
import os
import re
import shlex
import shutil
from pathlib import Path

from handroll.acquire.back_off import Pace, wait, wait_s
from handroll.acquire.cookies import read_cookies
from handroll.acquire.failures import OK, Failure, FetchFailed, causes_of, failure_of
from handroll.acquire.limits import GB, DiskFull, DownloadCheck, Limits, check_disk, check_length, check_reported, check_size, is_disk_full
from handroll.acquire.sites import address_problem, without_credentials
from handroll.acquire.yt_dlp_options import yt_dlp_options
from handroll.media.safe_open import MediaError, check_file
from handroll.provenance import atomic_path, file_sha256

LOGGER = logging.getLogger("handroll")

VERSION = 1
"""Version of the downloads, increased manually when every source must be fetched again."""

READ_ONLY = 0o444
"""File mode of a finished download. Snakemake's `protected` is not used, since it would also protect the empty files of failed
downloads."""

FOLDER = ".download"
"""Name of the folder of partial downloads, next to the video. No rule declares it as an output, so Snakemake keeps it when a job is
killed."""

# Format filter of yt-dlp: only formats that are transferred by one of these protocols are downloaded.
_PROTOCOLS = "[protocol~='^(https?|m3u8|m3u8_native|http_dash_segments)$']"

# Keys of info.json that describe the video itself.
_FACTS = ("title", "uploader", "extractor", "format", "width_px", "height_px", "fps", "duration_s")


def fetch(source, out_path, *, max_height_px=1080, limits=None, pace=None, base_dir="."):
    """Link or download the video of a source to a path.

    A local file becomes a symbolic link. The link is relative if the source is relative, so that it stays valid when the whole folder
    `base_dir` moves. A URL is downloaded in the best quality up to a height, as a read-only file. Separate video and audio are merged
    into one file: MP4, or Matroska if their codecs require it.
    If the video is not available, an empty file is written. A partial download stays in the folder `.download` next to the path, and
    the next call resumes it.

    Parameters
    ----------
    source : str
        Path of a local file, relative to `base_dir`, or http(s) URL of one video.
    out_path : path
        File to write, with any suffix.
    max_height_px : int
        Maximum length of the shorter side of the frames to download, px. For landscape videos, this is the height.
    limits : Limits, optional
        Limits of a download. They do not apply to local files.
    pace : Pace, optional
    base_dir : path
        Folder to which relative paths refer.

    Returns
    -------
    dict
        source, kind ("local" or "url"), status ("ok" or a `failures.Failure`), transient (whether a later try may succeed), message,
        size_bytes. Further values, None if unknown: sha256, title, uploader, extractor, format, width_px, height_px, fps, duration_s
        (reported by the site). The dict contains no times, so that the same source gives the same values.

    Raises
    ------
    DiskFull
        The disk has too little space.
    OSError
        The folder of `out_path` is not writable.
    CookieFileError
        The cookie file in `HANDROLL_COOKIES` is not usable.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", source)
    if scheme is None:
        return _link_file(source, Path(base_dir), Path(out_path))
    if problem := address_problem(source):
        hint = (
            ""
            if scheme[1].lower() in ("http", "https")
            else f"; if it is a file whose name contains a colon, write ./{without_credentials(source)}"
        )
        _write_empty(out_path)
        return _build_info(source, "url", Failure.REFUSED_ADDRESS, problem + hint)
    return _download(source, Path(out_path), max_height_px, limits or Limits(), pace or Pace())


def _build_info(source, kind, status, message, path=None, **facts):
    """Build the dict that `fetch` returns.

    Parameters
    ----------
    source, kind, status, message : str
        Values of the dict; user name and password are removed from the source.
    path : Path, optional
        File of the video, for its size and SHA-256; None if there is no file.
    **facts
        Values of the keys `_FACTS`. Missing ones are None in the dict.
    """
    return {
        "source": without_credentials(source),
        "kind": kind,
        "status": str(status),
        "transient": isinstance(status, Failure) and status.transient,
        "message": message,
        "size_bytes": path.stat().st_size if path else 0,
        "sha256": file_sha256(path) if path else None,
        **{name: facts.get(name) for name in _FACTS},
    }


def _write_empty(out_path):
    """Write an empty file in place of an unavailable video."""
    with atomic_path(out_path) as temporary:
        temporary.touch()


def _link_file(source, base_dir, out_path):
    """Create a symbolic link at `out_path` to the local file `source`; return the result of `fetch`.

    If the file is not usable, write an empty file instead of the link.
    """
    path = Path(os.path.abspath(base_dir / source))
    try:
        check_file(path)
    except MediaError as error:
        _write_empty(out_path)
        return _build_info(source, "local", Failure(error.reason), str(error))
    with atomic_path(out_path) as temporary:
        temporary.symlink_to(_link_target(source, base_dir, out_path.parent))
    return _build_info(source, "local", OK, "", path, title=path.stem)


def _link_target(source, base_dir, folder):
    """Return the path that a link in `folder` to the local file `source` contains.

    The path is relative if the source is relative and the folder is below `base_dir`. Otherwise it is absolute.
    """
    base_dir, folder = base_dir.resolve(), folder.resolve()
    path = (base_dir / source).parent.resolve() / Path(source).name
    moves_along = not Path(source).is_absolute() and folder.is_relative_to(base_dir)
    return os.path.relpath(path, folder) if moves_along else path


def _download(source, out_path, max_height_px, limits, pace):
    """Download the URL `source` to `out_path`, and return the result of `fetch`. See `fetch` for the parameters.

    After a transient failure, the download is tried again. If the video is not available, an empty file is written.
    """
    cookies = read_cookies()
    folder = _partial_folder(out_path, source, max_height_px)
    failed, most_bytes = 0, _folder_bytes(folder)
    while True:
        check_disk(folder, limits)
        facts = {}
        try:
            file = _try_download(source, folder, max_height_px, limits, pace, cookies, facts)
            break
        except Exception as error:
            failure = _classify_error(error, folder, limits, extracted=bool(facts))
            if failure is None:
                raise
        progressed = _folder_bytes(folder) > most_bytes
        failed, most_bytes = 1 if progressed else failed + 1, max(most_bytes, _folder_bytes(folder))
        seconds = wait_s(pace, failed, failure.wait_s) if failure.failure.again_now and failed < pace.tries else None
        reason = cookies.redact(f"{without_credentials(source)}: {failure}")
        if seconds is None:
            _write_empty(out_path)
            if not failure.failure.transient or not _folder_bytes(folder):
                _remove(folder.parent)
            return _build_info(source, "url", failure.failure, reason, **facts)
        LOGGER.warning(
            "%s: next try in %.0f s; %d of at most %d tries without progress: %s", failure.failure, seconds, failed, pace.tries, reason
        )
        wait(seconds)
    os.chmod(file, READ_ONLY)
    info = _build_info(source, "url", OK, "", file, **facts)
    os.replace(file, out_path)
    _remove(folder.parent)
    return info


def _partial_folder(out_path, source, max_height_px):
    """Return the folder for the partial download of a source with a maximum height; create it if it does not exist.

    Partial downloads of other sources, or with other maximum heights, are removed.
    """
    request = f"{without_credentials(source)}\n{max_height_px}"
    folder = out_path.parent / FOLDER / hashlib.sha256(request.encode()).hexdigest()[:16]
    if not folder.is_dir():
        _remove(folder.parent)
        folder.mkdir(parents=True)
    return folder


def _folder_bytes(folder):
    """Return the total size of the files in a folder, bytes."""
    return sum(path.stat().st_size for path in folder.iterdir())


def _remove(folder):
    """Remove a folder with its content, or a link to a folder, if it exists."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _classify_error(error, folder, limits, extracted):
    """Return the FetchFailed that describes an exception; None for a bug.

    Raise DiskFull if the disk is full, and PermissionError if the folder is not writable. `extracted`: see `failure_of`.
    """
    failure = failure_of(error, extracted)
    if is_disk_full(error):
        check_disk(folder, limits)
        raise DiskFull(f"{folder}: no space left on the disk; free some disk space and run again: downloads resume") from error
    if failure is not None and failure.failure is not Failure.NETWORK:
        locked = next((c for c in causes_of(error) if isinstance(c, OSError) and c.errno in (errno.EACCES, errno.EPERM, errno.EROFS)), None)
        if locked is not None:
            raise PermissionError(
                f"{folder}: expected a writable folder, but writing failed: {locked}; make the folder writable"
            ) from error
    return failure


def _try_download(source, folder, max_height_px, limits, pace, cookies, facts):
    """Try once to download a video into a folder, and return the path of the file. A partial download is resumed.

    The result of `_select_facts` is added to the dict `facts` as soon as the site has described the video. Raises FetchFailed and the
    exceptions of yt-dlp.
    """
    import imageio_ffmpeg
    import yt_dlp

    def check_before_download(found, *, incomplete):
        """Raise FetchFailed or DiskFull if the video exceeds a limit. yt-dlp calls this function as its match filter."""
        if incomplete:
            return
        if (found.get("n_entries") or 1) > 1:
            raise _list_failure(source, found)
        facts.update(_select_facts(found))
        check_reported(found, folder, limits)

    options = {
        **yt_dlp_options(cookies, pace),
        "format": f"bv*{_PROTOCOLS}+ba{_PROTOCOLS}/b{_PROTOCOLS}",
        # yt-dlp prefers the format with the longest shorter side ("res") up to the maximum, then the one with the highest frame rate.
        "format_sort": [f"res:{max_height_px}", "fps"],
        "merge_output_format": "mp4/mkv",
        "ffmpeg_location": imageio_ffmpeg.get_ffmpeg_exe(),
        "external_downloader": "native",
        # yt-dlp downloads some streams with FFmpeg, for which it calls no progress hook. This option makes FFmpeg stop at the size limit.
        "external_downloader_args": {"ffmpeg_o": ["-fs", str(round(limits.max_size_gb * GB))]} if limits.max_size_gb < math.inf else {},
        "match_filter": check_before_download,
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "playlistend": 2,
        "updatetime": False,
        "sleep_interval": pace.pause_s,
        "ratelimit": None if pace.max_rate_mb_s is None else pace.max_rate_mb_s * 1e6,
        "progress_hooks": [DownloadCheck(folder, limits)],
        "paths": {"home": str(folder.absolute())},
        # The name contains format and size, so that a try resumes a partial file only if neither has changed.
        "outtmpl": "%(format_id)s-%(filesize,filesize_approx)s.%(ext)s",
    }
    with yt_dlp.YoutubeDL(options) as downloader:
        try:
            found = _one_video(downloader.extract_info(source), source)
        except Exception as error:
            if not is_disk_full(error) and _is_damaged(error):
                for path in folder.iterdir():
                    path.unlink()
            raise
    path = next((part["filepath"] for part in found.get("requested_downloads") or () if part.get("filepath")), None)
    if path is None:
        raise FetchFailed(Failure.INCOMPLETE, "expected a downloaded file, but yt-dlp ended without one")
    file = Path(path)
    check_size(file.stat().st_size, limits)
    check_length(file, facts["duration_s"])
    return file


def _is_damaged(error):
    """Return whether an error shows that the partial files are damaged: they cannot be merged, or are longer than the site's file."""
    from yt_dlp.networking.exceptions import HTTPError
    from yt_dlp.utils import PostProcessingError

    return any(
        isinstance(cause, PostProcessingError)
        or (isinstance(cause, HTTPError) and cause.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        for cause in causes_of(error)
    )


def _one_video(found, source):
    """Return yt-dlp's description of the video of a source. Raise FetchFailed if the source has no video, or a list of videos."""
    if found is None:
        raise FetchFailed(Failure.NOT_UNDERSTOOD, "expected a video, but yt-dlp cannot interpret the page")
    if found.get("_type", "video") == "video":
        return found
    entries = list(found.get("entries") or ())
    if not entries:
        raise FetchFailed(Failure.NOT_A_VIDEO, "expected a video, found a page without a video")
    if len(entries) == 1 and entries[0].get("_type", "video") == "video":
        return entries[0]
    raise _list_failure(source, found)


def _list_failure(source, found):
    """Build the FetchFailed of a source that is a list of videos."""
    count = f"{found['playlist_count']} videos" if found.get("playlist_count") else "several videos"
    command = shlex.join(["handroll", "list", without_credentials(source)])
    return FetchFailed(Failure.IS_A_LIST, f"expected one video, found a list of {count}; to add them to the sheet, run: {command}")


def _select_facts(found):
    """Return the values for info.json from yt-dlp's description of a video."""
    return {
        "title": found.get("title"),
        "uploader": found.get("uploader") or found.get("channel"),
        "extractor": found.get("extractor"),
        "format": ", ".join(str(found[key]) for key in ("format", "ext") if found.get(key)) or None,
        "width_px": found.get("width"),
        "height_px": found.get("height"),
        "fps": found.get("fps"),
        "duration_s": found.get("duration"),
    }
