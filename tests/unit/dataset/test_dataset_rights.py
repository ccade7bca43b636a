import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from handroll.dataset.rights import licence_key, withheld, withhold
from handroll.dataset.shards import write_shards
from handroll.tables import SHARD

RIGHTS = {"permissions": ["granted"], "licences": ["CC0-1.0", "CC-BY-4.0"]}


@pytest.mark.parametrize(
    ("spelling", "key"),
    [
        ("CC BY 4.0", "cc-by-4.0"),
        ("cc_by_4.0 ", "cc-by-4.0"),
        ("https://creativecommons.org/licenses/by/4.0/", "cc-by-4.0"),
        ("http://www.creativecommons.org/licenses/by-nc-sa/3.0/deed.de", "cc-by-nc-sa-3.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0-1.0"),
        ("CC0", "cc0-1.0"),
        ("CC BY", "cc-by"),
        ("", ""),
        (None, ""),
    ],
)
def test_spellings_of_a_licence(spelling, key):
    assert licence_key(spelling) == key


@pytest.mark.parametrize(
    ("permission", "licence", "reason"),
    [
        ("granted", None, None),
        ("granted", "all rights reserved", None),
        ("unknown", "cc by 4.0", None),
        ("unknown", "CC0-1.0", None),
        ("unknown", None, "permission_unknown"),
        ("unknown", "CC BY", "permission_unknown"),
        ("unknown", "CC-BY-NC-4.0", "permission_unknown"),
        ("refused", "CC0-1.0", "permission_refused"),
        ("refused", None, "permission_refused"),
    ],
)
def test_who_may_leave(permission, licence, reason):
    assert withheld(permission, licence, **RIGHTS) == reason


def test_refused_never_leaves_whatever_the_settings():
    assert withheld("refused", "CC0-1.0", ["granted", "unknown", "refused"], ["CC0-1.0"]) == "permission_refused"
    assert withheld("unknown", None, ["granted", "unknown"], []) is None
    # An empty entry of the list is no licence, so a row without one does not match it.
    assert withheld("unknown", "", ["granted"], [""]) == "permission_unknown"


def test_what_is_left_out_is_counted(clips, splits, records, tmp_path):
    rights = {("ann", "long"): ("unknown", "CC-BY-4.0"), ("bob", "long"): ("unknown", None), ("bob", "short"): ("refused", None)}
    kept, left_out = withhold(clips, rights, **RIGHTS)
    assert set(kept["subject"]) == {"ann"} and set(kept) == set(clips)
    # Windows of 30 s every 24 s: two of 70 s, which cover 54 s; the short video has none that is accepted.
    assert left_out == {"permission_unknown": {"videos": 1, "clips": 2, "seconds": 54.0}}
    write_shards(kept, splits, lambda *name: records[name], tmp_path)
    rows = [row for path in tmp_path.glob("*.parquet") for row in pq.read_table(path)["subject"].to_pylist()]
    assert set(rows) == {"ann"}
    json.dumps(left_out)


def test_nothing_to_leave_out(clips):
    kept, left_out = withhold(clips, dict.fromkeys(zip(clips["subject"], clips["video"], strict=True), ("granted", None)), **RIGHTS)
    assert left_out == {} and all(np.array_equal(kept[name], clips[name]) for name in ("start_s", "accepted"))


def test_no_pictures_leave_the_machine():
    """A shard's columns are numbers of the hands, notes, sound and words; the only bytes are those of the sound."""
    binary = {column.name for column in SHARD.columns if "binary" in str(column.arrow_type)}
    assert binary == {"audio"}
    assert not any(
        word in column.name for column in SHARD.columns for word in ("image", "frame_bytes", "picture", "thumbnail", "video_bytes")
    )
    integers = [column for column in SHARD.columns if column.varies and "uint8" in str(column.dtype)]
    assert integers == []
