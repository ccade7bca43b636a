"""Make the tables that compare methods: reads scores and costs of all methods, and the published results; writes CSV, Markdown, HTML."""

import csv

from handroll.logs import step_log
from handroll.metrics.tables import benchmark_table, write_tables
from handroll.storage import read_json


def main(snakemake):
    """Write one row for each method, then the published results."""
    given, made = snakemake.input, snakemake.output
    with step_log(snakemake.log[0], snakemake.rule) as log:
        scores, costs = ([read_json(path) for path in paths] for paths in (given.scores, given.reports))
        with open(given.published, encoding="utf-8", newline="") as file:
            published = list(csv.DictReader(file, delimiter="\t"))
        table = benchmark_table(scores, costs, published)
        write_tables(table, snakemake.params.title, made.csv, made.markdown, made.html, snakemake.params.about)
        log.info("%d methods of the experiment, %d published results", len(scores), len(published))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
