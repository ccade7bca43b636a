"""Downloads by yt-dlp from a local server that fails in many ways, and the status of each."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from handroll.acquire.back_off import Pace
from handroll.acquire.download import fetch
from handroll.acquire.limits import DiskFull, Limits
from handroll.media.probe import probe
from handroll.provenance import file_sha256

QUICK = Pace(tries=1, pause_s=0.0)


def leftovers(tmp_path):
    """Names of the files and folders beside the video."""
    return sorted(path.name for path in tmp_path.iterdir() if path.name not in ("video", "video.mp4"))


def partial_files(tmp_path):
    """Partial files of downloads, as a list."""
    return list((tmp_path / ".download").glob("*/*.part"))


def partial_bytes(tmp_path):
    """Size of the partial file; 0 if there is none."""
    return sum(path.stat().st_size for path in partial_files(tmp_path))


def assert_nothing_came(info, tmp_path, status, *, transient):
    assert (info["status"], info["transient"]) == (status, transient)
    assert (tmp_path / "video").read_bytes() == b"" and info["size_bytes"] == 0 and info["sha256"] is None
    assert os.access(tmp_path / "video", os.W_OK)


def test_a_good_file(site, clip, get, tmp_path, waits):
    site.answers["/piece.mp4"] = clip
    info = get(f"{site.url}/piece.mp4")
    out = tmp_path / "video"
    assert info["status"] == "ok" and not info["transient"] and info["kind"] == "url" and info["message"] == ""
    assert info["title"] == "piece" and info["extractor"] == "generic" and info["source"] == f"{site.url}/piece.mp4"
    assert out.read_bytes() == clip and info["size_bytes"] == len(clip) and info["sha256"] == file_sha256(out)
    assert probe(out).n_frames == 10
    assert stat.S_IMODE(out.stat().st_mode) == 0o444
    assert leftovers(tmp_path) == [] and waits == []


def test_fetching_again_gives_the_same_over_a_read_only_file(site, clip, get):
    site.answers["/piece.mp4"] = clip
    assert get(f"{site.url}/piece.mp4") == get(f"{site.url}/piece.mp4")


def test_a_slow_download(site, clip, get, tmp_path):
    site.answers["/slow.mp4"] = lambda handler, request: handler.send_file(clip, request, slow_s=0.005)
    assert get(f"{site.url}/slow.mp4")["status"] == "ok"
    assert (tmp_path / "video").read_bytes() == clip


def test_a_download_that_is_too_slow_is_stopped_and_kept(site, clip, get, tmp_path, waits, monkeypatch):
    monkeypatch.setattr("handroll.acquire.limits.SLOW_S", 0.1)
    site.answers["/drip.mp4"] = lambda handler, request: handler.send_file(clip, request, slow_s=0.03, step=1 << 10)
    info = get(f"{site.url}/drip.mp4")
    assert_nothing_came(info, tmp_path, "download_too_slow", transient=True)
    assert waits == [] and "expected at least 60000 bytes in 0.1 s" in info["message"]
    # The partial file is kept for the next run.
    monkeypatch.undo()
    site.answers["/drip.mp4"] = clip
    site.requests.clear()
    assert get(f"{site.url}/drip.mp4")["status"] == "ok" and (tmp_path / "video").read_bytes() == clip
    assert any(request.first_byte for request in site.gets("/drip.mp4"))


def test_control_characters_of_a_server_are_escaped(site, get, tmp_path, waits, caplog):
    """In the reason phrase of a status."""

    def answer(handler, _request):
        handler.wfile.write(b"HTTP/1.1 503 \x1b]0;owned\x07\x1b[2JNo\r\nContent-Length: 0\r\n\r\n")

    site.answers["/x.mp4"] = answer
    info = get(f"{site.url}/x.mp4")
    assert_nothing_came(info, tmp_path, "download_server_error", transient=True)
    assert r"\x1b]0;owned\x07\x1b[2JNo" in info["message"] and "\x1b" not in info["message"] + caplog.text


def test_a_length_that_is_not_a_number_is_a_reason(site, clip, get, tmp_path, waits):
    def answer(handler, _request):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: many\r\n\r\n" + clip)
        handler.close_connection = True

    site.answers["/many.mp4"] = answer
    assert_nothing_came(get(f"{site.url}/many.mp4"), tmp_path, "download_not_understood", transient=True)


def test_bandwidth_limit(site, clip, get):
    site.answers["/piece.mp4"] = clip
    started = time.monotonic()
    assert get(f"{site.url}/piece.mp4", pace=Pace(pause_s=0.0, max_rate_mb_s=1.0))["status"] == "ok"
    # 0.2 MB at 1 MB/s, and all else.
    assert time.monotonic() - started > 0.16


def test_a_lost_connection_resumes_by_range(site, clip, get, tmp_path, waits):
    def answer(handler, request):
        cut = len(site.gets("/cut.mp4")) < 3 and request.method == "GET"
        handler.send_file(clip, request, stop_after=120_000 if cut else None)

    site.answers["/cut.mp4"] = answer
    assert get(f"{site.url}/cut.mp4")["status"] == "ok"
    assert (tmp_path / "video").read_bytes() == clip
    # The block in which the connection was lost is requested again.
    (resumed_at,) = [request.first_byte for request in site.gets("/cut.mp4") if request.first_byte]
    assert 60_000 <= resumed_at <= 120_000 and len(waits) == 1


def test_a_connection_that_is_often_lost_is_retried_as_long_as_there_is_progress(site, clip, get, tmp_path, waits):
    site.answers["/cut.mp4"] = lambda handler, request: handler.send_file(clip, request, stop_after=20_000)
    assert get(f"{site.url}/cut.mp4")["status"] == "ok"
    assert (tmp_path / "video").read_bytes() == clip
    # At least ten pieces, though only four tries without progress are allowed; progress restarts the waits.
    assert len(waits) >= 9 and max(waits) <= 7.5


def test_the_next_run_resumes_a_failed_download(site, clip, get, tmp_path, waits):
    site.answers["/cut.mp4"] = lambda handler, request: handler.send_file(clip, request, stop_after=max(0, 90_000 - request.first_byte))
    assert_nothing_came(get(f"{site.url}/cut.mp4"), tmp_path, "download_incomplete", transient=True)
    kept = partial_bytes(tmp_path)
    assert leftovers(tmp_path) == [".download"] and 45_000 <= kept <= 90_000
    site.answers["/cut.mp4"] = clip
    site.requests.clear()
    assert get(f"{site.url}/cut.mp4")["status"] == "ok"
    assert (tmp_path / "video").read_bytes() == clip
    assert [request.first_byte for request in site.gets("/cut.mp4")][-1] == kept
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("more", [b"", b"of another file"])
def test_a_partial_file_that_is_as_long_as_the_file_or_longer(site, clip, get, tmp_path, waits, more):
    """As after a kill between the last byte and the renaming."""
    site.answers["/cut.mp4"] = lambda handler, request: handler.send_file(clip, request, stop_after=max(0, 199_000 - request.first_byte))
    get(f"{site.url}/cut.mp4")
    (partial,) = partial_files(tmp_path)
    partial.write_bytes(clip + more)
    site.answers["/cut.mp4"] = clip
    assert get(f"{site.url}/cut.mp4")["status"] == "ok"
    assert (tmp_path / "video").read_bytes() == clip and leftovers(tmp_path) == []


def test_a_partial_download_of_another_source_is_not_resumed(site, clip, get, tmp_path, waits):
    site.answers["/cut.mp4"] = lambda handler, request: handler.send_file(clip, request, stop_after=max(0, 90_000 - request.first_byte))
    get(f"{site.url}/cut.mp4")
    site.answers["/other.mp4"] = clip
    assert get(f"{site.url}/other.mp4")["status"] == "ok"
    assert all(request.first_byte == 0 for request in site.gets("/other.mp4"))


@pytest.mark.parametrize(("status", "name"), [(404, "gone"), (410, "gone"), (401, "needs_login"), (451, "geo_blocked")])
def test_final_statuses(site, get, tmp_path, waits, status, name):
    site.answers["/piece.mp4"] = lambda handler, _: handler.send_status(status)
    info = get(f"{site.url}/piece.mp4")
    assert_nothing_came(info, tmp_path, f"download_{name}", transient=False)
    assert str(status) in info["message"] and waits == [] and leftovers(tmp_path) == []


def test_too_many_requests_then_good(site, clip, get, waits):
    def answer(handler, request):
        if len(site.requests) == 1:
            handler.send_status(429, [("Retry-After", "42")])
        else:
            handler.send_file(clip, request)

    site.answers["/piece.mp4"] = answer
    assert get(f"{site.url}/piece.mp4")["status"] == "ok"
    assert waits == [42.0]


def test_server_errors_three_times_then_good(site, clip, get, waits):
    site.answers["/piece.mp4"] = lambda handler, request: (
        handler.send_status(500) if len(site.requests) <= 3 else handler.send_file(clip, request)
    )
    assert get(f"{site.url}/piece.mp4")["status"] == "ok"
    assert len(waits) == 3 and all(0.5 <= wait / (5.0 * 2**i) <= 1.5 for i, wait in enumerate(waits))


@pytest.mark.parametrize(
    ("status", "headers", "name", "tries"),
    [
        (429, [], "throttled", 4),
        (412, [], "throttled", 4),
        (503, [("Retry-After", "1")], "server_error", 4),
        (403, [], "forbidden", 4),
        # The site asks for more than the maximum wait: left for the next run at once.
        (429, [("Retry-After", "3600")], "throttled", 1),
    ],
)
def test_a_transient_failure_at_every_try_is_left_for_the_next_run(site, get, tmp_path, waits, status, headers, name, tries):
    site.answers["/piece.mp4"] = lambda handler, _: handler.send_status(status, headers)
    assert_nothing_came(get(f"{site.url}/piece.mp4"), tmp_path, f"download_{name}", transient=True)
    assert len(site.requests) == tries and len(waits) == tries - 1
    assert leftovers(tmp_path) == []


def test_no_server(get, tmp_path, waits):
    assert_nothing_came(get("http://127.0.0.1:9/video.mp4"), tmp_path, "download_network", transient=True)
    assert len(waits) == 3


def test_wrong_length(site, clip, get, tmp_path, waits):
    site.answers["/long.mp4"] = lambda handler, request: handler.send_file(clip, request, length=2 * len(clip), ranges=False)
    info = get(f"{site.url}/long.mp4")
    assert_nothing_came(info, tmp_path, "download_incomplete", transient=True)
    assert len(waits) == 3


def test_a_page_without_a_video(site, get, tmp_path, waits):
    site.answers["/page"] = lambda handler, _: handler.send_page("<html><body>Nothing here.</body></html>")
    assert_nothing_came(get(f"{site.url}/page"), tmp_path, "download_not_a_video", transient=False)
    assert waits == [] and leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html><html><body>Please prove that you are human.</body></html>", "a web page"),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n", "a playlist"),
        (b"\x7fELF" + bytes(200), "a file of an unknown kind (204 bytes)"),
    ],
)
def test_a_page_in_place_of_a_video(site, get, tmp_path, waits, content, kind):
    """Headers and name are those of a video, the content is not."""
    site.answers["/piece.mp4"] = lambda handler, request: handler.send_file(b"\0" * 600 if request.method == "HEAD" else content, request)
    page = f'<html><head><meta property="og:video" content="{site.url}/piece.mp4"><title>A piece</title></head></html>'
    site.answers["/watch"] = lambda handler, _: handler.send_page(page)
    info = get(f"{site.url}/watch")
    assert_nothing_came(info, tmp_path, "download_not_a_video", transient=False)
    assert kind in info["message"] and info["title"] == "A piece" and leftovers(tmp_path) == []


def endless(head):
    def answer(handler, request):
        handler.send_response(200)
        handler.send_header("Content-Type", "video/mp4")
        handler.end_headers()
        handler.wfile.write(head)
        while request.method == "GET":
            handler.wfile.write(bytes(1 << 16))

    return answer


def test_an_endless_stream_ends_at_the_size_limit(site, clip, get, tmp_path, waits):
    site.answers["/endless.mp4"] = endless(clip)
    info = get(f"{site.url}/endless.mp4", limits=Limits(max_size_gb=0.01))
    assert_nothing_came(info, tmp_path, "download_too_large", transient=False)
    assert "acquire.max_size_gb" in info["message"] and waits == [] and leftovers(tmp_path) == []


def test_a_reported_size_above_the_limit_stops_the_download_early(site, clip, get, tmp_path, waits):
    site.answers["/large.mp4"] = lambda handler, request: handler.send_file(clip, request, length=10**12)
    info = get(f"{site.url}/large.mp4", limits=Limits(max_size_gb=1.0))
    assert_nothing_came(info, tmp_path, "download_too_large", transient=False)
    assert len(site.requests) <= 3


def redirect(place):
    return lambda handler, _: handler.send_status(302, [("Location", place)])


def test_a_redirect_within_the_site(site, clip, get, tmp_path):
    site.answers |= {"/old.mp4": redirect("/new.mp4"), "/new.mp4": clip}
    assert get(f"{site.url}/old.mp4")["status"] == "ok"
    assert (tmp_path / "video").read_bytes() == clip


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/x.mp4", "data:video/mp4;base64,AAAA"])
def test_a_redirect_to_a_file(site, get, tmp_path, waits, place):
    site.answers["/video.mp4"] = redirect(place)
    info = get(f"{site.url}/video.mp4", pace=QUICK)
    assert info["status"] != "ok" and (tmp_path / "video").read_bytes() == b""


def test_by_a_proxy(site, clip, get, tmp_path, waits, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, site.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    site.answers["http://videos.invalid/piece.mp4"] = clip
    assert get("http://videos.invalid/piece.mp4")["status"] == "ok" and (tmp_path / "video").read_bytes() == clip


def test_a_page_that_names_a_local_file(site, get, tmp_path, waits):
    page = '<html><meta property="og:video" content="file:///etc/hostname"></html>'
    site.answers["/watch"] = lambda handler, _: handler.send_page(page)
    info = get(f"{site.url}/watch", pace=QUICK)
    assert info["status"] != "ok" and (tmp_path / "video").read_bytes() == b""


def test_a_stream_whose_part_is_a_local_file(site, encode, get, tmp_path, waits):
    secret = encode("secret.ts", times_s=np.arange(10) / 30)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret.as_uri()}\n#EXT-X-ENDLIST\n"
    site.answers["/list.m3u8"] = lambda handler, request: handler.send_file(
        playlist.encode(), request, kind="application/vnd.apple.mpegurl"
    )
    info = get(f"{site.url}/list.m3u8", pace=QUICK)
    assert info["status"] != "ok" and (tmp_path / "video").read_bytes() == b""


def test_a_stream_that_yt_dlp_leaves_to_ffmpeg_ends_at_the_size_limit(site, encode, get, tmp_path, waits):
    site.answers["/1.ts"] = encode("1.ts", times_s=np.arange(60) / 30).read_bytes()
    parts = "#EXTINF:2,\n1.ts\n" * 3000
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=SAMPLE-AES-CTR\n{parts}#EXT-X-ENDLIST\n"
    site.answers["/list.m3u8"] = lambda handler, request: handler.send_file(
        playlist.encode(), request, kind="application/vnd.apple.mpegurl"
    )
    info = get(f"{site.url}/list.m3u8", limits=Limits(max_size_gb=2e-5))
    assert_nothing_came(info, tmp_path, "download_too_large", transient=False)
    assert len(site.gets("/1.ts")) < 3000


def test_a_stream_in_fragments(site, get, encode, tmp_path, waits):
    parts = [encode(f"{n}.ts", times_s=np.arange(10) / 30, first_s=n).read_bytes() for n in (1, 2)]
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1.0,", "1.ts", "#EXTINF:1.0,", "2.ts", "#EXT-X-ENDLIST"]
    site.answers |= {"/1.ts": parts[0], "/2.ts": parts[1]}
    site.answers["/list.m3u8"] = lambda handler, request: handler.send_file(
        "\n".join(lines).encode(), request, kind="application/vnd.apple.mpegurl"
    )
    assert get(f"{site.url}/list.m3u8")["status"] == "ok"
    found = probe(tmp_path / "video")
    # FFmpeg may lose a frame where it joins the parts.
    assert found.n_frames >= 18 and found.duration_s > 1.2
    # A missing fragment is not skipped.
    del site.answers["/2.ts"]
    assert get(f"{site.url}/list.m3u8", pace=QUICK)["status"] == "download_incomplete"


def test_separate_video_and_audio_are_merged(site, get, encode, click_track, tmp_path):
    times_s = np.arange(30) / 30
    site.answers["/picture.mp4"] = encode("picture.mp4", times_s=times_s).read_bytes()
    site.answers["/sound.m4a"] = encode("sound.m4a", sound=(click_track(44100, 1.0, [0.5]), 44100)).read_bytes()
    manifest = """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S"><Period>
    <AdaptationSet mimeType="video/mp4"><Representation id="p" codecs="avc1.64000a" width="64" height="48" bandwidth="9">
    <BaseURL>picture.mp4</BaseURL></Representation></AdaptationSet><AdaptationSet mimeType="audio/mp4">
    <Representation id="s" codecs="mp4a.40.2" bandwidth="9"><BaseURL>sound.m4a</BaseURL></Representation></AdaptationSet></Period></MPD>"""
    site.answers["/both.mpd"] = lambda handler, request: handler.send_file(manifest.encode(), request, kind="application/dash+xml")
    info = get(f"{site.url}/both.mpd")
    found = probe(tmp_path / "video")
    assert info["status"] == "ok" and found.has_audio and found.n_frames == 30 and found.problems == ()
    assert len(site.gets("/picture.mp4")) == len(site.gets("/sound.m4a")) == 1


PAGE = '<html><head><title>A piece</title><script type="application/ld+json">{}</script></head></html>'
VIDEO = '{{"@context": "https://schema.org", "@type": "VideoObject", "name": "A piece", "contentUrl": "{url}", "duration": "PT{seconds}S"}}'


@pytest.mark.parametrize(("seconds", "status"), [(20, "too_short"), (7201, "too_long"), (60, "download_shortened")])
def test_a_duration_that_the_site_reports(site, clip, get, tmp_path, waits, seconds, status):
    site.answers["/piece.mp4"] = clip
    text = PAGE.format(VIDEO.format(url=f"{site.url}/piece.mp4", seconds=seconds))
    site.answers["/watch"] = lambda handler, _: handler.send_page(text)
    info = get(f"{site.url}/watch", limits=Limits(min_s=30.0, max_s=7200.0))
    assert_nothing_came(info, tmp_path, status, transient=False)
    assert info["duration_s"] == seconds and info["title"] == "A piece" and str(seconds) in info["message"]
    # One request for the first bytes, and one for the download, except of a video that the page reports as too short or too long.
    assert len(site.gets("/piece.mp4")) == (2 if status == "download_shortened" else 1)


def test_a_list_of_videos_is_not_taken_for_one(site, clip, get, tmp_path, waits):
    items = "".join(f"<item><title>{n}</title><link>{site.url}/{n}.mp4</link></item>" for n in range(3))
    feed = f'<?xml version="1.0"?><rss version="2.0"><channel><title>All</title>{items}</channel></rss>'
    site.answers["/feed"] = lambda handler, request: handler.send_file(feed.encode(), request, kind="application/rss+xml")
    site.answers |= {f"/{n}.mp4": clip for n in range(3)}
    info = get(f"{site.url}/feed")
    assert_nothing_came(info, tmp_path, "download_is_a_list", transient=False)
    assert f"handroll list {site.url}/feed" in info["message"] and not site.gets("/0.mp4")


SCRIPT = """
import sys
from handroll.acquire.back_off import Pace
from handroll.acquire.download import fetch
print(fetch(sys.argv[1], sys.argv[2], pace=Pace(pause_s=0.0))["status"])
"""


def test_a_killed_download_is_resumed(site, clip, get, tmp_path):
    site.answers["/slow.mp4"] = lambda handler, request: handler.send_file(clip, request, slow_s=0.02)
    with subprocess.Popen([sys.executable, "-c", SCRIPT, f"{site.url}/slow.mp4", str(tmp_path / "video")]) as process:
        deadline = time.monotonic() + 20
        while partial_bytes(tmp_path) <= 30_000 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    kept = partial_bytes(tmp_path)
    assert 30_000 < kept < len(clip) and not (tmp_path / "video").exists()
    site.requests.clear()
    site.answers["/slow.mp4"] = lambda handler, request: handler.send_file(clip, request)
    assert get(f"{site.url}/slow.mp4")["status"] == "ok"
    assert (tmp_path / "video").read_bytes() == clip
    assert [request.first_byte for request in site.gets("/slow.mp4")][-1] == kept and leftovers(tmp_path) == []


def test_too_little_disk_space_fails_before_any_request(site, clip, get, tmp_path):
    site.answers["/piece.mp4"] = clip
    with pytest.raises(DiskFull, match=r"reserve of 1e\+09 GB \(acquire.min_free_gb\).*free some disk space and run again"):
        get(f"{site.url}/piece.mp4", limits=Limits(min_free_gb=1e9))
    assert site.requests == [] and not (tmp_path / "video").exists()


def test_a_download_on_a_full_disk_is_resumed(site, clip, get, tmp_path, monkeypatch):
    from handroll.acquire import limits

    site.answers["/piece.mp4"] = lambda handler, request: handler.send_file(clip, request, slow_s=0.001)
    monkeypatch.setattr(limits, "free_bytes", lambda _: 10**9 - partial_bytes(tmp_path))
    with pytest.raises(DiskFull, match="free some disk space and run again"):
        get(f"{site.url}/piece.mp4", limits=Limits(min_free_gb=1.0 - 5e-5))
    kept = partial_bytes(tmp_path)
    assert 40_000 < kept < len(clip)
    monkeypatch.undo()
    assert get(f"{site.url}/piece.mp4")["status"] == "ok" and (tmp_path / "video").read_bytes() == clip
    assert [request.first_byte for request in site.gets("/piece.mp4")][-1] == kept


def test_a_folder_that_cannot_be_made(site, clip, tmp_path, pace):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        fetch(f"{site.url}/piece.mp4", tmp_path / "file" / "video", pace=pace)
    assert site.requests == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(site, clip, get, tmp_path):
    site.answers["/piece.mp4"] = clip
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError):
        get(f"{site.url}/piece.mp4")
    tmp_path.chmod(0o755)


COOKIE = "s3cr3t-of-the-session"


def cookie_file(tmp_path, value=COOKIE):
    path = tmp_path / "cookies.txt"
    path.write_text(f"# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t4102444800\tsession\t{value}\n", encoding="utf-8")
    return path


def test_cookies_are_sent_and_never_printed(site, clip, get, tmp_path, waits, monkeypatch, caplog, capfd):
    path = cookie_file(tmp_path)
    before = path.read_bytes()
    monkeypatch.setenv("HANDROLL_COOKIES", str(path))

    def answer(handler, request):
        if f"session={COOKIE}" not in request.headers.get("Cookie", ""):
            handler.send_status(401)
        elif len(site.requests) == 1:
            # The site repeats the cookie in its reason phrase, which is part of the message.
            handler.send_response(500, f"no room for {COOKIE}")
            handler.end_headers()
        else:
            handler.send_file(clip, request)

    site.answers["/piece.mp4"] = answer
    with caplog.at_level("DEBUG"):
        good = get(f"{site.url}/piece.mp4")
        site.answers["/piece.mp4"] = lambda handler, _: handler.send_response(403, f"go away, {COOKIE}") or handler.end_headers()
        bad = get(f"{site.url}/piece.mp4")
    assert good["status"] == "ok"
    assert bad["status"] == "download_forbidden" and "[cookie]" in bad["message"]
    shown = capfd.readouterr()
    assert COOKIE not in str(good) + str(bad) + caplog.text + shown.out + shown.err
    assert "[cookie]" in caplog.text
    assert path.read_bytes() == before
    path.unlink()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and COOKIE.encode() in file.read_bytes()]


def test_cookies_do_not_go_to_other_sites(site, serve, clip, get, tmp_path, waits, monkeypatch):
    monkeypatch.setenv("HANDROLL_COOKIES", str(cookie_file(tmp_path).rename(tmp_path / "c.txt")))
    other = serve("127.0.0.3")
    other.answers["/piece.mp4"] = clip
    assert get(f"{other.url}/piece.mp4")["status"] == "ok"
    assert all("Cookie" not in request.headers for request in other.requests)


def test_an_invalid_cookie_file(site, get, tmp_path, monkeypatch):
    from handroll.acquire.cookies import CookieFileError

    path = tmp_path / "cookies.txt"
    path.write_text(f'{{"session": "{COOKIE}"}}', encoding="utf-8")
    monkeypatch.setenv("HANDROLL_COOKIES", str(path))
    with pytest.raises(CookieFileError, match="Netscape format") as caught:
        get(f"{site.url}/piece.mp4")
    assert COOKIE not in str(caught.value) and site.requests == []


@pytest.mark.parametrize("source", ["file:///etc/hostname", "FILE:/etc/hostname", "ftp://host/video.mp4", "data:video/mp4;base64,AA"])
def test_other_urls_are_refused(source, get, tmp_path):
    info = get(source)
    assert_nothing_came(info, tmp_path, "download_refused_address", transient=False)
    assert "http" in info["message"]


@pytest.mark.parametrize("source", ["http://[::1", "http://host:port/x.mp4", "http:///x.mp4"])
def test_urls_that_cannot_be_read(source, get, tmp_path, waits):
    assert_nothing_came(get(source), tmp_path, "download_refused_address", transient=False)


def test_credentials_of_an_address_are_used_and_not_stored(site, clip, get, tmp_path):
    site.answers["/piece.mp4"] = clip
    info = get(site.url.replace("http://", "http://me:pass@") + "/piece.mp4")
    assert info["status"] == "ok" and info["source"] == f"{site.url}/piece.mp4" and "pass" not in str(info)
    assert site.requests[0].headers["Authorization"].startswith("Basic ")


def test_a_local_file_is_linked(encode, get, tmp_path):
    original = encode(times_s=np.arange(10) / 30)
    mode = original.stat().st_mode
    info = get(original.name, base_dir=tmp_path)
    out = tmp_path / "video"
    assert out.is_symlink() and str(out.readlink()) == original.name and original.stat().st_mode == mode
    assert info["status"] == "ok" and info["kind"] == "local" and info["sha256"] == file_sha256(original)


def test_a_link_is_valid_after_the_project_has_moved(encode, tmp_path):
    project, folder = tmp_path / "project", Path("results/acquire/a/1")
    (project / "media").mkdir(parents=True)
    original = encode(times_s=np.arange(10) / 30)
    original.rename(project / "media" / "v.mp4")
    fetch("media/v.mp4", project / folder / "video", base_dir=project)
    fetch(str(project / "media/v.mp4"), project / folder / "fixed", base_dir=project)
    project.rename(tmp_path / "moved")
    assert (tmp_path / "moved" / folder / "video").is_file() and not (tmp_path / "moved" / folder / "fixed").is_file()


def test_a_link_in_results_on_another_disk_is_absolute(encode, tmp_path):
    project = tmp_path / "project"
    (project / "media").mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    (project / "results").symlink_to(tmp_path / "disk")
    encode(times_s=np.arange(10) / 30).rename(project / "media" / "v.mp4")
    fetch("media/v.mp4", project / "results" / "video", base_dir=project)
    assert (tmp_path / "disk" / "video").readlink() == project / "media" / "v.mp4"


def test_a_missing_or_empty_file_never_changes_an_earlier_source(encode, get, tmp_path):
    original = encode(times_s=np.arange(10) / 30)
    size = original.stat().st_size
    out = tmp_path / "video"
    get(str(original))
    assert get("none.mp4", base_dir=tmp_path)["status"] == "source_missing"
    assert out.stat().st_size == 0 and not out.is_symlink() and original.stat().st_size == size
    (tmp_path / "empty.mp4").touch()
    assert get("empty.mp4", base_dir=tmp_path)["status"] == "source_empty"
    Path(out).unlink()
    assert get(".", base_dir=tmp_path)["status"] == "source_is_folder"
