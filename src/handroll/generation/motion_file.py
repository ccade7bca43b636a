"""Motions that a method gives for the windows of a benchmark: one table a method."""

import pyarrow as pa

from handroll.tables import Column, Table

GENERATED = Table(
    "generated",
    "a motion for a window of a clip: by window, then sample",
    (
        Column("subject", pa.string(), "performer of the clip"),
        Column("video", pa.string(), "video of the clip"),
        Column("clip", pa.int32(), "the clip, as in the shards"),
        Column("first_frame", pa.int32(), "first frame of the window, at the benchmark's rate"),
        Column("sample", pa.int32(), "of several motions for a window, from 0"),
        Column("place", pa.float32(), "places of the hands, right first", "mm or m", (("frame", None), ("channel", 6))),
        Column("pose", pa.float32(), "rotations of the hands, right first", "rad", (("frame", None), ("channel", 96))),
    ),
)  # fmt: skip
