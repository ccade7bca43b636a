"""Pack accepted clips: reads splits, clips, motion, notes, pedal, audio and info; writes Parquet shards and shards.json.

Columns: tables.SHARD. Clips without permission or licence to publish are left out. In the lists of inputs, item i belongs to video i.
"""

import json
from pathlib import Path

from handroll.dataset.clip_content import read_video_record
from handroll.dataset.rights import withhold
from handroll.dataset.shards import write_shards
from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import read_table
from handroll.tables import CLIPS, SPLITS, join_rows


def main(snakemake):
    """Collect all clips, read each video once, and write the shards."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], snakemake.rule) as log:
        splits, _ = read_table(given.splits, SPLITS)
        kinds = ("motion", "notes", "pedal", "audio", "info", "probe")
        files = (dict(zip(kinds, paths, strict=True)) for paths in zip(*(given[kind] for kind in kinds), strict=True))
        of_video = dict(zip(map(tuple, params.videos), zip(files, params.rights, strict=True), strict=True))
        clips = join_rows(CLIPS, [read_table(path, CLIPS)[0] for path in given.clips])
        clips, left_out = withhold(clips, {name: rights for name, (_, rights) in of_video.items()}, **params.allowed)
        target = (Path(snakemake.output.manifest).parent, round(params.settings["shard_mb"] * 1e6), params.settings["row_group_rows"])
        metadata = stamp(snakemake.rule, params.code, params.settings)
        made = write_shards(clips, splits, lambda *name: read_video_record(*of_video[name]), *target, metadata, left_out)
        for shard in made["shards"]:
            log.info("%s: %d clips, %.1f MB", shard["name"], shard["rows"], shard["bytes"] / 1e6)
        log.info("left out: %s", json.dumps(left_out))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
