"""Download one file of a known address, such as released weights: https only, limited in size, resumed, and verified."""

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from handroll import __version__
from handroll.acquire.limits import SpeedCheck, free_bytes
from handroll.provenance import file_sha256
from handroll.text import printable

BLOCK_BYTES = 2**20
TIMEOUT_S = 30.0
"""A connection that sends nothing for this long counts as lost (s)."""

TRIES = 4
"""Tries in a row without progress, after which the rest is left for the next call."""

PAUSE_S = 3.0
"""Wait before the next try (s), doubled with each try without progress."""

_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}

# HTTP statuses after which a retry may succeed (RFC 9110, RFC 6585).


class DownloadError(RuntimeError):
    """A file could not be downloaded; the message contains what was expected, what was found, and what to do."""

    def __init__(self, message):
        # The text may come from a server.
        super().__init__(printable(message))


class _Interrupted(Exception):
    """Connection lost; a retry resumes the download."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the allowed schemes only."""

    def __init__(self, schemes):
        self._schemes = schemes

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _check_scheme(newurl, self._schemes)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download_file(url, path, max_bytes, sha256=None, check=None, schemes=("https",), pause_s=PAUSE_S):
    """Download a file.

    The received part is kept beside the target (`.<name>.part`), also when the process is killed. The next call requests only
    the rest, and only of the same version of the file. The target appears complete and verified, or not at all.

    Parameters
    ----------
    url : str
    path : path
        Target; its folder is made.
    max_bytes : int
        Maximum size; also holds if the server reports none.
    sha256 : str, optional
        Expected checksum.
    check : function of a path, optional
        Raises if the file, still under its temporary name, is not the expected one.
    schemes : tuple of str
        Allowed schemes of the address and of all redirects.
    pause_s : float
        Wait before the second try (s).

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    DownloadError
        The scheme is not allowed, the server refuses, the file is too large or has another checksum, the disk is full, the server
        is too slow, or the connection is lost at every try. The part is kept in the last two cases.
    Exception
        What `check` raises. The part is then removed, as it is for another checksum.
    """
    _check_scheme(url, schemes)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    opener = urllib.request.build_opener(_Redirects(schemes))
    failed = 0
    while True:
        before = _size(part)
        try:
            _fetch(opener, url, part, max_bytes, sha256)
            break
        except _Interrupted as error:
            failed = 0 if _size(part) > before else failed + 1
            if failed == TRIES:
                raise DownloadError(f"{url}: {error}; {_kept(part)}") from error
            time.sleep(pause_s * 2 ** max(failed - 1, 0))
    found = file_sha256(part)
    try:
        if sha256 is not None and found != sha256:
            raise DownloadError(f"{url}: expected a file with SHA-256 {sha256}, found {found}; it was not kept")
        if check is not None:
            check(part)
    except Exception:
        _drop(part)
        raise
    part.replace(path)
    _drop(part)
    return found


def _fetch(opener, url, part, max_bytes, sha256):
    """Request a file, or the missing rest of it, and write it to the part; raise _Interrupted if the connection is lost."""
    request = urllib.request.Request(url, headers={"User-Agent": f"handroll/{__version__}", "Accept-Encoding": "identity"})
    version = _version_file(part)
    known = version.read_text(encoding="utf-8") if version.is_file() else None
    # Without a version or checksum, the rest of another file would not be detected.
    have = _size(part) if known or sha256 else 0
    if have:
        request.add_header("Range", f"bytes={have}-")
        if known:
            request.add_header("If-Range", known)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            start = _start(answer, have)
            length = answer.headers.get("Content-Length")
            total = start + int(length) if length and length.isdecimal() else None
            if total is not None and total > max_bytes:
                raise DownloadError(f"{url}: expected at most {max_bytes} bytes, found {total}")
            if total is not None and (free := free_bytes(part.parent)) < total - start:
                raise DownloadError(
                    f"{part.parent}: expected space for {total - start} bytes, found {free}; free some disk space and try again"
                )
            if start == 0:
                # Before the version is written: a killed process must not leave a new version beside old bytes.
                _drop(part)
            elif known and known not in (answer.headers.get("ETag", known), answer.headers.get("Last-Modified")):
                _drop(part)
                raise _Interrupted("the file has changed; the download starts over")
            _write_version(version, answer.headers)
            _write(answer, part, start, total, max_bytes, url)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            _drop(part)
            raise _Interrupted("the server refused the rest; the download starts over") from error
        if error.code in _TRANSIENT:
            raise _Interrupted(f"the server answers {error.code} {error.reason}") from error
        raise DownloadError(f"{url}: expected a file, found the answer {error.code} {error.reason}") from error
    except ValueError as error:
        raise DownloadError(f"{url}: expected a valid address, also of every redirect, found: {error}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _Interrupted(f"the connection failed ({getattr(error, 'reason', error) or type(error).__name__})") from error


def _write(answer, part, start, total, max_bytes, url):
    """Write the bytes of an answer to the part, from `start` on."""
    with open(part, "r+b" if part.exists() else "w+b") as file:
        file.seek(start)
        done, speed = start, SpeedCheck(start)
        # `read1` returns the bytes that have arrived, so that none is lost with the connection.
        while block := answer.read1(BLOCK_BYTES):
            done += len(block)
            if done > max_bytes:
                file.close()
                _drop(part)
                raise DownloadError(f"{url}: expected at most {max_bytes} bytes, found more")
            file.write(block)
            if problem := speed.problem(done):
                file.close()
                raise DownloadError(f"{url}: {problem}; {_kept(part)}")
    if total is not None and done < total:
        raise _Interrupted(f"received {done} of {total} bytes")


def _start(answer, have):
    """Number of the first byte of an answer within the file."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    unit, _, span = (answer.headers.get("Content-Range") or "").partition(" ")
    first = span.partition("-")[0]
    if unit != "bytes" or first != str(have):
        raise DownloadError(f"{answer.url}: expected the bytes from {have} on, found {unit} {span}")
    return have


def _write_version(file, headers):
    """Store the version of the file as the server reports it; a weak ETag does not guarantee the same bytes."""
    version = headers.get("ETag") or headers.get("Last-Modified")
    if version and not version.startswith("W/"):
        file.write_text(version, encoding="utf-8")
    else:
        file.unlink(missing_ok=True)


def _check_scheme(url, schemes):
    if urllib.parse.urlsplit(url).scheme.lower() not in schemes:
        raise DownloadError(f"{url}: expected an address of {' or '.join(schemes)}")


def _version_file(part):
    return part.with_name(part.name + ".version")


def _kept(part):
    return f"{_size(part)} bytes are kept in {part}, the next call resumes the download"


def _size(part):
    return part.stat().st_size if part.is_file() else 0


def _drop(part):
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)
