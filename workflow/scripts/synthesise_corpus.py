"""Synthesise a training set: writes Parquet shards (tables.SHARD) and shards.json."""

from pathlib import Path

from handroll.logs import step_log
from handroll.simulator.corpus import Recipe, write_corpus


def main(snakemake):
    """Synthesise the takes, with one process for each thread of the job, and pack them into shards."""
    params = snakemake.params
    with step_log(snakemake.log[0], snakemake.rule) as log:
        recipe = Recipe(**params.recipe if params.audio else params.recipe | {"audio_rate_hz": None})
        target = {"target_bytes": round(params.settings["shard_mb"] * 1e6), "row_group_rows": params.settings["row_group_rows"]}
        made = write_corpus(Path(snakemake.output.manifest).parent, params.hours, recipe, params.shares, snakemake.threads, **target)
        for shard in made["shards"]:
            log.info("%s: %d clips, %.1f MB", shard["name"], shard["rows"], shard["bytes"] / 1e6)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
