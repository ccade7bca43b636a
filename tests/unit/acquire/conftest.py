"""A local web server with configurable answers, and a list of the requests to it."""

import http.server
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from yt_dlp import YoutubeDL
from yt_dlp.extractor.generic import GenericIE

from handroll.acquire import download
from handroll.acquire.back_off import Pace


@dataclass
class Request:
    """A request to the server."""

    method: str
    path: str
    headers: dict

    @property
    def first_byte(self):
        """First byte of the requested range; 0 without a range."""
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])


@dataclass
class Site:
    """Answers of the server by path, and the requests to it.

    An answer is a callable (handler, request) that writes it, or bytes, which GET and HEAD return whole or by range.
    """

    answers: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    url: str = ""

    def gets(self, path):
        """GET requests for a path, in order."""
        return [request for request in self.requests if request.path == path and request.method == "GET"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        request = Request(self.command, self.path, dict(self.headers))
        self.site.requests.append(request)
        answer = self.site.answers.get(self.path)
        try:
            if answer is None:
                self.send_status(404)
            elif callable(answer):
                answer(self, request)
            else:
                self.send_file(answer, request)
        except ConnectionError:
            pass
        self.close_connection = True

    do_HEAD = do_GET

    def send_status(self, status, headers=()):
        """Send an answer without content."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, data, request, kind="video/mp4", length=None, stop_after=None, slow_s=0.0, step=1 << 12, etag=None, ranges=True):
        """Send a file from the requested byte on; `length`: reported length; `stop_after`: bytes after which the connection is lost."""
        matches = "If-Range" not in request.headers or request.headers["If-Range"] == etag
        first = request.first_byte if ranges and matches else 0
        rest = data[first:]
        if not rest:
            self.send_status(416, [("Content-Range", f"bytes */{len(data)}")])
            return
        self.send_response(206 if first else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(rest) if length is None else length))
        if etag:
            self.send_header("ETag", etag)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if request.method == "HEAD":
            return
        rest = rest[:stop_after]
        step = step if slow_s else len(rest) or 1
        for start in range(0, len(rest), step):
            self.wfile.write(rest[start : start + step])
            time.sleep(slow_s)

    def send_page(self, text):
        """Send a web page."""
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def _generic_extractor_only(monkeypatch):
    """Set up only yt-dlp's generic extractor, which serves local addresses; those of 1,800 sites would take 0.2 s a test."""
    monkeypatch.setattr(YoutubeDL, "add_default_info_extractors", lambda self: self.add_info_extractor(GenericIE(self)))


@pytest.fixture
def serve():
    """A function that starts a server at an address of the loopback network and gives its Site."""
    running = []

    def start(address="127.0.0.1"):
        site = Site()
        server = http.server.ThreadingHTTPServer((address, 0), type("Bound", (Handler,), {"site": site}))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        site.url = f"http://{address}:{server.server_port}"
        return site

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(serve):
    """A server at 127.0.0.1."""
    return serve()


@pytest.fixture
def clip(encode):
    """Bytes of a small MP4 file, with a box of noise behind it that makes it 200 kB."""
    data = encode(times_s=np.arange(10) / 30).read_bytes()
    noise = np.random.default_rng(0).bytes(200_000 - len(data) - 8)
    return data + (len(noise) + 8).to_bytes(4, "big") + b"free" + noise


@pytest.fixture
def pace():
    """A pace without pauses between requests."""
    return Pace(tries=4, back_off_s=5.0, max_wait_s=100.0, pause_s=0.0)


@pytest.fixture
def get(tmp_path, pace):
    """A function that fetches a URL to `tmp_path / "video"`."""

    def fetch(url, **options):
        return download.fetch(url, tmp_path / "video", **{"pace": pace, **options})

    return fetch


@pytest.fixture
def waits(monkeypatch):
    """Waits between tries (s), which are recorded and skipped."""
    noted = []
    monkeypatch.setattr(download, "wait", noted.append)
    return noted
