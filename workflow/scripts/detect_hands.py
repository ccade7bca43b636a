"""Find hands: reads the video and probe.json; writes detections.parquet (schema.DETECTIONS), every frame, both hands.

A video that cannot be read gives an empty table.
"""

import json
from functools import partial
from pathlib import Path

from handroll.detect.mediapipe import detect_hands, engine_info
from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.schema import DETECTIONS, by_row, write_table
from handroll.video.frames import read_frames
from handroll.video.probe import Probe


def main(snakemake):
    """Detect in every frame, tell left from right, write."""
    params, wildcards = snakemake.params, snakemake.wildcards
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(wildcards)}") as log:
        probe = Probe.from_dict(json.loads(Path(snakemake.input.probe).read_text(encoding="utf-8")))
        columns = DETECTIONS.empty()
        if probe.readable:
            settings = dict(params.settings)
            read = partial(read_frames, snakemake.input.video, max_width_px=settings.pop("max_width_px"))
            columns = by_row(detect_hands(read, probe.width_px, probe.height_px, **settings))
            found = columns["found"].reshape(-1, 2)
            log.info("both hands in %.1f %% of %d frames", 100 * found.all(axis=1).mean() if len(found) else 0, len(found))
        engine = engine_info()
        facts = {"detector": f"{engine['engine']} {engine['engine_version']}", "detector_models": json.dumps(engine)}
        metadata = stamp(snakemake.rule, params.code, params.settings, **facts)
        write_table(snakemake.output.detections, DETECTIONS, columns, metadata)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
