import http.server
import threading

import pytest

from handroll.acquire.back_off import Pace
from handroll.cli import main, own_sheet, result_files, video_names
from handroll.sheet import read_sheet


def test_names_are_safe_and_distinct():
    videos = ["a/My piece (2).mp4", "b/My piece (2).MOV", "../..mp4", "https://x.org/watch.mp4?v=../1", "ünï.mp4", "CON.mp4"]
    names = video_names(videos)
    assert names == ["My_piece_2", "My_piece_2_2", "video", "watch", "n", "CON"]


def test_sheet_of_own_files_is_a_valid_sheet(tmp_path):
    videos = [str(tmp_path / "one two.mp4"), "https://x.org/v.mp4"]
    sheet = tmp_path / "videos.tsv"
    sheet.write_text(own_sheet(videos, video_names(videos)), encoding="utf-8")
    rows = read_sheet(sheet)
    assert [row.video for row in rows] == ["one_two", "v"]
    assert [row.source for row in rows] == videos


def test_missing_file_is_told_before_anything_runs(tmp_path, capsys):
    assert main(["run", str(tmp_path / "nowhere.mp4"), "--out", str(tmp_path / "out")]) == 2
    assert "nowhere.mp4" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_result_files_lie_below_the_folder_asked_for(tmp_path):
    assert all(path.is_relative_to(tmp_path) for path in result_files(tmp_path, "one").values())


def test_no_command_is_a_usage_error():
    with pytest.raises(SystemExit):
        main([])


FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>Ann plays</title>
<item><title>One</title><link>{url}/one.mp4</link></item><item><title>Two</title><link>{url}/two.mp4</link></item></channel></rss>"""


@pytest.fixture
def feed():
    """Address of a feed of two videos, on a server of our own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            data = FEED.format(url=f"http://127.0.0.1:{self.server.server_port}").encode()
            self.send_response(200 if self.path == "/feed" else 404)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/feed"
        server.shutdown()


@pytest.fixture
def no_pauses(monkeypatch):
    from handroll.acquire import listing

    monkeypatch.setattr(listing, "Pace", lambda: Pace(pause_s=0.0, tries=1))


def test_list_adds_to_the_sheet(feed, no_pauses, tmp_path, capsys):
    sheet = tmp_path / "videos.tsv"
    assert main(["list", feed, "--sheet", str(sheet), "--subject", "ann"]) == 0
    assert "2 new rows" in capsys.readouterr().out
    assert [(row.subject, row.video, row.title) for row in read_sheet(sheet)] == [("ann", "one", "One"), ("ann", "two", "Two")]
    assert main(["list", feed, "--sheet", str(sheet), "--most", "1"]) == 0
    assert "0 new rows" in capsys.readouterr().out
    assert main(["list", feed.replace("feed", "gone"), feed, "--sheet", str(sheet)]) == 1
    out = capsys.readouterr().out
    assert "gone: download_gone" in out and "2 videos stood there already" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["file:///etc/passwd"], "expected an http(s) address"), (["https://x.org", "--subject", "../x"], "should match pattern")],
)
def test_list_refuses_bad_arguments(arguments, message, tmp_path, capsys):
    assert main(["list", *arguments, "--sheet", str(tmp_path / "videos.tsv")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "videos.tsv").exists()


def test_list_leaves_a_bad_sheet_alone(feed, no_pauses, tmp_path, capsys):
    sheet = tmp_path / "videos.tsv"
    sheet.write_text("subject\tvideo\n", encoding="utf-8")
    assert main(["list", feed, "--sheet", str(sheet)]) == 2
    assert "column 'source' is missing" in capsys.readouterr().err and sheet.read_text(encoding="utf-8") == "subject\tvideo\n"
    with pytest.raises(SystemExit):
        main(["list", feed, "--most", "0"])
