"""Collect the status of all downloads: reads every info.json; writes status.parquet (tables.STATUS), a row for each video of the sheet."""

from collections import Counter

from handroll.acquire.status import status_table
from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import read_json, write_table
from handroll.tables import STATUS


def main(snakemake):
    """Write the table, and log the number of videos by status."""
    params = snakemake.params
    with step_log(snakemake.log[0], snakemake.rule) as log:
        infos = [read_json(path) for path in snakemake.input.info]
        table = status_table(zip(map(tuple, params.fetched), infos, strict=True), params.unfetched)
        write_table(snakemake.output.status, STATUS, table, stamp(snakemake.rule, params.code))
        for status, count in sorted(Counter(table["status"]).items(), key=lambda item: (-item[1], item[0])):
            log.info("%6d %s", count, status)
        log.info("%d videos will be tried again by the next run", sum(table["transient"]))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
