import http.server
import os
import threading

import pytest

from handroll.acquire.back_off import Pace
from handroll.cli import main
from handroll.config.sheet import read_sheet


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/nowhere.mp4"], "no such file: {tmp}/nowhere.mp4; check the path"),
        (["{tmp}/one.mp4", "--midi", "{tmp}/nowhere.mid"], "no such file: {tmp}/nowhere.mid"),
        (
            ["{tmp}/one.mp4", "{tmp}/two.mp4", "--midi", "{tmp}/one.mp4"],
            "expected no --midi, or one for each of 2 videos in their order, found 1",
        ),
        (["{tmp}/one.mp4", "--configfile", "{tmp}/nowhere.yaml"], "no such file: {tmp}/nowhere.yaml"),
    ],
)
def test_run_rejects_wrong_arguments_before_anything_is_made(arguments, message, tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / f"{name}.mp4").touch()
    assert main(["run", *(text.format(tmp=tmp_path) for text in arguments), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert message.format(tmp=tmp_path) in said and len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_run_reports_an_invalid_configuration(tmp_path, capsys):
    (tmp_path / "one.mp4").touch()
    (tmp_path / "mine.yaml").write_text("motion: {hampel: {n_sigmas: 3}}\n", encoding="utf-8")
    assert main(["run", str(tmp_path / "one.mp4"), "--out", str(tmp_path / "out"), "--configfile", str(tmp_path / "mine.yaml")]) == 2
    assert "unknown key; did you mean n_sigma?" in capsys.readouterr().err


def test_run_reports_another_active_run(tmp_path, capsys, monkeypatch):
    from handroll.run import command

    monkeypatch.setattr(command, "LOCK_WAIT_S", 0.0)
    (tmp_path / "one.mp4").touch()
    (tmp_path / "out" / ".handroll").mkdir(parents=True)
    with command._lock_folder(tmp_path / "out"):
        assert main(["run", str(tmp_path / "one.mp4"), "--out", str(tmp_path / "out")]) == 2
    assert f"another run (process {os.getpid()}) is active in {tmp_path}/out; wait for it" in capsys.readouterr().err


def test_run_reports_an_unwritable_folder(tmp_path, capsys):
    (tmp_path / "one.mp4").touch()
    assert main(["run", str(tmp_path / "one.mp4"), "--out", str(tmp_path / "one.mp4" / "out")]) == 2
    assert "one.mp4/out: not a directory; choose another folder with --out" in capsys.readouterr().err


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
    assert main(["list", feed, "--sheet", str(sheet), "--max-listed", "1"]) == 0
    assert "0 new rows" in capsys.readouterr().out
    assert main(["list", feed.replace("feed", "gone"), feed, "--sheet", str(sheet)]) == 1
    out = capsys.readouterr().out
    assert "gone: The site reports that the video was removed" in out and "2 videos were in it already" in out


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
        main(["list", feed, "--max-listed", "0"])
