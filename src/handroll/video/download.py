"""Fetches a video: a local file is linked, a URL is downloaded with yt-dlp. What cannot be had is a status, not a crash."""

import logging
import os
import random
import re
import tempfile
import time
from pathlib import Path

from handroll.provenance import atomic_path, file_sha256

LOGGER = logging.getLogger("handroll")

VERSION = 1
"""Raised by hand when a source has to be fetched anew."""

ATTEMPTS = 4
"""Tries of a download before its failure is the network's."""

BACK_OFF_S = 5.0
"""Seconds before the second try, doubled before each later one, times a random 0.5 to 1.5 lest many jobs return at once."""

SOCKET_TIMEOUT_S = 30.0
"""Silence on a connection after which it counts as lost."""

GONE_HTTP_STATUSES = frozenset({404, 410, 451})
"""Not found, gone, withheld for legal reasons. 401, 403 and 429 also mean "not now" or "not from here", so they are not final."""

_GONE_SENTENCES = re.compile(
    r"private video|video is private|video unavailable|video is unavailable|(video|content) is(n't| not| no longer) available"
    r"|has been (removed|deleted|terminated)|was (removed|deleted)|does(n't| not) exist|not exist|video not found"
    r"|members-only|removed by the uploader|account .{0,60}terminated",
    re.IGNORECASE,
)
"""How sites say, through yt-dlp, that a video will not come back; it has no error classes for most of them."""


class DownloadFailed(RuntimeError):
    """A download failed for a reason that may pass: network trouble, a busy site, a request for a login."""


