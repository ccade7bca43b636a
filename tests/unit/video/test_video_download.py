"""Fetching: links, downloads from a server of our own, and what happens when there is nothing to be had."""

import functools
import http.server
import threading

import numpy as np
import pytest

from handroll.provenance import file_sha256
from handroll.video import download
from handroll.video.download import DownloadFailed, fetch
from handroll.video.probe import probe


class Handler(http.server.SimpleHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        if self.path.startswith("/busy") or (self.path.startswith("/once-busy") and type(self).asked == 1):
            self.send_error(503)
        else:
            super().do_GET()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    Handler.asked = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def no_waiting(monkeypatch):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    return waits


def test_a_url_is_downloaded(encode, server, tmp_path):
    folder, url = server
    original = encode(times_s=np.arange(10) / 30)
    (folder / "piece.mp4").write_bytes(original.read_bytes())
    out = tmp_path / "out" / "video"
    info = fetch(f"{url}/piece.mp4", out)
    assert info["status"] == "ok" and info["kind"] == "url" and info["title"] == "piece" and info["extractor"] == "generic"
    assert info["sha256"] == file_sha256(original) and info["size_bytes"] == original.stat().st_size
    assert probe(out).n_frames == 10
    assert [p.name for p in out.parent.iterdir()] == ["video"]
    assert fetch(f"{url}/piece.mp4", out) == info


def test_a_url_that_is_gone_leaves_an_empty_file(server, tmp_path, no_waiting):
    _, url = server
    out = tmp_path / "video"
    info = fetch(f"{url}/none.mp4", out)
    assert info["status"] == "download_gone" and "404" in info["message"] and info["size_bytes"] == 0 and info["sha256"] is None
    assert out.read_bytes() == b"" and not no_waiting


def test_a_page_without_video_is_gone(server, tmp_path):
    folder, url = server
    (folder / "page.html").write_text("<html><body>No video here.</body></html>")
    assert fetch(f"{url}/page.html", tmp_path / "video")["status"] == "download_gone"


def test_a_busy_site_is_asked_again(encode, server, tmp_path, no_waiting):
    folder, url = server
    (folder / "once-busy.mp4").write_bytes(encode(times_s=np.arange(10) / 30).read_bytes())
    assert fetch(f"{url}/once-busy.mp4", tmp_path / "video")["status"] == "ok"
    assert len(no_waiting) == 1


def test_lasting_trouble_is_an_error_that_says_what_to_do(server, tmp_path, no_waiting):
    _, url = server
    with pytest.raises(DownloadFailed, match=r"503.*run again later"):
        fetch(f"{url}/busy.mp4", tmp_path / "video")
    assert len(no_waiting) == download.ATTEMPTS - 1
    assert all(0.5 <= wait / (download.BACK_OFF_S * 2**i) <= 1.5 for i, wait in enumerate(no_waiting))
    assert not (tmp_path / "video").exists()


def test_no_server_is_not_a_missing_video(tmp_path, no_waiting):
    with pytest.raises(DownloadFailed):
        fetch("http://127.0.0.1:9/video.mp4", tmp_path / "video")


@pytest.mark.parametrize("source", ["file:///etc/hostname", "FILE:/etc/hostname", "ftp://host/video.mp4", "data:video/mp4;base64,AA"])
def test_other_urls_are_refused(source, tmp_path):
    with pytest.raises(ValueError, match="http"):
        fetch(source, tmp_path / "video")
    assert not (tmp_path / "video").exists()


def test_a_local_file_is_linked(encode, tmp_path):
    original = encode(times_s=np.arange(10) / 30)
    out = tmp_path / "out" / "video"
    info = fetch(original.name, out, base_dir=tmp_path)
    assert out.is_symlink() and out.readlink() == original
    assert info["status"] == "ok" and info["kind"] == "local" and info["sha256"] == file_sha256(original)


def test_a_missing_or_empty_file_never_touches_an_earlier_link(encode, tmp_path):
    original = encode(times_s=np.arange(10) / 30)
    size = original.stat().st_size
    out = tmp_path / "out"
    fetch(str(original), out)
    assert fetch("none.mp4", out, base_dir=tmp_path)["status"] == "source_missing"
    assert out.stat().st_size == 0 and not out.is_symlink() and original.stat().st_size == size
    (tmp_path / "empty.mp4").touch()
    assert fetch("empty.mp4", out, base_dir=tmp_path)["status"] == "source_empty"


@pytest.mark.parametrize(
    ("sentence", "gone"),
    [
        ("[youtube] x: Private video. Sign in if you've been granted access to this video", True),
        ("[youtube] x: Video unavailable. This video has been removed by the uploader", True),
        ("[youtube] x: This video is not available", True),
        ("[youtube] x: Sign in to confirm you’re not a bot", False),
        ("[youtube] x: Unable to download API page: HTTP Error 429: Too Many Requests", False),
    ],
)
def test_what_sites_say(sentence, gone):
    from yt_dlp.utils import DownloadError, ExtractorError

    try:
        raise ExtractorError(sentence, expected=True)
    except ExtractorError as error:
        wrapped = DownloadError(f"ERROR: {error}", (type(error), error, None))
    assert download._is_gone(download._causes(wrapped)) is gone
