"""Parts of a download: waits, cookies, the speed check, and the choice of videos to fetch again."""

import pytest

from handroll.acquire.back_off import Pace, wait_s
from handroll.acquire.cookies import CookieFileError, Cookies, read_cookies
from handroll.acquire.limits import SpeedCheck
from handroll.acquire.refetch import OUTCOME, earlier_tries, limits_for, write_outcome
from handroll.acquire.status import status_table
from handroll.config.sheet import Video
from handroll.storage import read_table, write_table
from handroll.tables import STATUS


def middle(low, high):
    return (low + high) / 2


def test_waits_double_up_to_the_maximum():
    pace = Pace(back_off_s=5.0, max_wait_s=30.0)
    assert [wait_s(pace, failed, jitter=middle) for failed in (1, 2, 3, 4, 9)] == [5.0, 10.0, 20.0, 30.0, 30.0]


def test_a_wait_is_never_shorter_than_the_site_asks():
    pace = Pace(back_off_s=5.0, max_wait_s=30.0)
    assert wait_s(pace, 1, 12.0, middle) == 12.0 and wait_s(pace, 2, 1.0, middle) == 10.0 and wait_s(pace, 1, 31.0, middle) is None


def test_waits_are_random():
    waits = {wait_s(Pace(), 1) for _ in range(20)}
    assert len(waits) > 10 and all(2.5 <= wait <= 7.5 for wait in waits)


LINE = "x.org\tFALSE\t/\tFALSE\t0\tsession\t{}"


def test_cookies_are_read_and_redacted(tmp_path):
    path = tmp_path / "cookies.txt"
    lines = [
        "# Netscape HTTP Cookie File",
        LINE.format("long-secret"),
        "#HttpOnly_" + LINE.format("long-secret-too"),
        "broken\tline",
        LINE.format("1"),
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    cookies = read_cookies({"HANDROLL_COOKIES": str(path)})
    assert "long-secret-too" in cookies.text and "broken" not in cookies.text and "secret" not in repr(cookies)
    assert cookies.redact("got long-secret-too and long-secret, 1") == "got [cookie] and [cookie], 1"


def test_no_cookies():
    assert read_cookies({}) == read_cookies({"HANDROLL_COOKIES": ""}) == Cookies()


@pytest.mark.parametrize("text", ['{"a": "hidden-value"}', "hidden-value", ""])
def test_files_without_cookies(tmp_path, text):
    path = tmp_path / "cookies.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CookieFileError) as caught:
        read_cookies({"HANDROLL_COOKIES": str(path)})
    assert "hidden" not in str(caught.value)
    with pytest.raises(CookieFileError, match="No such file"):
        read_cookies({"HANDROLL_COOKIES": str(tmp_path / "none")})


def test_a_slow_transfer_is_detected_over_each_period(monkeypatch):
    """A pause before the transfer starts does not count."""
    now_s = [1000.0]
    monkeypatch.setattr("handroll.acquire.limits.time.monotonic", lambda: now_s[0])
    check = SpeedCheck(500)
    for seconds, done, slow in ((59.0, 500, False), (61.0, 60_500, False), (120.0, 60_501, False), (121.5, 120_499, True)):
        now_s[0] = 1000.0 + seconds
        assert bool(check.problem(done)) is slow, seconds
    assert check.problem(120_499) == "expected at least 60000 bytes in 60 s, received 59999 bytes"


LIMITS = {"min_s": 30.0, "max_s": 7200.0, "max_size_gb": 8.0}


def outcome(status, transient=False, duration_s=None, tries=1):
    return {"tries": tries, "status": status, "transient": transient, "duration_s": duration_s}


@pytest.mark.parametrize(
    ("info", "limits", "again"),
    [
        (outcome("ok"), LIMITS, False),
        (outcome("download_gone"), LIMITS, False),
        (outcome("download_throttled", transient=True), LIMITS, True),
        (outcome("too_short", duration_s=20.0), LIMITS, False),
        (outcome("too_short", duration_s=20.0), {**LIMITS, "min_s": 10.0}, True),
        (outcome("too_long", duration_s=9000.0), {**LIMITS, "min_s": 10.0}, False),
        (outcome("too_long", duration_s=9000.0), {**LIMITS, "max_s": 10000.0}, True),
        (outcome("download_too_large"), LIMITS, False),
        (outcome("download_too_large"), {**LIMITS, "max_size_gb": 9.0}, True),
        (outcome("ok"), {**LIMITS, "max_size_gb": 0.1}, False),
    ],
)
def test_which_videos_are_fetched_again(tmp_path, info, limits, again):
    assert earlier_tries(tmp_path, limits) == 0
    before = 3
    write_outcome(tmp_path, {**info, "tries": before + 1}, LIMITS)
    # The number that the job had stays, unless asking again can help.
    assert earlier_tries(tmp_path, limits) == before + again
    assert [path.name for path in tmp_path.iterdir()] == [OUTCOME]


def test_override_accept_also_accepts_the_length(tmp_path):
    accepted = limits_for(Video(subject="a", video="b", source="c", override="accept"), LIMITS)
    write_outcome(tmp_path, outcome("too_long", duration_s=1e5), LIMITS)
    assert earlier_tries(tmp_path, accepted) == 1 and accepted["max_size_gb"] == 8.0
    assert earlier_tries(tmp_path, limits_for(Video(subject="a", video="b", source="c"), LIMITS)) == 0


def test_status_has_a_row_a_video(tmp_path):
    info = {"source": "https://x.org/v", "status": "ok", "transient": False, "message": "", "size_bytes": 5, "sha256": "00", "title": None}
    table = status_table(
        [(("bob", "b"), {**info, "tries": 2, "format": "137"}), (("ann", "z"), {**info, "tries": 1, "sha256": None})],
        [("ann", "a", "https://me:pw@x.org/a", ["too_long", "low_resolution"])],
    )
    write_table(tmp_path / "status.parquet", STATUS, table)
    rows, _ = read_table(tmp_path / "status.parquet", STATUS)
    assert list(zip(rows["subject"], rows["video"], rows["status"], rows["tries"], strict=True)) == [
        ("ann", "a", "not_fetched", 0),
        ("ann", "z", "ok", 1),
        ("bob", "b", "ok", 2),
    ]
    assert rows["message"][0] == "too_long, low_resolution" and rows["source"][0] == "https://x.org/a" and rows["sha256"][1] == ""
    assert status_table([], [])["subject"].shape == (0,)


def test_a_damaged_outcome_is_ignored(tmp_path):
    (tmp_path / ".fetch.json").write_text('{"tries": 1, "sta', encoding="utf-8")
    assert earlier_tries(tmp_path, {}) == 0
