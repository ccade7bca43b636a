"""Download one file from a known address, such as released weights.

The download uses only https and has a size limit. It can be resumed after an interruption, and the complete file is verified.
"""

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
"""Maximum number of bytes to read at once."""

TIMEOUT_S = 30.0
"""Time without received data after which a connection counts as lost, s."""

TRIES = 4
"""Maximum number of consecutive tries without progress. After them, the download fails; the next call resumes it."""

PAUSE_S = 3.0
"""Wait before the second try, s. It doubles with each try without progress."""

# HTTP statuses after which another try may succeed (RFC 9110, RFC 6585).
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


class DownloadError(RuntimeError):
    """Raised if a file could not be downloaded; the message contains the reason and, if there is one, the remedy."""

    def __init__(self, message):
        # The text may come from a server, so control characters are escaped.
        super().__init__(printable(message))


class _Interrupted(Exception):
    """Raised if a try failed and another try may succeed."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirect handler that allows only redirects to certain schemes."""

    def __init__(self, schemes):
        self._schemes = schemes

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _check_scheme(newurl, self._schemes)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download_file(url, path, max_bytes, sha256=None, check=None, schemes=("https",), pause_s=PAUSE_S):
    """Download a file.

    The received bytes are kept in a partial file next to the target (`.<name>.part`), even when the process is killed. The next call
    requests only the rest, and only of the same version of the file. The target is created only when it is complete and verified.

    Parameters
    ----------
    url : str
    path : path
        Target. Its folder is created.
    max_bytes : int
        Maximum size of the file. It is checked even if the server reports no size.
    sha256 : str, optional
        Expected SHA-256, hexadecimal.
    check : function of a path, optional
        Raises an exception if the file is not the expected one. It is called with the temporary name.
    schemes : tuple of str
        Allowed schemes of the address and of all redirects.
    pause_s : float
        Wait before the second try, s.

    Returns
    -------
    str
        SHA-256 of the file, hexadecimal.

    Raises
    ------
    DownloadError
        The scheme is not allowed, the server refuses the request, the file is too large or has another checksum, or the disk is full.
        The partial file is kept for the next call in two other cases: the server is too slow, or the connection is lost at every try.
    Exception
        The exception of `check`. The partial file is then removed.
    """
    _check_scheme(url, schemes)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    opener = urllib.request.build_opener(_Redirects(schemes))
    failed = 0
    while True:
        before = _part_bytes(part)
        try:
            _request(opener, url, part, max_bytes, sha256)
            break
        except _Interrupted as error:
            failed = 0 if _part_bytes(part) > before else failed + 1
            if failed == TRIES:
                raise DownloadError(f"{url}: {error}; {_describe_kept(part)}") from error
            time.sleep(pause_s * 2 ** max(failed - 1, 0))
    found = file_sha256(part)
    try:
        if sha256 is not None and found != sha256:
            raise DownloadError(f"{url}: expected a file with SHA-256 {sha256}, found {found}; the file is removed")
        if check is not None:
            check(part)
    except Exception:
        _remove_part(part)
        raise
    part.replace(path)
    _remove_part(part)
    return found


