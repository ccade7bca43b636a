"""Measure a video file: reads it and info.json; writes probe.json (size, times, rotation, streams, problems)."""

import json
from pathlib import Path

from handroll.logs import step_log
from handroll.schema import write_json
from handroll.video.probe import failed_probe, probe


def main(snakemake):
    """Probe the container, or pass on why there is none."""
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        info = json.loads(Path(snakemake.input.info).read_text(encoding="utf-8"))
        found = probe(snakemake.input.video) if info["status"] == "ok" else failed_probe(info["status"], info["message"])
        write_json(snakemake.output.probe, found.to_dict())
        log.info("%s", found.message or f"{found.width_px}x{found.height_px}, {found.n_frames} frames in {found.duration_s:.1f} s")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
