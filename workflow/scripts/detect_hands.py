"""Detect hands: reads the video, probe.json and survey.json; writes detections.parquet (tables.DETECTIONS).

The table has rows for every frame of the video, but the detector runs only in the usable segments. A rejected video gives an empty table.
"""

import json
from functools import partial

from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import read_json, write_table
from handroll.tables import DETECTIONS, by_row


def main(snakemake):
    """Detect hands in every frame of the usable segments, and assign left and right."""
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        columns, facts = DETECTIONS.empty(), {}
        if params.rejected:
            log.info("rejected: %s", ", ".join(params.rejected))
        else:
            from handroll.detection.hand_tracker import detect_hands, engine_info
            from handroll.media.frames import read_frames

            probe, survey = (read_json(path) for path in (given.probe, given.survey))
            settings = dict(params.settings)
            read = partial(read_frames, given.video, max_width_px=settings.pop("max_width_px"))
            hands = detect_hands(read, probe["width_px"], probe["height_px"], segments=survey["segments"], **settings)
            columns, engine = by_row(hands), engine_info()
            facts = {"detector": f"{engine['engine']} {engine['engine_version']}", "detector_models": json.dumps(engine)}
            log.info("%d hands in %d frames", columns["found"].sum(), len(hands["found"]))
        write_table(made.detections, DETECTIONS, columns, stamp(snakemake.rule, params.code, params.settings, **facts))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
