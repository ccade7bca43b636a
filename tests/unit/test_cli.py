import pytest

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
