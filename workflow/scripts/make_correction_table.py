"""Make the tables that compare methods which correct motion: reads the scores of all methods, and the published results; writes CSV,
Markdown, HTML."""

import csv

from handroll.logs import step_log
from handroll.metrics.correction_table import correction_rows, write_correction_tables
from handroll.storage import read_json


def main(snakemake):
    """Write one row for each method and frame rate, then the published results."""
    given, made = snakemake.input, snakemake.output
    with step_log(snakemake.log[0], snakemake.rule) as log:
        with open(given.published, encoding="utf-8", newline="") as file:
            published = list(csv.DictReader(file, delimiter="\t"))
        rows = correction_rows([read_json(path) for path in given.scores], published)
        write_correction_tables(rows, snakemake.params.title, made.csv, made.markdown, made.html, snakemake.params.about)
        log.info("%d rows of the experiment, %d published results", len(rows) - len(published), len(published))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
