"""Screen a video: reads probe.json and detections.parquet; writes screening.json (scores, thresholds, verdict, reasons)."""

import json
from pathlib import Path

from handroll.logs import step_log
from handroll.schema import DETECTIONS, by_frame, read_table, write_json
from handroll.screen.verdict import screen


def main(snakemake):
    """Compare every score with its threshold."""
    wildcards = snakemake.wildcards
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(wildcards)}") as log:
        probe = json.loads(Path(snakemake.input.probe).read_text(encoding="utf-8"))
        detections, _ = read_table(snakemake.input.detections, DETECTIONS)
        verdict = screen(probe, by_frame(detections), snakemake.params.thresholds)
        write_json(snakemake.output.screening, {"subject": wildcards.subject, "video": wildcards.video, **verdict.to_dict()})
        log.info("%s", ", ".join(verdict.reasons) or "passes")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
