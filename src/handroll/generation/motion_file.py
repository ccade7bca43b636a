"""Table of the motions that a method generates for the windows of a benchmark."""

import pyarrow as pa

from handroll.tables import Column, Table

GENERATED = Table(
    "generated",
    "generated motion for windows of clips, in the order of windows, then samples",
    (
        Column("subject", pa.string(), "performer of the clip"),
        Column("video", pa.string(), "video of the clip"),
        Column("clip", pa.int32(), "number of the clip, as in the shards"),
        Column("first_frame", pa.int32(), "first frame of the window, at the benchmark's rate"),
        Column("sample", pa.int32(), "number of the motion among several for a window, from 0"),
        Column("position", pa.float32(), "positions of the hands, right first", "mm or m", (("frame", None), ("channel", 6))),
        Column("pose", pa.float32(), "rotations of the hands, right first", "rad", (("frame", None), ("channel", 96))),
    ),
)  # fmt: skip
