"""Listing by yt-dlp from a local server, and adding the listed videos to the sheet."""

import pytest

from handroll.acquire import listing
from handroll.acquire.candidates import merge_into_sheet
from handroll.acquire.channels import Channel, ListingFailed, list_channels, read_channels
from handroll.acquire.listing import TOO_DEEP, entry_of, list_entries
from handroll.config.sheet import SheetError, read_sheet

ITEM = """<item><title>{title}</title><link>{link}</link><pubDate>{date}</pubDate>
<itunes:duration xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">{seconds}</itunes:duration></item>"""


def feed(*items, title="Ann plays"):
    return f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>{title}</title>{"".join(items)}</channel></rss>'


def item(site, name, title=None, seconds=125, date="Tue, 03 Mar 2020 10:00:00 GMT"):
    return ITEM.format(title=title or f"Piece {name}", link=f"{site.url}/{name}.mp4", date=date, seconds=seconds)


@pytest.fixture
def channel(site):
    """A feed of three videos; the returned function changes them."""

    def give(*items, title="Ann plays"):
        text = feed(*items, title=title).encode()
        site.answers["/feed"] = lambda handler, request: handler.send_file(text, request, kind="application/rss+xml")

    give(*(item(site, name) for name in ("one", "-two", "three")))
    return give


@pytest.fixture
def no_waits(monkeypatch):
    noted = []
    monkeypatch.setattr(listing, "wait", noted.append)
    return noted


def listed(site, pace, **row):
    return list_channels([Channel(url=f"{site.url}/feed", **row)], pace=pace).candidates


def test_a_feed_gives_rows_without_a_request_for_a_video(site, channel, pace, tmp_path):
    candidates = listed(site, pace)
    assert [(c.subject, c.video, c.source) for c in candidates] == [
        ("Ann-plays", "one", f"{site.url}/one.mp4"),
        ("Ann-plays", "v-two", f"{site.url}/-two.mp4"),
        ("Ann-plays", "three", f"{site.url}/three.mp4"),
    ]
    assert candidates[0].title == "Piece one" and candidates[0].duration_s == 125.0 and candidates[0].upload_date == "2020-03-03"
    assert {request.path for request in site.requests} == {"/feed"}
    merge_into_sheet(tmp_path / "videos.tsv", candidates)
    rows = read_sheet(tmp_path / "videos.tsv")
    assert [row.duration_s for row in rows] == [125.0] * 3 and rows[1].video == "v-two" and rows[0].permission == "unknown"


def test_values_of_the_sheet_of_channels_are_in_every_row(site, channel, pace):
    rows = listed(site, pace, subject="ann", permission="granted", licence="CC-BY-4.0")
    assert {(row.subject, row.permission, row.licence) for row in rows} == {("ann", "granted", "CC-BY-4.0")}


def test_a_list_ends_at_its_maximum(site, channel, pace):
    assert len(list_entries(f"{site.url}/feed", max_listed=2, pace=pace).entries) == 2


def test_a_single_video_is_a_list_of_one(site, clip, pace):
    site.answers["/piece.mp4"] = clip
    (entry,) = list_entries(f"{site.url}/piece.mp4", pace=pace).entries
    assert entry.url == f"{site.url}/piece.mp4" and entry.title == "piece"


def test_listing_again_adds_only_what_is_new(site, channel, pace, tmp_path):
    sheet = tmp_path / "videos.tsv"
    merge_into_sheet(sheet, listed(site, pace))
    text = sheet.read_text(encoding="utf-8").replace("Ann-plays\tthree", "ann\tfavourite")
    sheet.write_text(text, encoding="utf-8")
    channel(*(item(site, name) for name in ("four", "one", "three")))
    (added,) = merge_into_sheet(sheet, listed(site, pace))
    assert added.video == "four" and sheet.read_text(encoding="utf-8").startswith(text)
    stamp = sheet.stat().st_mtime_ns
    assert merge_into_sheet(sheet, listed(site, pace)) == [] and sheet.stat().st_mtime_ns == stamp


def test_a_busy_site_is_retried(site, channel, pace, no_waits):
    answer = site.answers["/feed"]
    site.answers["/feed"] = lambda handler, request: (
        handler.send_status(429, [("Retry-After", "30")]) if len(site.requests) == 1 else answer(handler, request)
    )
    found = list_entries(f"{site.url}/feed", pace=pace)
    assert len(found.entries) == 3 and found.failure is None and no_waits == [30.0]


