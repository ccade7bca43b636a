from dataclasses import replace

import pytest

from handroll.acquire.candidates import COLUMNS, Candidate, merge_into_sheet, subject_id, video_id, write_candidates
from handroll.config.sheet import SheetError, Video, read_sheet

ONE = Candidate("ann", "aaa", "https://www.youtube.com/watch?v=aaaaaaaaaaa", title="One", duration_s=125.0)
TWO = Candidate("ann", "bbb", "https://www.bilibili.com/video/BV13x41117TL", title="Two", width_px=1920, height_px=1080)


@pytest.mark.parametrize(
    ("names", "subject"),
    [
        (("@Piano.X",), "Piano.X"),
        (("Ænn Müller / live!",), "nn-Muller-live"),
        (("钢琴", "1234567"), "1234567"),
        (("..", "--", "ann"), "ann"),
        ((), "unknown"),
    ],
)
def test_subjects_are_safe(names, subject):
    assert subject_id(names) == subject


def test_subjects_in_other_scripts_are_distinct():
    first, second = subject_id(("钢琴",)), subject_id(("ピアノ",))
    assert first != second and first.startswith("uploader-")
    Video(subject=first, video="x", source="y")


@pytest.mark.parametrize(
    ("name", "safe"), [("dQw4w9WgXcQ", "dQw4w9WgXcQ"), ("-abc_def-gh", "v-abc_def-gh"), ("_x", "v_x"), ("BV1x", "BV1x")]
)
def test_video_ids_are_safe(name, safe):
    assert video_id(name) == safe


@pytest.mark.parametrize(("first", "second"), [("a/b", "a:b"), ("../x", "..:x"), ("a" * 150, "a" * 151), ("視頻", "视频")])
def test_changed_video_ids_stay_different(first, second):
    assert video_id(first) != video_id(second)
    for name in (first, second):
        Video(subject="x", video=video_id(name), source="y")


def test_existing_rows_stay_byte_for_byte(tmp_path):
    sheet = tmp_path / "videos.tsv"
    before = b"# mine\r\nvideo\tsubject\tsource\tnotes\r\n\r\n"
    before += b'x\tann\tlocal.mp4\t  keep  "this" \xf0\x9f\x8e\xb9 \r\n# y\tann\tz\r\nz\tann\tother.mp4'
    sheet.write_bytes(before)
    sheet.chmod(0o640)
    assert [c.video for c in merge_into_sheet(sheet, [ONE, TWO])] == ["aaa", "bbb"]
    lines = sheet.read_bytes().split(b"\r\n")
    kept = before.split(b"\r\n")
    assert lines[0] == kept[0] and lines[1] == kept[1] + b"\ttitle\tduration_s\twidth_px\theight_px" and lines[2 : len(kept)] == kept[2:]
    assert lines[len(kept) :] == [
        b"aaa\tann\thttps://www.youtube.com/watch?v=aaaaaaaaaaa\t\tOne\t125",
        b"bbb\tann\thttps://www.bilibili.com/video/BV13x41117TL\t\tTwo\t\t1920\t1080",
        b"",
    ]
    assert sheet.stat().st_mode & 0o777 == 0o640 and [path.name for path in tmp_path.iterdir()] == ["videos.tsv"]
    rows = read_sheet(sheet)
    assert [row.video for row in rows] == ["x", "z", "aaa", "bbb"] and rows[3].height_px == 1080


