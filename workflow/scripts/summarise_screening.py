"""Gather all verdicts: reads every screening.json; writes summary.tsv, one row a video."""

import json
from pathlib import Path

from handroll.logs import step_log
from handroll.screen.verdict import summary_tsv


def main(snakemake):
    """One row a video: usable for motion and dataset, reasons, every score."""
    with step_log(snakemake.log[0], snakemake.rule) as log:
        verdicts = [json.loads(Path(path).read_text(encoding="utf-8")) for path in snakemake.input.screening]
        Path(snakemake.output.summary).write_text(summary_tsv(verdicts), encoding="utf-8")
        log.info("%d of %d videos pass", sum(v["usable_for_dataset"] for v in verdicts), len(verdicts))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
