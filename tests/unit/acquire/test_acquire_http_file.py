"""Download of one file: complete and verified, or not at all."""

import hashlib
import http.server
import threading
import time
from types import SimpleNamespace

import pytest

from handroll.acquire.http_file import BLOCK_BYTES, DownloadError, download_file

DATA = bytes(range(256)) * 9000
SHA256 = hashlib.sha256(DATA).hexdigest()
HTTP = {"schemes": ("http",), "pause_s": 0.0}


@pytest.fixture
def server():
    """A server of one file; `breaks` are the numbers of bytes after which its next answers end."""
    state = SimpleNamespace(
        data=DATA, etag='"one"', breaks=[], asked=[], status=None, to=None, ranges=True, length=True, reason=None, drip_s=0.0
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append((self.headers.get("Range"), self.headers.get("If-Range")))
            if state.to or state.status:
                self.send_response(302 if state.to else state.status, state.reason)
                self.send_header("Location", state.to or "")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            if state.ranges and self.headers.get("Range") and self.headers.get("If-Range") in (None, state.etag):
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(state.data):
                self.send_error(416)
                return
            rest = state.data[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.data) - 1}/{len(state.data)}")
            if state.etag:
                self.send_header("ETag", state.etag)
            if state.length:
                self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            # At most a few seconds: a client that waits for the end would block the test.
            for at in range(150 if state.drip_s else 0):
                self.wfile.write(rest[at : at + 1])
                time.sleep(state.drip_s)
            if not state.drip_s:
                self.wfile.write(rest[: state.breaks.pop(0)] if state.breaks else rest)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        state.url = f"http://127.0.0.1:{running.server_port}/weights.pth?download=1"
        yield state
        running.shutdown()


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_in_a_new_folder(server, tmp_path):
    seen = []
    path = tmp_path / "deep" / "weights=1.pth"
    assert download_file(server.url, path, len(DATA), SHA256, lambda part: seen.append(part.read_bytes()), **HTTP) == SHA256
    assert path.read_bytes() == DATA and seen == [DATA] and left(path.parent) == ["weights=1.pth"]


def test_a_lost_connection_is_resumed(server, tmp_path):
    server.breaks = [BLOCK_BYTES + 5, 100_000]
    assert download_file(server.url, tmp_path / "w", 10**7, **HTTP) == SHA256
    assert server.asked == [(None, None), (f"bytes={BLOCK_BYTES + 5}-", '"one"'), (f"bytes={BLOCK_BYTES + 100_005}-", '"one"')]
    assert left(tmp_path) == ["w"]


def test_a_connection_lost_at_every_try_keeps_the_part_for_the_next_call(server, tmp_path):
    server.breaks = [1000, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="1000 bytes are kept in .*; the next call resumes the download"):
        download_file(server.url, tmp_path / "w", 10**7, **HTTP)
    assert not (tmp_path / "w").exists() and (tmp_path / ".w.part").stat().st_size == 1000
    server.asked.clear()
    assert download_file(server.url, tmp_path / "w", 10**7, **HTTP) == SHA256
    assert server.asked == [("bytes=1000-", '"one"')]


def test_another_version_is_never_joined_to_the_old(server, tmp_path):
    server.breaks = [1000, 0, 0, 0, 0]
    with pytest.raises(DownloadError):
        download_file(server.url, tmp_path / "w", 10**7, **HTTP)
    server.data, server.etag = DATA[::-1], '"two"'
    download_file(server.url, tmp_path / "w", 10**7, **HTTP)
    assert (tmp_path / "w").read_bytes() == DATA[::-1]


@pytest.mark.parametrize(("etag", "sha256", "resumed"), [(None, None, False), ('W/"weak"', None, False), (None, SHA256, True)])
def test_without_a_version_only_a_known_checksum_allows_resuming(etag, sha256, resumed, server, tmp_path):
    server.etag, server.breaks = etag, [1000]
    assert download_file(server.url, tmp_path / "w", 10**7, sha256, **HTTP) == SHA256
    assert server.asked[1] == ("bytes=1000-" if resumed else None, None)


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.breaks, server.ranges = [1000], False
    assert download_file(server.url, tmp_path / "w", 10**7, **HTTP) == SHA256


