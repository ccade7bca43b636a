import numpy as np
import pytest

from handroll.dataset.splits import split_videos
from handroll.storage import to_arrow
from handroll.tables import SPLITS

RATIOS = {"train": 0.8, "valid": 0.1, "test": 0.1}


def names(count):
    return [(f"subject{i % 7}", f"video{i}", None) for i in range(count)]


def as_dict(splits):
    return dict(zip(zip(splits["subject"], splits["video"], strict=True), splits["split"], strict=True))


def test_a_known_video_keeps_its_split_from_release_to_release():
    splits = split_videos([("ann", "prelude", None), ("ann", "fugue", None), ("bob", "waltz", None)], RATIOS, seed=0)
    assert as_dict(splits) == {("ann", "fugue"): "train", ("ann", "prelude"): "test", ("bob", "waltz"): "test"}
    to_arrow(SPLITS, splits)


def test_shares_come_close_to_the_ratios():
    values, counts = np.unique(split_videos(names(4000), RATIOS, 0)["split"].astype(str), return_counts=True)
    shares = dict(zip(values, counts / 4000, strict=True))
    assert shares == pytest.approx(RATIOS, abs=0.02)


def test_ratios_are_relative_to_their_sum():
    assert as_dict(split_videos(names(100), RATIOS, 0)) == as_dict(split_videos(names(100), {k: 10 * v for k, v in RATIOS.items()}, 0))


def test_another_seed_gives_other_splits():
    assert as_dict(split_videos(names(100), RATIOS, 0)) != as_dict(split_videos(names(100), RATIOS, 1))


def test_a_split_without_ratio_gets_only_pinned_videos():
    splits = split_videos([*names(50), ("ann", "pinned", "test")], {"train": 1.0, "valid": 0.0, "test": 0.0}, 0)
    assert as_dict(splits).pop(("ann", "pinned")) == "test"
    assert set(splits["split"][~splits["pinned"]]) == {"train"}
    assert splits["pinned"].sum() == 1


@pytest.mark.parametrize(
    ("videos", "ratios", "message"),
    [
        ([("a", "b", None), ("a", "b", None)], RATIOS, "listed twice: a/b"),
        ([("a", "b", "dev")], RATIOS, "unknown split"),
        ([("a", "b", None)], {"train": 0.0}, "ratios"),
        ([("a", "b", None)], {"train": 2.0, "test": -1.0}, "ratios"),
        ([("a", "b", None)], {}, "ratios"),
    ],
)
def test_invalid_input_is_an_error(videos, ratios, message):
    with pytest.raises(ValueError, match=message):
        split_videos(videos, ratios, 0)
