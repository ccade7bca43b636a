import pytest

from handroll.config.sheet import SheetError, read_sheet
from handroll.run.own_sheet import add_videos, distinct_names, name_of


def test_names_are_safe_and_distinct():
    videos = ["a/My piece (2).mp4", "b/My piece (2).MOV", "b/my PIECE (2).mov", "../..mp4", "\u00fcn\u00ef.mp4", "\u97f3.mp4", "CON.mp4"]
    assert distinct_names(videos) == ["My_piece_2", "My_piece_2_2", "my_PIECE_2_3", "video", "uni", "video_2", "CON"]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://www.youtube.com/watch?v=dQw4w9WgXcQ", "youtube_dQw4w9WgXcQ"),
        ("https://youtu.be/-Qw4w9WgXc_?t=5", "youtube_-Qw4w9WgXc_"),
        ("https://www.bilibili.com/video/BV1xx411c7mD?p=2", "bilibili_BV1xx411c7mD_2"),
        ("https://www.bilibili.com/video/BV1xx411c7mD", "bilibili_BV1xx411c7mD"),
        ("https://x.org/watch?v=../1", "watch_.._1"),
        ("https://x.org/films/one.mp4?x=1", "one"),
        ("https://x.org/", "x.org"),
    ],
)
def test_addresses_are_named_by_site_and_video(address, name):
    assert name_of(address) == name


def test_a_second_run_keeps_the_rows_and_names_of_the_first(tmp_path):
    sheet = tmp_path / "videos.tsv"
    first = add_videos(sheet, ["/a/take.mp4", "https://www.youtube.com/watch?v=dQw4w9WgXcQ"])
    second = add_videos(sheet, ["/b/take.mp4", "/a/../a/take.mp4", "https://youtu.be/dQw4w9WgXcQ", "/b/take.mp4"])
    assert [row.video for row in first] == ["take", "youtube_dQw4w9WgXcQ"]
    assert [row.video for row in second] == ["take_2", "take", "youtube_dQw4w9WgXcQ"]
    rows = {row.video: row for row in read_sheet(sheet)}
    assert {name: row.source for name, row in rows.items()} == {
        "take": "/a/take.mp4",
        "youtube_dQw4w9WgXcQ": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "take_2": "/b/take.mp4",
    }
    assert {row.override for row in rows.values()} == {"accept"}


def test_verdict_and_midi_file_are_kept_in_the_sheet(tmp_path):
    sheet = tmp_path / "videos.tsv"
    add_videos(sheet, ["/a/take.mp4"], midis=["/a/take.mid"])
    sheet.write_text(sheet.read_text(encoding="utf-8").replace("accept", "reject"), encoding="utf-8")
    (row,) = add_videos(sheet, ["/a/take.mp4"])
    assert (row.override, row.midi) == ("reject", "/a/take.mid")


def test_given_names(tmp_path):
    sheet = tmp_path / "videos.tsv"
    (row,) = add_videos(sheet, ["/a/take.mp4"], ["morning"])
    assert row.video == "morning"
    for names, source, message in (
        (["Morning"], "/b/take.mp4", "the name belongs to /a/take.mp4"),
        (["evening"], "/a/take.mp4", "is in this output folder already, as morning"),
        (["../x"], "/b/take.mp4", "expected at most 80 letters"),
    ):
        with pytest.raises(SheetError, match=message):
            add_videos(sheet, [source], names)
    assert [row.video for row in read_sheet(sheet)] == ["morning"]


@pytest.mark.parametrize(
    "path", ["/a/ta\tke.mp4", "/a/take.mp4 ", "/a/ta\nke.mp4", "/a/\x1b]0;x\x07.mp4", "/a/\x9b2J.mp4", "/a/\udcff.mp4"]
)
def test_paths_that_a_sheet_cannot_contain(path, tmp_path):
    with pytest.raises(SheetError, match="rename the file"):
        add_videos(tmp_path / "videos.tsv", [path])
    assert not (tmp_path / "videos.tsv").exists()
