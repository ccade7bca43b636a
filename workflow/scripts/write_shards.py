"""Pack accepted clips: reads splits, clips, motion, notes, pedal, audio and info; writes Parquet shards and shards.json.

Columns: tables.SHARD. Clips without permission or licence to publish are left out. In the lists of inputs, item i belongs to video i.
"""

import json
from pathlib import Path

from handroll.camera import camera_from_metadata, extrinsics_from_metadata
from handroll.dataset.clip_content import VideoRecord
from handroll.dataset.rights import published_source, withhold
from handroll.dataset.shards import write_shards
from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import read_json, read_table
from handroll.tables import CLIPS, FINGERED_NOTES, MOTION, PEDAL, SPLITS, by_frame, join_rows


def open_video(files, rights):
    """Read the data of one video for the shards; `rights` is (permission, licence)."""
    motion, made = read_table(files["motion"], MOTION)
    notes, notes_metadata = read_table(files["notes"], FINGERED_NOTES)
    info, probe = (read_json(files[name]) for name in ("info", "probe"))
    return VideoRecord(
        motion=by_frame(motion),
        notes=notes,
        pedal=read_table(files["pedal"], PEDAL)[0],
        audio_delay_s=float(notes_metadata["audio_delay_s"]),
        audio_path=Path(files["audio"]) if Path(files["audio"]).stat().st_size else None,
        camera=camera_from_metadata(made),
        extrinsics=extrinsics_from_metadata(made),
        fps=probe["fps"],
        detector=made["detector"],
        pose_engine=f"{made['pose_engine']} {made['pose_engine_version']}",
        transcriber=notes_metadata["transcriber"],
        **dict(zip(("permission", "licence"), rights, strict=True)),
        source=published_source(info),
        source_sha256=info["sha256"],
        provenance={"motion": made, "notes": notes_metadata},
    )


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
        made = write_shards(clips, splits, lambda *name: open_video(*of_video[name]), *target, metadata, left_out)
        for shard in made["shards"]:
            log.info("%s: %d clips, %.1f MB", shard["name"], shard["rows"], shard["bytes"] / 1e6)
        log.info("left out: %s", json.dumps(left_out))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
