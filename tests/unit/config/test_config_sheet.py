import subprocess
import sys
from pathlib import Path

import pytest

from handroll.config.sheet import SheetError, read_sheet

ROOT = Path(__file__).resolve().parents[3]


def write(tmp_path, text):
    path = tmp_path / "videos.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_sheet_paths_are_relative_to_the_sheet(tmp_path):
    sheet = write(tmp_path, "# a comment\nsubject\tvideo\tsource\tmidi\tfocal_px\n\na\t1\tv.mp4\tv.mid\t1500\nb\t1\thttps://x.org/v\t\n")
    first, second = read_sheet(sheet)
    assert Path(first.source).resolve() == tmp_path / "v.mp4" and Path(first.midi).resolve() == tmp_path / "v.mid"
    assert first.focal_px == 1500
    assert second.source == "https://x.org/v" and second.midi is None and second.permission == "unknown"


@pytest.mark.parametrize(
    "spelling", ["media/v.mp4", "./media/v.mp4", "sub/../media/v.mp4", "{project}/media/v.mp4", "{project}/sub/../media/v.mp4"]
)
def test_a_path_is_the_same_however_it_is_spelt_and_wherever_the_project_is(tmp_path, monkeypatch, spelling):
    for place in (tmp_path / "here", tmp_path / "elsewhere" / "deeper"):
        project = place / "project"
        (project / "config").mkdir(parents=True)
        monkeypatch.chdir(project)
        cell = spelling.format(project=project)
        text = f"subject\tvideo\tsource\tmidi\na\t1\t{cell if cell.startswith('/') else f'../{cell}'}\t{cell}\n"
        (video,) = read_sheet(write(project / "config", text))
        assert (video.source, video.midi) == ("media/v.mp4", "media/v.mp4" if cell.startswith("/") else "config/media/v.mp4")


def test_a_path_out_of_the_project_moves_with_it_only_where_it_is_relative(tmp_path, monkeypatch):
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    rows = f"a\t1\t../media/v.mp4\na\t2\t{tmp_path}/media/../media/v.mp4\na\t3\ttake:1.mp4\n"
    assert [video.source for video in read_sheet(write(project, f"subject\tvideo\tsource\n{rows}"))] == [
        "../media/v.mp4",
        f"{tmp_path}/media/v.mp4",
        "./take:1.mp4",
    ]


def test_a_linked_folder_is_its_target(tmp_path, monkeypatch):
    (tmp_path / "disk" / "media").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "media").symlink_to(tmp_path / "disk" / "media")
    monkeypatch.chdir(tmp_path / "project")
    # `media/..` is the disk, as for every other program.
    (video,) = read_sheet(write(tmp_path / "project", "subject\tvideo\tsource\na\t1\tmedia/../v.mp4\n"))
    assert video.source == "../disk/v.mp4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subject\tvideo\nx\ty\n", "column 'source' is missing"),
        ("subject\tvideo\tsource\tvideo\n", "column 'video' occurs twice"),
        ("subject\tvideo\tsource\tlicense\n", "line 1: unknown column 'license'; did you mean licence?"),
        ("subject\tvideo\tsource\na\tb\tc\td\n", "line 2: expected 3 tab-separated cells, found 4"),
        ("subject\tvideo\tsource\n\na\tb\tc\na\tb\td\n", "line 4: subject a, video b is already in line 3"),
        ("subject\tvideo\tsource\na\t../b\tc\n", "line 2, column video: expected letters"),
        ("subject\tvideo\tsource\n..\tb\tc\n", "line 2, column subject: expected letters"),
        ("subject\tvideo\tsource\tsplit\na\tb\tc\tdev\n", "line 2, column split: input should be 'train'"),
        ("subject\tvideo\tsource\na\t\tc\n", "line 2, column video: expected a value"),
        ("subject\tvideo\tsource\toverride\na\tb\tc\tmaybe\n", "line 2, column override: input should be 'accept' or 'reject'"),
        ("subject\tvideo\tsource\tupload_date\na\tb\tc\t20200101\n", "line 2, column upload_date: expected a day as YYYY-MM-DD"),
        ("subject\tvideo\tsource\tduration_s\na\tb\tc\tlong\n", "line 2, column duration_s: input should be a valid number"),
        ("subject\tvideo\tsource\twidth_px\na\tb\tc\t0\n", "line 2, column width_px: input should be greater than or equal to 1"),
    ],
)
def test_bad_sheet(tmp_path, text, message):
    with pytest.raises(SheetError) as caught:
        read_sheet(write(tmp_path, text))
    assert message in str(caught.value)


def test_columns_from_a_listing(tmp_path):
    header = "subject\tvideo\tsource\ttitle\tuploader\tupload_date\tduration_s\twidth_px\theight_px\toverride"
    row = 'a\t1\thttps://x.org/v\tA\u2028 title, "quoted"\tAnn\t2020-03-03\t125.5\t1080\t1920\taccept'
    (video,) = read_sheet(write(tmp_path, f"{header}\r\n{row}\r\n"))
    assert (video.title, video.uploader, video.upload_date) == ('A\u2028 title, "quoted"', "Ann", "2020-03-03")
    assert (video.duration_s, video.width_px, video.height_px, video.override) == (125.5, 1080, 1920, "accept")