def _request(opener, url, part, max_bytes, sha256):
    """Request a file, or its missing rest, and write it to the partial file `part`.

    Raise _Interrupted if another try may succeed, and DownloadError otherwise. `opener`: urllib.request.OpenerDirector; other parameters:
    see `download_file`.
    """
    request = urllib.request.Request(url, headers={"User-Agent": f"handroll/{__version__}", "Accept-Encoding": "identity"})
    version = _version_file(part)
    known = version.read_text(encoding="utf-8") if version.is_file() else None
    # Resume only with a known version or checksum. Otherwise a changed file on the server would not be detected.
    have = _part_bytes(part) if known or sha256 else 0
    if have:
        request.add_header("Range", f"bytes={have}-")
        if known:
            request.add_header("If-Range", known)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            start = _start_of_answer(answer, have)
            length = answer.headers.get("Content-Length")
            total = start + int(length) if length and length.isdecimal() else None
            if total is not None and total > max_bytes:
                raise DownloadError(f"{url}: expected a file of at most {max_bytes} bytes, found {total}")
            if total is not None and (free := free_bytes(part.parent)) < total - start:
                raise DownloadError(
                    f"{part.parent}: expected space for {total - start} bytes, found {free}; free some disk space and try again"
                )
            if start == 0:
                # Remove the old partial file first, so that a killed process leaves no old bytes together with a new version.
                _remove_part(part)
            elif known and known not in (answer.headers.get("ETag", known), answer.headers.get("Last-Modified")):
                _remove_part(part)
                raise _Interrupted("the file on the server has changed, so the download starts from the beginning")
            _write_version(version, answer.headers)
            _write_part(answer, part, start, total, max_bytes, url)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            _remove_part(part)
            raise _Interrupted("the server did not send the rest, so the download starts from the beginning") from error
        if error.code in _TRANSIENT:
            raise _Interrupted(f"the server answered {error.code} {error.reason}") from error
        raise DownloadError(f"{url}: expected a file, but the server answered {error.code} {error.reason}") from error
    except ValueError as error:
        raise DownloadError(f"{url}: the address, or that of a redirect, is invalid: {error}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _Interrupted(f"the connection failed ({getattr(error, 'reason', error) or type(error).__name__})") from error


def _write_part(answer, part, start, total, max_bytes, url):
    """Write the server's answer to the partial file `part`, from byte `start` on.

    `total`: size of the complete file, bytes; None if the server does not report it. `max_bytes`: maximum size of the complete file.
    """
    with open(part, "r+b" if part.exists() else "w+b") as file:
        file.seek(start)
        done, speed = start, SpeedCheck(start)
        # `read1` returns the bytes that have arrived. `read` would lose them when the connection is lost.
        while block := answer.read1(BLOCK_BYTES):
            done += len(block)
            if done > max_bytes:
                file.close()
                _remove_part(part)
                raise DownloadError(f"{url}: expected a file of at most {max_bytes} bytes, found more")
            file.write(block)
            if problem := speed.problem(done):
                file.close()
                raise DownloadError(f"{url}: {problem}; {_describe_kept(part)}")
    if total is not None and done < total:
        raise _Interrupted(f"received {done} of {total} bytes")


def _start_of_answer(answer, have):
    """Return the byte of the file at which the server's answer starts: 0, or `have`, the size of the partial file.

    Raise DownloadError if the answer starts at another byte.
    """
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    unit, _, span = (answer.headers.get("Content-Range") or "").partition(" ")
    first = span.partition("-")[0]
    if unit != "bytes" or first != str(have):
        raise DownloadError(f"{answer.url}: expected the file from byte {have}, found the range {unit} {span}")
    return have


def _write_version(file, headers):
    """Store the version of the file that the server reports. A weak ETag is not stored, since it does not guarantee equal bytes."""
    version = headers.get("ETag") or headers.get("Last-Modified")
    if version and not version.startswith("W/"):
        file.write_text(version, encoding="utf-8")
    else:
        file.unlink(missing_ok=True)


def _check_scheme(url, schemes):
    """Raise DownloadError if the scheme of an address is not allowed."""
    if urllib.parse.urlsplit(url).scheme.lower() not in schemes:
        raise DownloadError(f"{url}: expected an address that starts with {' or '.join(f'{scheme}:' for scheme in schemes)}")


def _version_file(part):
    """Return the path of the file that stores the version of a partial file."""
    return part.with_name(part.name + ".version")


def _describe_kept(part):
    """Return the last part of an error message: the size and path of the kept partial file."""
    return f"{_part_bytes(part)} bytes are kept in {part}; the next call resumes the download"


def _part_bytes(part):
    """Return the size of a partial file, bytes; 0 if there is none."""
    return part.stat().st_size if part.is_file() else 0


def _remove_part(part):
    """Remove a partial file and its stored version."""
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)