def fetch(source, out_path, *, base_dir=".", max_height_px=1080, options=None):
    """Put the video of a source at a path.

    A local file becomes a symbolic link to its absolute path; a URL is downloaded in the best quality up to a height
    and, where picture and sound come apart, merged into one file (Matroska or MP4, by what they are).
    Where the source cannot be had for good, an empty file is written.

    Parameters
    ----------
    source : str
        Path of a file, relative to `base_dir`, or an http(s) URL of one video.
    out_path : path
        File to write; its suffix does not matter.
    base_dir : path
        Folder that relative paths start from.
    max_height_px : int
        Largest height (shorter side) to choose among those that a site offers.
    options : dict, optional
        Options of `yt_dlp.YoutubeDL` that take the place of handroll's, such as `cookiefile`.

    Returns
    -------
    dict
        source, kind ("local" or "url"), status ("ok" or the name of a `handroll.screen.reasons.Reason`), message,
        size_bytes, sha256, title, extractor, format; the last four None where they do not exist. No times, so that
        the same source gives the same values.

    Raises
    ------
    ValueError
        The source is a URL of another kind than http(s).
    DownloadFailed
        The download failed for a reason that may pass.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", source)
    if scheme is None:
        return _link(source, Path(base_dir, source), out_path)
    if scheme[1].lower() not in ("http", "https"):
        raise ValueError(
            f"{source}: expected a path or an http(s) URL, found a {scheme[1]} URL (write a file name with a colon as ./{source})"
        )
    return _download(source, out_path, max_height_px, options or {})


def _info(source, kind, status, message, path=None, **facts):
    """The dict that `fetch` returns."""
    return {
        "source": source,
        "kind": kind,
        "status": status,
        "message": message,
        "size_bytes": path.stat().st_size if path else 0,
        "sha256": file_sha256(path) if path else None,
        "title": facts.get("title"),
        "extractor": facts.get("extractor"),
        "format": facts.get("format"),
    }


def _write_empty(out_path):
    with atomic_path(out_path) as temporary:
        temporary.touch()


def _link(source, path, out_path):
    """Link a local file."""
    path = Path(os.path.abspath(path))
    if not path.is_file():
        _write_empty(out_path)
        return _info(
            source, "local", "source_missing", f"{path}: expected a video file, found {'a folder' if path.is_dir() else 'nothing'}"
        )
    if path.stat().st_size == 0:
        _write_empty(out_path)
        return _info(source, "local", "source_empty", f"{path}: expected a video file, found an empty file")
    with atomic_path(out_path) as temporary:
        temporary.symlink_to(path)
    return _info(source, "local", "ok", "", path, title=path.stem)


def _download(source, out_path, max_height_px, options):
    """Download a URL, trying again where trouble may pass."""
    out_path = Path(out_path)
    out_path.parent.mkdir(parents=True, exist_ok=True)
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            wait_s = BACK_OFF_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
            LOGGER.warning("%s: try %d of %d failed (%s); next in %.0f s", source, attempt, ATTEMPTS, reason, wait_s)
            time.sleep(wait_s)
        with tempfile.TemporaryDirectory(dir=out_path.parent, prefix=".download.") as folder:
            try:
                found, file = _run_yt_dlp(source, folder, max_height_px, options)
            except Exception as error:
                causes = _causes(error)
                if not _may_pass(causes):
                    raise
                reason = " <- ".join(dict.fromkeys(_plain(cause) for cause in causes))
                if _is_gone(causes):
                    _write_empty(out_path)
                    return _info(source, "url", "download_gone", f"{source}: {reason}")
            else:
                os.replace(file, out_path)
                form = ", ".join(str(found[key]) for key in ("format", "ext") if found.get(key))
                return _info(source, "url", "ok", "", out_path, title=found.get("title"), extractor=found.get("extractor"), format=form)
    raise DownloadFailed(
        f"{source}: expected a video, failed {ATTEMPTS} times: {reason}. Look whether it plays in a browser; "
        "if so, run again later, or download it there and name the file in the sheet."
    )


def _run_yt_dlp(source, folder, max_height_px, options):
    """Download into a folder; (what yt-dlp knows of the video, the file)."""
    import imageio_ffmpeg
    import yt_dlp

    settings = {
        "format": "bv*+ba/b",
        # Prefers the largest picture that is not above this; "res" is the shorter side.
        "format_sort": [f"res:{max_height_px}", "fps"],
        "merge_output_format": "mp4/mkv",
        "ffmpeg_location": imageio_ffmpeg.get_ffmpeg_exe(),
        "noplaylist": True,
        "playlist_items": "1",
        "socket_timeout": SOCKET_TIMEOUT_S,
        # Tries again here, with back-off.
        "retries": 0,
        "extractor_retries": 0,
        "updatetime": False,
        "cachedir": False,
        "noprogress": True,
        "quiet": True,
        "logger": LOGGER,
        **options,
        "outtmpl": {"default": f"{folder}/video.%(ext)s"},
    }
    with yt_dlp.YoutubeDL(settings) as downloader:
        found = downloader.extract_info(source, download=True)
    if found.get("_type") == "playlist":
        entries = list(found["entries"])
        if not entries:
            raise yt_dlp.utils.ExtractorError("the page holds no video; video not found", expected=True)
        LOGGER.warning("%s: is a list of videos (%s); taking the first only", source, found.get("title"))
        found = entries[0]
    return found, found["requested_downloads"][0]["filepath"]


def _causes(error):
    """An exception and those that led to it, the outermost first."""
    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        wrapped = getattr(error, "exc_info", None)
        error = getattr(error, "cause", None) or (wrapped[1] if wrapped else None) or error.__cause__ or error.__context__
    return chain


def _plain(error):
    """An exception's message without terminal colours and advice to report bugs to yt-dlp."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).removeprefix("ERROR: ")
    return text.split("; please report this issue")[0] or type(error).__name__


def _is_gone(causes):
    """Whether a site said that there is no such video, or not for this country."""
    from yt_dlp.networking.exceptions import HTTPError
    from yt_dlp.utils import ExtractorError, GeoRestrictedError, UnsupportedError

    for error in causes:
        if isinstance(error, HTTPError):
            return error.status in GONE_HTTP_STATUSES
        if isinstance(error, (GeoRestrictedError, UnsupportedError)):
            return True
        if isinstance(error, ExtractorError) and _GONE_SENTENCES.search(str(error)):
            return True
    return False


def _may_pass(causes):
    """Whether an exception came from the download, rather than from a bug or a full disk."""
    from yt_dlp.utils import YoutubeDLError

    return any(isinstance(error, YoutubeDLError) for error in causes) and not any(
        isinstance(error, OSError) and error.errno == 28 for error in causes
    )
