"""Make the benchmark's tables: reads the scores of all methods and the published figures; writes CSV, Markdown and HTML."""

import csv
import json
from pathlib import Path

from handroll.logs import step_log
from handroll.metrics.tables import benchmark_table, write_tables


def main(snakemake):
    """Own rows first, published ones below."""
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    with step_log(snakemake.log[0], snakemake.rule) as log:
        scores = [json.loads(Path(path).read_text(encoding="utf-8")) for path in given.scores]
        with open(given.published, encoding="utf-8", newline="") as file:
            published = list(csv.DictReader(file, delimiter="\t"))
        table = benchmark_table(scores, published)
        write_tables(table, params.title, made.csv, made.markdown, made.html)
        log.info("%d rows: %s", len(table), ", ".join(params.methods))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