def test_a_failed_channel_does_not_stop_others(site, channel, pace, no_waits):
    found = list_channels([Channel(url=f"{site.url}/gone"), Channel(url=f"{site.url}/feed")], pace=pace)
    assert len(found.candidates) == 3 and list(found.failed) == [f"{site.url}/gone"]
    with pytest.raises(ListingFailed, match=r"1 of 2 channels.*gone: download_gone.*list again later"):
        found.raise_if_failed()
    assert any("the video was removed" in line for line in found.report())
    list_channels([Channel(url=f"{site.url}/feed")], pace=pace).raise_if_failed()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/feed", "http://[::1"])
def test_other_addresses_are_refused(url, pace, no_waits):
    found = list_entries(url, pace=pace)
    assert found.failure.failure == "download_refused_address" and found.entries == [] and no_waits == []


HOSTILE = "a\tb &#10;c\u2028d\u202egpj.exe \x7f=1+1"


def test_titles_cannot_break_the_sheet(site, channel, pace, tmp_path):
    channel(item(site, "one", HOSTILE), item(site, "two", "=HYPERLINK(1)"), item(site, "three", "x" * 1000))
    merge_into_sheet(tmp_path / "videos.tsv", listed(site, pace))
    rows = read_sheet(tmp_path / "videos.tsv")
    assert [row.video for row in rows] == ["one", "two", "three"]
    assert rows[0].title == "a b c dgpj.exe =1+1" and rows[1].title == "'=HYPERLINK(1)" and len(rows[2].title) == 300


def test_entries_that_cannot_be_rows_are_counted(site, pace):
    found = listing.Found()
    videos = listing._videos_of(None, {"_type": "playlist", "entries": [None, {"id": "a", "title": "no address"}]}, {}, 3, found.skipped)
    assert [entry_of(*video) for video in videos] == [None]
    assert found.skipped == {"no description": 1}


class Sites:
    """The part of yt-dlp that nested lists need: pages by address, and extractors."""

    def __init__(self, pages):
        self.pages, self.asked = pages, []

    def extract_info(self, url, **_):
        self.asked.append(url)
        return self.pages[url]

    @staticmethod
    def get_info_extractor(key):
        class Extractor:
            @staticmethod
            def is_single_video(_):
                return {"Video": True, "Show": False}.get(key)

        return Extractor


def test_nested_lists_are_opened_to_a_maximum_depth():
    def link(name, key):
        return {"_type": "url", "url": f"https://x.org/{name}", "ie_key": key, "id": name}

    pages = {
        "https://x.org/shorts": {"_type": "playlist", "entries": [link("s1", "Video")]},
        "https://x.org/show": {"_type": "playlist", "uploader": "Bob", "entries": [link("e1", "Video"), link("deep", "Show")]},
        "https://x.org/deep": {"_type": "playlist", "entries": [link("e2", "Video"), link("deeper", "Show")]},
    }
    sites, skipped = Sites(pages), listing.Counter()
    top = {"_type": "playlist", "channel": "Ann", "entries": [link("v1", None), link("shorts", "SiteTab"), link("show", "Show")]}
    found = [entry_of(*video) for video in listing._videos_of(sites, top, {}, 2, skipped)]
    assert [entry.id for entry in found] == ["v1", "s1", "e1", "e2"] and skipped == {TOO_DEEP: 1}
    assert [entry.uploader for entry in found] == ["Ann", "Ann", "Bob", "Bob"]


def test_a_description_may_contain_anything():
    entry = entry_of(
        {"url": "https://x.org/v", "title": 3, "duration": "long", "width": -1, "height": 1e400, "timestamp": 1e30, "id": 5}, {}
    )
    assert (entry.title, entry.duration_s, entry.width_px, entry.height_px, entry.upload_date, entry.id) == (None,) * 6
    assert entry_of({"url": "javascript:alert(1)"}, {}) is None and entry_of({"url": "https://x.org/a b\n"}, {}) is None


def test_sheet_of_channels(tmp_path):
    path = tmp_path / "channels.tsv"
    path.write_text("# mine\nurl\tsubject\tpermission\nhttps://x.org/@ann\tann\tgranted\nhttps://x.org/@bob\n", encoding="utf-8")
    ann, bob = read_channels(path)
    assert (ann.subject, ann.permission, bob.subject, bob.permission) == ("ann", "granted", None, None)
    for line, problem in (
        ("file:///etc", "expected an http"),
        ("https://x.org\t../x", "column subject"),
        ("https://x.org\tx\tmaybe", "granted"),
    ):
        path.write_text(f"url\tsubject\tpermission\n{line}\n", encoding="utf-8")
        with pytest.raises(SheetError, match=problem):
            read_channels(path)