def test_a_part_that_is_longer_than_the_file_starts_over(server, tmp_path):
    (tmp_path / ".w.part").write_bytes(DATA + b"more")
    assert download_file(server.url, tmp_path / "w", 10**7, SHA256, **HTTP) == SHA256


@pytest.mark.parametrize("length", [True, False])
def test_too_long_is_refused(length, server, tmp_path):
    server.length = length
    with pytest.raises(DownloadError, match=f"expected a file of at most 5000 bytes, found {len(DATA) if length else 'more'}"):
        download_file(server.url, tmp_path / "w", 5000, **HTTP)
    assert left(tmp_path) == []


def test_a_file_with_another_checksum_is_not_kept(server, tmp_path):
    with pytest.raises(DownloadError, match=f"expected a file with SHA-256 {'0' * 64}, found {SHA256}"):
        download_file(server.url, tmp_path / "w", 10**7, "0" * 64, **HTTP)
    assert left(tmp_path) == []

    def refuse(part):
        raise ValueError(f"{part}: no weights")

    with pytest.raises(ValueError, match="no weights"):
        download_file(server.url, tmp_path / "w", 10**7, SHA256, refuse, **HTTP)
    assert left(tmp_path) == []


def test_only_https_is_requested(server, tmp_path):
    with pytest.raises(DownloadError, match="expected an address that starts with https:"):
        download_file(server.url, tmp_path / "w", 10**7)
    server.to = "ftp://127.0.0.1/weights.pth"
    with pytest.raises(DownloadError, match="ftp://127.0.0.1/weights.pth: expected an address that starts with http"):
        download_file(server.url, tmp_path / "w", 10**7, **HTTP)
    assert len(server.asked) == 1


@pytest.mark.parametrize(("status", "times"), [(404, 1), (403, 1), (503, 4), (429, 4)])
def test_transient_statuses_are_retried(status, times, server, tmp_path):
    server.status = status
    with pytest.raises(DownloadError, match=str(status)):
        download_file(server.url, tmp_path / "w", 10**7, **HTTP)
    assert len(server.asked) == times


def test_a_full_disk_is_reported_before_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setattr("handroll.acquire.http_file.free_bytes", lambda folder: 100)
    with pytest.raises(DownloadError, match=f"expected space for {len(DATA)} bytes, found 100"):
        download_file(server.url, tmp_path / "w", 10**7, **HTTP)
    assert left(tmp_path) == []


def test_a_slow_server_is_an_error_and_the_part_is_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr("handroll.acquire.limits.SLOW_S", 0.1)
    server.drip_s = 0.02
    with pytest.raises(DownloadError, match=r"expected at least 60000 bytes in 0.1 s, received \d+ bytes; \d+ bytes are kept"):
        download_file(f"{server.url}/a.pth", tmp_path / "a.pth", len(DATA), SHA256, **HTTP)
    assert DATA.startswith((tmp_path / ".a.pth.part").read_bytes())


def test_control_characters_of_a_server_are_escaped(server, tmp_path):
    server.status, server.reason = 404, "\x1b[2JGone"
    with pytest.raises(DownloadError, match=r"the server answered 404 \\x1b\[2JGone"):
        download_file(f"{server.url}/a.pth", tmp_path / "a.pth", len(DATA), SHA256, **HTTP)


def test_a_redirect_to_an_invalid_address(server, tmp_path):
    server.to = "https://[x/"
    with pytest.raises(DownloadError, match="the address, or that of a redirect, is invalid"):
        download_file(f"{server.url}/a.pth", tmp_path / "a.pth", len(DATA), SHA256, **HTTP)
