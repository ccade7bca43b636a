"""Deal the videos to splits: writes splits.tsv (subject, video, split, pinned)."""

from pathlib import Path

from handroll.dataset.splits import split_videos, splits_tsv
from handroll.logs import step_log


def main(snakemake):
    """A stable hash of each video's name; pins win."""
    with step_log(snakemake.log[0], snakemake.rule) as log:
        ratios = dict(snakemake.params.settings)
        seed = ratios.pop("seed")
        rows = split_videos(snakemake.params.videos, ratios, seed)
        Path(snakemake.output.splits).write_text(splits_tsv(rows), encoding="utf-8")
        log.info("%s", ", ".join(f"{split}: {sum(row.split == split for row in rows)} videos" for split in ("train", "valid", "test")))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