def test_a_byte_order_mark_and_a_link_are_kept(tmp_path):
    real, sheet = tmp_path / "real.tsv", tmp_path / "videos.tsv"
    real.write_bytes(b"\xef\xbb\xbfsubject\tvideo\tsource\n")
    sheet.symlink_to(real)
    merge_into_sheet(sheet, [ONE])
    assert sheet.is_symlink() and real.read_bytes().startswith(b"\xef\xbb\xbfsubject\tvideo\tsource\ttitle") and len(read_sheet(sheet)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "https://youtu.be/aaaaaaaaaaa?t=10",
        "http://m.youtube.com/watch?list=PL1&v=aaaaaaaaaaa",
        "https://www.youtube.com/shorts/aaaaaaaaaaa",
    ],
)
def test_a_video_under_another_address_is_not_added(tmp_path, source):
    sheet = tmp_path / "videos.tsv"
    sheet.write_text(f"subject\tvideo\tsource\nbob\tmine\t{source}\n", encoding="utf-8")
    before = sheet.read_bytes()
    assert merge_into_sheet(sheet, [ONE]) == [] and sheet.read_bytes() == before


def test_ids_in_use_get_a_number(tmp_path):
    sheet = tmp_path / "videos.tsv"
    sheet.write_text("subject\tvideo\tsource\nann\tAAA\tlocal.mp4\n", encoding="utf-8")
    others = [replace(ONE, source=f"https://x.org/{n}") for n in range(2)]
    assert [c.video for c in merge_into_sheet(sheet, [ONE, *others])] == ["aaa_2", "aaa_3", "aaa_4"]
    assert len(read_sheet(sheet)) == 4


def test_a_sheet_with_problems_is_not_touched(tmp_path):
    sheet = tmp_path / "videos.tsv"
    sheet.write_text("subject\tvideo\tsuorce\nann\tx\ty\n", encoding="utf-8")
    with pytest.raises(SheetError, match="did you mean source"):
        merge_into_sheet(sheet, [ONE])
    assert sheet.read_text(encoding="utf-8") == "subject\tvideo\tsuorce\nann\tx\ty\n"


def test_a_sheet_is_made_where_there_is_none(tmp_path):
    sheet = tmp_path / "config" / "videos.tsv"
    merge_into_sheet(sheet, [ONE])
    assert sheet.read_text(encoding="utf-8").splitlines()[0] == "subject\tvideo\tsource\toverride\tpermission\tlicence\ttitle\tduration_s"


def test_a_sheet_that_changes_during_the_merge_is_read_again(tmp_path, monkeypatch):
    from handroll.acquire import candidates

    sheet = tmp_path / "videos.tsv"
    sheet.write_text("subject\tvideo\tsource\n", encoding="utf-8")
    extended = candidates._append_rows

    def meanwhile(text, added):
        if "bob" not in text:
            sheet.write_text("subject\tvideo\tsource\nbob\tx\thttps://x.org/x\n", encoding="utf-8")
        return extended(text, added)

    monkeypatch.setattr(candidates, "_append_rows", meanwhile)
    merge_into_sheet(sheet, [ONE])
    assert [row.subject for row in read_sheet(sheet)] == ["bob", "ann"]


def test_candidates_are_a_sheet_with_all_columns(tmp_path):
    write_candidates(tmp_path / "candidates.tsv", [ONE, TWO])
    text = (tmp_path / "candidates.tsv").read_text(encoding="utf-8")
    assert text.splitlines()[0].split("\t") == list(COLUMNS) and len(read_sheet(tmp_path / "candidates.tsv")) == 2
    assert set(COLUMNS) <= set(Video.model_fields)


@pytest.mark.parametrize(
    ("title", "cell"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ('"=1+1"', '\'"=1+1"'),
        ('"an open quote', "'\"an open quote"),
        ("＝1+1", "'＝1+1"),
        ("\t\r\n@SUM(1)", "'@SUM(1)"),
        ("\u202e-1\x1b[2J", "'-1 [2J"),
        ('Étude "Winter Wind" = op. 25', 'Étude "Winter Wind" = op. 25'),
    ],
)
def test_no_title_is_a_formula_of_a_spreadsheet(title, cell):
    """A spreadsheet takes quotes around a cell off, and joins lines up to the end of a quote."""
    assert replace(ONE, title=title, uploader=title).cells()["title"] == cell == replace(ONE, uploader=title).cells()["uploader"]
