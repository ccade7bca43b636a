"""Assign the videos of the sheet to splits: writes splits.parquet (tables.SPLITS)."""

from collections import Counter

from handroll.dataset.splits import split_videos
from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import write_table
from handroll.tables import SPLITS


def main(snakemake):
    """Assign each video by a hash of its name, or to the split in the sheet."""
    params = snakemake.params
    with step_log(snakemake.log[0], snakemake.rule) as log:
        ratios = dict(params.settings)
        seed = ratios.pop("seed")
        splits = split_videos([tuple(row) for row in params.videos], ratios, seed)
        write_table(snakemake.output.splits, SPLITS, splits, stamp(snakemake.rule, params.code, params.settings))
        log.info("%s", ", ".join(f"{split}: {count} videos" for split, count in Counter(splits["split"]).items()))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
