"""Fetches a video: a local file is linked, a URL is downloaded with yt-dlp. What cannot be had is a status, not a crash."""

import errno
import logging
import os
import re
import shlex
from pathlib import Path

from handroll.acquire.addresses import AddressRefused, Gate
from handroll.acquire.back_off import Pace, wait, wait_s
from handroll.acquire.cookies import read_cookies
from handroll.acquire.failures import OK, Failure, FetchFailed, causes_of, failure_of
from handroll.acquire.limits import DiskFull, Limits, Watch, check_disk, check_length, check_told, is_disk_full
from handroll.acquire.resume import FOLDER, Partial
from handroll.acquire.sites import without_credentials
from handroll.media.file_signatures import MediaError, check_file
from handroll.provenance import atomic_path, file_sha256

LOGGER = logging.getLogger("handroll")

VERSION = 1
"""Raised by hand when every source has to be fetched anew."""

READ_ONLY = 0o444
"""Mode of a finished download. Not Snakemake's `protected`: that would guard the empty files of failed ones, too."""

_FACTS = ("title", "uploader", "extractor", "format", "width_px", "height_px", "fps", "duration_s")
_PART_KEYS = ("format_id", "ext", "protocol", "vcodec", "acodec", "width", "height", "fps", "filesize")


def fetch(source, out_path, *, max_height_px=1080, limits=None, pace=None, base_dir="."):
    """Put the video of a source at a path.

    A local file becomes a symbolic link; it is relative where the source is, so that it is still right after all of `base_dir` has
    moved. A URL is downloaded in the best quality up to a height and, where picture and sound come apart, merged into one file
    (Matroska or MP4, by what they are), which is read-only.
    Where there is no video to be had, an empty file is written. A download that breaks off stays in the folder `.download`
    beside the path, and the next call goes on with it.

    Parameters
    ----------
    source : str
        Path of a file, relative to `base_dir`, or an http(s) URL of one video. Its host and port may lie in a private
        network; where it leads on to may not.
    out_path : path
        File to write; its suffix does not matter.
    max_height_px : int
        Largest height (shorter side) to choose among those that a site offers.
    limits : Limits, optional
        Of downloads; local files have none.
    pace : Pace, optional
    base_dir : path
        Folder that relative paths start from.

    Returns
    -------
    dict
        source, kind ("local" or "url"), status ("ok" or a `failures.Failure`), transient (the failure may pass), message, size_bytes,
        sha256, title, uploader, extractor, format, width_px, height_px, fps, duration_s (as the site tells); those from sha256 on are
        None where they do not exist. No times, so that the same source gives the same values.

    Raises
    ------
    DiskFull
        The disk, not the video, is the trouble.
    OSError
        The folder cannot be written to.
    CookieFileError
        The file of cookies that the environment names cannot be used.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", source)
    if scheme is None:
        return _link(source, Path(base_dir), Path(out_path))
    if scheme[1].lower() not in ("http", "https"):
        _write_empty(out_path)
        message = f"{source}: expected a path or an http(s) URL, found a {scheme[1]} URL (write a file name with a colon as ./{source})"
        return _info(source, "url", Failure.REFUSED_ADDRESS, message)
    return _download(source, Path(out_path), max_height_px, limits or Limits(), pace or Pace())


def _info(source, kind, status, message, path=None, **facts):
    """The dict that `fetch` returns."""
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
    with atomic_path(out_path) as temporary:
        temporary.touch()


def _link(source, base_dir, out_path):
    """Link a local file."""
    path = Path(os.path.abspath(base_dir / source))
    try:
        check_file(path)
    except MediaError as error:
        _write_empty(out_path)
        return _info(source, "local", Failure(error.reason), str(error))
    with atomic_path(out_path) as temporary:
        temporary.symlink_to(_target(source, base_dir, out_path.parent))
    return _info(source, "local", OK, "", path, title=path.stem)


def _target(source, base_dir, folder):
    """What a link in a folder says to lead to a source: a relative path for a relative source, unless the folder is elsewhere."""
    base_dir, folder = base_dir.resolve(), folder.resolve()
    path = (base_dir / source).parent.resolve() / Path(source).name
    moves_along = not Path(source).is_absolute() and folder.is_relative_to(base_dir)
    return os.path.relpath(path, folder) if moves_along else path


def _download(source, out_path, max_height_px, limits, pace):
    """Download a URL, trying again, after a wait, where trouble may pass."""
    cookies = read_cookies()
    partial = Partial.open(out_path.parent / FOLDER, source=without_credentials(source), max_height_px=max_height_px)
    failed, most_bytes = 0, partial.size_bytes()
    while True:
        check_disk(partial.folder, limits)
        facts = {}
        try:
            file = _try(source, partial, max_height_px, limits, pace, cookies, facts)
            check_length(file, facts["duration_s"])
            break
        except Exception as error:
            failure = _explain(error, partial, limits, extracted="title" in facts)
            if failure is None:
                raise
        if failure.failure is Failure.UNSUPPORTED and partial.formats and "title" not in facts:
            # The formats of an earlier try are no longer offered: others are chosen.
            partial.restart()
            continue
        more = partial.size_bytes() > most_bytes
        failed, most_bytes = 1 if more else failed + 1, max(most_bytes, partial.size_bytes())
        seconds = wait_s(pace, failed, failure.wait_s) if failure.failure.again_now and failed < pace.tries else None
        reason = cookies.redact(f"{without_credentials(source)}: {failure}")
        if seconds is None:
            return _give_up(source, out_path, partial, failure.failure, reason, facts)
        LOGGER.warning("%s: try again in %.0f s (%d of %d without progress): %s", failure.failure, seconds, failed, pace.tries, reason)
        wait(seconds)
    os.chmod(file, READ_ONLY)
    info = _info(source, "url", OK, "", file, **facts)
    os.replace(file, out_path)
    partial.drop()
    return info


def _give_up(source, out_path, partial, failure, reason, facts):
    """An empty file, and why; what has come is kept where another run may go on with it."""
    _write_empty(out_path)
    if not failure.transient or not partial.size_bytes():
        partial.drop()
    return _info(source, "url", failure, reason, **facts)


def _explain(error, partial, limits, extracted):
    """The FetchFailed behind an exception; None for a bug. Raises where the disk or the folder is the trouble."""
    failure = failure_of(error, extracted)
    if is_disk_full(error):
        check_disk(partial.folder, limits)
        raise DiskFull(
            f"{partial.folder}: no space left on the disk; make space and run again: downloads go on where they ended"
        ) from error
    if failure is not None and failure.failure is not Failure.NETWORK:
        locked = next((c for c in causes_of(error) if isinstance(c, OSError) and c.errno in (errno.EACCES, errno.EPERM, errno.EROFS)), None)
        if locked is not None:
            raise PermissionError(f"{partial.folder}: expected a folder that can be written to, found: {locked}") from error
    return failure


def _try(source, partial, max_height_px, limits, pace, cookies, facts):
    """Download into the partial's folder, from where it ended; the file. What is learnt of the video is put into `facts`."""
    import imageio_ffmpeg
    from yt_dlp.utils import PostProcessingError

    from handroll.acquire.networking import PROTOCOLS, Downloader, no_ffmpeg_downloads

    try:
        gate = Gate([source])
    except AddressRefused as error:
        raise FetchFailed(Failure.REFUSED_ADDRESS, str(error)) from None
    asked = f"[protocol~='^({'|'.join(PROTOCOLS)})$']"
    template = str(partial.folder).replace("%", "%%")
    settings = {
        "format": partial.formats["format_id"] if partial.formats else f"bv*{asked}+ba{asked}/b{asked}",
        # Prefers the largest picture that is not above this; "res" is the shorter side.
        "format_sort": [f"res:{max_height_px}", "fps"],
        "merge_output_format": "mp4/mkv",
        "ffmpeg_location": imageio_ffmpeg.get_ffmpeg_exe(),
        # An m3u8 of any kind is downloaded by yt-dlp itself.
        "external_downloader": "native",
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "playlistend": 2,
        "updatetime": False,
        "sleep_interval": pace.pause_s,
        "ratelimit": None if pace.max_rate_mb_s is None else pace.max_rate_mb_s * 1e6,
        "progress_hooks": [Watch(partial.folder, limits)],
        "outtmpl": {"default": f"{template}/video.%(ext)s"},
    }
    with no_ffmpeg_downloads(), Downloader(settings, gate, cookies, pace) as downloader:
        found = _one_video(downloader.extract_info(source, download=False), source)
        facts |= _facts_of(found)
        check_told(found, partial.folder, limits)
        partial.choose(_formats_of(found))
        downloader.partial = partial
        try:
            downloader.process_info(found)
        except Exception as error:
            if any(isinstance(cause, PostProcessingError) for cause in causes_of(error)) and not is_disk_full(error):
                # Parts that cannot be merged are no good; the next try gets others.
                partial.restart()
            raise
    file = found.get("filepath")
    if not file or not Path(file).is_file():
        raise FetchFailed(Failure.INCOMPLETE, "yt-dlp ended without a file")
    return Path(file)


def _one_video(found, source):
    """yt-dlp's description of the one video behind a source; raises FetchFailed where it is none, or a list."""
    if found is None:
        raise FetchFailed(Failure.NOT_UNDERSTOOD, "yt-dlp found nothing it understands")
    if found.get("_type", "video") == "video":
        return found
    entries = list(found.get("entries") or ())
    if not entries:
        raise FetchFailed(Failure.NOT_A_VIDEO, "the page holds no video")
    if len(entries) == 1 and entries[0].get("_type", "video") == "video":
        return entries[0]
    count = found.get("playlist_count") or f"{len(entries)} or more"
    command = shlex.join(["handroll", "list", without_credentials(source)])
    raise FetchFailed(Failure.IS_A_LIST, f"expected one video, found a list of {count}; list its videos: {command}")


def _facts_of(found):
    """What info.json tells of a video."""
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


def _formats_of(found):
    """The chosen formats, for `Partial.choose`."""
    parts = [{key: part.get(key) for key in _PART_KEYS} for part in found.get("requested_formats") or [found]]
    return {"format_id": found["format_id"], "id": found.get("id"), "parts": parts}
