"""Fetching in the workflow: the next run tries transient failures again, and nothing else."""

import http.server
import json
import threading
import time

import pyarrow.parquet as pq
import pytest

CONFIG = """\
acquire: {pause_s: 0.0, back_off_s: 0.05, tries: 2, max_size_gb: 0.001, min_free_gb: 0.0}
"""
TARGETS = ("summarise_acquire",)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `files` by path: bytes, or the status of a failure; `asked`: requested paths, in order.

    `/slow...` take a second; `most`: maximum number of simultaneous ones.
    """

    files, asked, lock, running, most = {}, [], threading.Lock(), 0, 0

    def do_GET(self):
        self.asked.append(self.path)
        found = self.files.get(self.path, 404)
        if self.path.startswith("/slow"):
            with self.lock:
                Handler.running += 1
                Handler.most = max(self.most, self.running)
            time.sleep(1.0)
            with self.lock:
                Handler.running -= 1
        if isinstance(found, int):
            self.send_error(found)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/rss+xml" if self.path == "/feed" else "video/mp4")
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(found)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def status(project):
    rows = pq.read_table(project.root / "results/acquire/status.parquet").to_pylist()
    return {row["video"]: (row["status"], row["transient"], row["tries"]) for row in rows}


@pytest.fixture(scope="module")
def done(project, site, small_videos):
    """The project after a run over a good file, a missing one, a busy site, a file that is too large, a local file and a rejected one."""
    video = small_videos[0].read_bytes()
    Handler.files |= {"/good.mp4": video, "/busy.mp4": 503, "/large.mp4": video + bytes(3_000_000)}
    rows = [f"anna\t{name}\t{site}/{name}.mp4\t" for name in ("good", "gone", "busy", "large")]
    rows += [f"anna\tlocal\t{small_videos[1]}\t", f"anna\trejected\t{site}/rejected.mp4\treject"]
    (project.root / "videos.tsv").write_text("subject\tvideo\tsource\toverride\n" + "\n".join(rows) + "\n", encoding="utf-8")
    with (project.root / "config" / "test.yaml").open("a", encoding="utf-8") as file:
        file.write(CONFIG)
    project.run(*TARGETS)
    return project


FIRST = {
    "good": ("ok", False, 1),
    "gone": ("download_gone", False, 1),
    "busy": ("download_server_error", True, 1),
    "large": ("download_too_large", False, 1),
    "local": ("ok", False, 1),
    "rejected": ("not_fetched", False, 0),
}


def test_every_row_of_the_sheet_has_a_status(done):
    assert status(done) == FIRST
    folder = done.root / "results/acquire/anna"
    assert (folder / "good/video").stat().st_mode & 0o222 == 0
    assert (folder / "local/video").is_symlink() and (folder / "local/video").resolve().stat().st_mode & 0o200
    assert (folder / "gone/video").stat().st_size == 0 and "/rejected.mp4" not in Handler.asked


def test_only_what_can_succeed_is_planned_again(done):
    assert done.planned(*TARGETS) == {"fetch_video": 1, "summarise_acquire": 1}
    # Another pace, and limits that turn no verdict, change nothing.
    assert done.planned(*TARGETS, "--config", "acquire={pause_s: 0.1, tries: 3, max_size_gb: 0.0005}") == {
        "fetch_video": 1,
        "summarise_acquire": 1,
    }
    assert done.planned(*TARGETS, "--config", "acquire={max_size_gb: 1.0}") == {"fetch_video": 2, "summarise_acquire": 1}
    assert done.planned(*TARGETS, "--config", "screening={duration: {min_s: 2.0}}") == {"fetch_video": 1, "summarise_acquire": 1}


def test_the_next_run_tries_again_until_it_succeeds(done, small_videos):
    Handler.asked.clear()
    done.run(*TARGETS)
    assert set(Handler.asked) == {"/busy.mp4"}
    assert status(done) == {**FIRST, "busy": ("download_server_error", True, 2)}
    Handler.files["/busy.mp4"] = small_videos[1].read_bytes()
    Handler.asked.clear()
    done.run(*TARGETS)
    assert set(Handler.asked) == {"/busy.mp4"}
    assert status(done) == {**FIRST, "busy": ("ok", False, 3)}
    assert (done.root / "results/acquire/anna/busy/video").read_bytes() == small_videos[1].read_bytes()
    Handler.asked.clear()
    assert done.planned(*TARGETS) == {}
    done.run(*TARGETS)
    assert Handler.asked == []


def test_tries_are_not_in_the_probe(done):
    info = json.loads((done.root / "results/acquire/anna/busy/info.json").read_text(encoding="utf-8"))
    assert info["tries"] == 3
    done.run("results/acquire/anna/busy/probe.json")
    assert "tries" not in json.loads((done.root / "results/acquire/anna/busy/probe.json").read_text(encoding="utf-8"))


def test_a_final_failure_is_tried_again_by_force(done):
    again = ("--forcerun", "results/acquire/anna/gone/info.json")
    assert done.planned(*TARGETS, *again)["fetch_video"] == done.planned(*TARGETS).get("fetch_video", 0) + 1
    Handler.asked.clear()
    done.run(*TARGETS, *again)
    assert "/gone.mp4" in Handler.asked and status(done)["gone"] == ("download_gone", False, 1)
    Handler.asked.clear()
    done.run(*TARGETS)
    assert "/gone.mp4" not in Handler.asked


def test_simultaneous_jobs_of_a_site_are_limited_by_the_profile(done, site, small_videos):
    done.edit("profiles/default/config.yaml", "other_site=4", "other_site=1")
    Handler.files |= {f"/slow{n}.mp4": small_videos[0].read_bytes() for n in range(3)}
    rows = "".join(f"anna\tslow{n}\t{site}/slow{n}.mp4\n" for n in range(3))
    (done.root / "videos.tsv").write_text("subject\tvideo\tsource\n" + rows, encoding="utf-8")
    done.run(*TARGETS, cores=3)
    assert {name: found[0] for name, found in status(done).items()} == {f"slow{n}": "ok" for n in range(3)}
    assert Handler.most == 1


def feed(site, *names):
    items = "".join(f"<item><title>Piece {name}</title><link>{site}/{name}.mp4</link></item>" for name in names)
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>Ann</title>{items}</channel></rss>'.encode()


def test_channels_are_listed_into_the_sheet_which_is_no_output_of_its_rule(done, site):
    sheet, listing = done.root / "videos.tsv", ("list_channels", "--forcerun", "list_channels")
    before = "# mine\nsubject\tvideo\tsource\nanna\tkept\tkept.mp4\n"
    sheet.write_text(before, encoding="utf-8")
    (done.root / "config" / "channels.tsv").write_text(f"url\tsubject\n{site}/feed\tanna\n", encoding="utf-8")
    Handler.files["/feed"] = feed(site, "new")
    done.run(*listing)
    assert sheet.read_text(encoding="utf-8") == before.replace("source\n", "source\ttitle\n") + f"anna\tnew\t{site}/new.mp4\tPiece new\n"
    Handler.files["/feed"] = feed(site, "newer", "new")
    done.run(*listing)
    assert [line.split("\t")[1] for line in sheet.read_text(encoding="utf-8").splitlines()[2:]] == ["kept", "new", "newer"]
    candidates = (done.root / "results/acquire/candidates.tsv").read_text(encoding="utf-8")
    assert [line.split("\t")[1] for line in candidates.splitlines()] == ["video", "newer", "new"]
    Handler.files["/feed"] = 404
    text = sheet.read_text(encoding="utf-8")
    failed = done.run(*listing, check=False)
    assert failed.returncode != 0 and "1 of 1 channels could not be listed" in failed.stdout and sheet.read_text(encoding="utf-8") == text
