"""One file of a known address, such as released weights: https only, bounded, continued after a break, checked before it is there."""

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from handroll import __version__
from handroll.acquire.limits import free_bytes
from handroll.acquire.slow import watched_handlers
from handroll.provenance import file_sha256
from handroll.text import printable

BLOCK_BYTES = 2**20
TIMEOUT_S = 30.0
"""Silence on a connection after which it counts as lost."""

TRIES = 4
"""Tries in a row that bring nothing new, after which the rest is left for the next call."""

PAUSE_S = 3.0
"""Wait before the next try, doubled with each that brings nothing."""

_PASSING = {408, 425, 429, 500, 502, 503, 504}
# Answers after which asking again may help (RFC 9110, RFC 6585).


class DownloadError(RuntimeError):
    """A file can't be had; the message says what was expected, what was found, and what to do."""

    def __init__(self, message):
        # Servers choose some of the words.
        super().__init__(printable(message))


class _TooSlow(Exception):
    """The server sends next to nothing."""


class _Break(Exception):
    """The line broke; asking again goes on from there."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the allowed schemes only."""

    def __init__(self, schemes):
        self._schemes = schemes

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _check_scheme(newurl, self._schemes)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download_file(url, path, max_bytes, sha256=None, check=None, schemes=("https",), pause_s=PAUSE_S):
    """Download a file.

    What has come lies beside the target (`.<name>.part`) and outlives a break and a killed process; the next call asks only
    for the rest, and only of the same version of the file. The target appears whole and checked, or not at all.

    Parameters
    ----------
    url : str
    path : path
        Where the file is to be; its folder is made.
    max_bytes : int
        A longer file is refused, whether the server tells its length or not.
    sha256 : str, optional
        What the file has to have.
    check : function of a path, optional
        Raises where the file, still under its temporary name, is not the right one.
    schemes : tuple of str
        Of the address and of all that it leads on to.
    pause_s : float
        Wait (s) before the second try.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    DownloadError
        Another scheme, a refusal, too long, no disk space, another hash, or a line that stays broken: then the part is kept.
    Exception
        What `check` raises. The part is removed, as it is for another hash.
    """
    _check_scheme(url, schemes)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    opener = urllib.request.build_opener(_Redirects(schemes), *watched_handlers(_TooSlow))
    failed = 0
    while True:
        before = _size(part)
        try:
            _fetch(opener, url, part, max_bytes, sha256)
            break
        except _Break as error:
            failed = 0 if _size(part) > before else failed + 1
            if failed == TRIES:
                raise DownloadError(f"{url}: {error}; {_size(part)} bytes are kept in {part}, the next call asks for the rest") from error
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
    """Ask for a file, or for what is missing of it, and write that to the part; _Break where the line breaks before its end."""
    request = urllib.request.Request(url, headers={"User-Agent": f"handroll/{__version__}", "Accept-Encoding": "identity"})
    version = _version_file(part)
    known = version.read_text(encoding="utf-8") if version.is_file() else None
    # Without a version or a hash nobody would tell that the rest is another file's.
    have = _size(part) if known or sha256 else 0
    if have:
        request.add_header("Range", f"bytes={have}-")
        if known:
            request.add_header("If-Range", known)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            start = _start(answer, have)
            told = answer.headers.get("Content-Length")
            total = start + int(told) if told and told.isdecimal() else None
            if total is not None and total > max_bytes:
                raise DownloadError(f"{url}: expected at most {max_bytes} bytes, found {total}")
            if total is not None and (free := free_bytes(part.parent)) < total - start:
                raise DownloadError(f"{part.parent}: expected space for {total - start} bytes, found {free}; make room and ask again")
            if start == 0:
                # Before the version is noted: a killed process must not leave the new one beside old bytes.
                _drop(part)
            elif known and known not in (answer.headers.get("ETag", known), answer.headers.get("Last-Modified")):
                _drop(part)
                raise _Break("the file has changed, so it is asked for anew")
            _note_version(version, answer.headers)
            _write(answer, part, start, total, max_bytes, url)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            _drop(part)
            raise _Break("the rest was refused, so it is asked for anew") from error
        if error.code in _PASSING:
            raise _Break(f"the server answers {error.code} {error.reason}") from error
        raise DownloadError(f"{url}: expected a file, found the answer {error.code} {error.reason}") from error
    except _TooSlow as error:
        raise DownloadError(f"{url}: {error}; {_size(part)} bytes are kept in {part}, the next call asks for the rest") from error
    except ValueError as error:
        raise DownloadError(
            f"{url}: expected an address that can be read, found that it, or one that it leads to, is none: {error}"
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _Break(f"the connection failed ({getattr(error, 'reason', error) or type(error).__name__})") from error


def _write(answer, part, start, total, max_bytes, url):
    """Write an answer's bytes from `start` on."""
    with open(part, "r+b" if part.exists() else "w+b") as file:
        file.seek(start)
        done = start
        # As much as is there: what arrived before a break is kept.
        while block := answer.read1(BLOCK_BYTES):
            done += len(block)
            if done > max_bytes:
                file.close()
                _drop(part)
                raise DownloadError(f"{url}: expected at most {max_bytes} bytes, found no end of them")
            file.write(block)
    if total is not None and done < total:
        raise _Break(f"{done} of {total} bytes came")


def _start(answer, have):
    """From which byte on an answer gives the file."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    unit, _, span = (answer.headers.get("Content-Range") or "").partition(" ")
    first = span.partition("-")[0]
    if unit != "bytes" or first != str(have):
        raise DownloadError(f"{answer.url}: expected the bytes from {have} on, found {unit} {span}")
    return have


def _note_version(file, headers):
    """Keep what tells this version of the file from others; a weak ETag does not promise the same bytes."""
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


def _size(part):
    return part.stat().st_size if part.is_file() else 0


def _drop(part):
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)
