import os

from handroll.run.future_dates import correct_future_dates

NOW_NS = 1_800_000_000_000_000_000
HOUR_NS = 3_600_000_000_000


def test_only_dates_in_the_future_change_and_keep_their_order(tmp_path):
    hours = {"old": -1, "first": 1, "second": 2, "twin": 2, "last": 48}
    source = tmp_path / "source.mp4"
    folder = tmp_path / "results"
    folder.mkdir()
    for path, hour in {source: 99, **{folder / name: hour for name, hour in hours.items()}}.items():
        path.touch()
        os.utime(path, ns=(NOW_NS, NOW_NS + hour * HOUR_NS))
    (folder / "video").symlink_to(source)
    os.utime(folder / "video", ns=(NOW_NS, NOW_NS + HOUR_NS), follow_symlinks=False)
    assert correct_future_dates(folder, NOW_NS) == 5
    found = {name: (folder / name).lstat().st_mtime for name in (*hours, "video")}
    assert found["old"] < found["first"] == found["video"] < found["second"] == found["twin"] < found["last"] < NOW_NS / 1e9
    # Somebody else's file is left alone.
    assert source.stat().st_mtime_ns == NOW_NS + 99 * HOUR_NS
    assert correct_future_dates(folder, NOW_NS) == 0