MARKED = "A0-front 102 655; A0-back 110 401; end-front 1820 650; end-back 1811 398"


def test_marked_keyboards_of_a_sheet(tmp_path):
    first, second = read_sheet(write(tmp_path, f"subject\tvideo\tsource\tkeyboard\na\t1\tv.mp4\t{MARKED}\na\t2\tw.mp4\t\n"))
    assert first.keyboard == MARKED and second.keyboard is None


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            MARKED.replace("end-back", "C4-left"),
            "expected KEY-front X Y or KEY-back X Y, as in 'C4-front 911 640', found 'C4-left 1811 398'",
        ),
        (MARKED.replace("A0-back", "C#4-back"), "expected C#4-front for a black key, found C#4-back"),
        (MARKED.replace("A0-back", "D8-back"), "expected keys A0 to C8, found D8"),
        ("A0-front 1 2", "expected at least 4 points, found 1 in 'A0-front 1 2'"),
    ],
)
def test_invalid_marked_keyboards(tmp_path, cell, message):
    with pytest.raises(SheetError) as caught:
        read_sheet(write(tmp_path, f"subject\tvideo\tsource\tkeyboard\na\t1\tv.mp4\t{cell}\n"))
    assert f"line 2, column keyboard: {message}" in str(caught.value)


def test_reading_a_sheet_needs_no_heavy_library(tmp_path):
    sheet = write(tmp_path, f"subject\tvideo\tsource\tkeyboard\na\t1\tv.mp4\t{MARKED}\n")
    read = f"from handroll.config.sheet import read_sheet; read_sheet({str(sheet)!r})"
    code = f"import sys; {read}; assert not {{'cv2', 'scipy'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sheet_of_the_demo_is_valid():
    videos = read_sheet(ROOT / "config" / "videos.tsv")
    assert len(videos) == 4
    assert {video.split for video in videos} == {"train", "valid", "test"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\t1\tv\0.mp4\t\t", r"line 2, column source: expected text without control characters, found 'v\\x00.mp4'"),
        ("a\t1\tv\x1b]0;x\x07.mp4\t\t", r"line 2, column source: expected text without control characters, found 'v\\x1b\]0;x\\x07.mp4'"),
        ("a\t1\tv.mp4\tt\x9b2Jx\t", r"line 2, column title: expected text without control characters, found 't\\x9b2Jx'"),
        ("a\t1\tv.mp4\t\tinf", "line 2, column focal_px: input should be a finite number; found 'inf'"),
    ],
)
def test_cells_with_control_characters_or_infinite_numbers_are_rejected(tmp_path, text, message):
    with pytest.raises(SheetError, match=message):
        read_sheet(write(tmp_path, f"subject\tvideo\tsource\ttitle\tfocal_px\n{text}\n"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_sheet_in_utf_16_is_reported(tmp_path, encoding):
    path = tmp_path / "videos.tsv"
    path.write_bytes("subject\tvideo\tsource\na\t1\tv.mp4\n".encode(encoding))
    with pytest.raises(SheetError, match="UTF-8 file, found UTF-16; save it as UTF-8"):
        read_sheet(path)


def test_the_line_of_another_encoding_is_reported(tmp_path):
    path = tmp_path / "videos.tsv"
    path.write_bytes("subject\tvideo\tsource\na\t1\tcafé.mp4\n".encode("latin-1"))
    with pytest.raises(SheetError, match="found the byte 0xe9 in line 2, which is not valid UTF-8; save it as UTF-8"):
        read_sheet(path)


def test_an_error_is_short_however_long_the_sheet_and_its_cells_are(tmp_path):
    with pytest.raises(SheetError, match=r"(?s)has 500 problem.*and 480 more problems$") as caught:
        read_sheet(write(tmp_path, "subject\tvideo\tsource\n" + f"{'x' * 100_000}\t1\tv.mp4\n" * 500))
    assert len(str(caught.value)) < 20 * 400
    with pytest.raises(SheetError, match="unknown column 'xx") as caught:
        read_sheet(write(tmp_path, f"subject\tvideo\tsource\t{'x' * 100_000}\n"))
    assert len(str(caught.value)) < 1000


def test_the_home_of_an_unknown_user_is_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (video,) = read_sheet(write(tmp_path, "subject\tvideo\tsource\na\t1\t~no_such_user/v.mp4\n"))
    assert video.source == "~no_such_user/v.mp4"


def test_a_path_with_a_zero_byte_is_no_sheet():
    with pytest.raises(SheetError, match=r"sheet a\\x00b: expected a tab-separated UTF-8 file, but it cannot be read: embedded null byte"):
        read_sheet("a\0b")
