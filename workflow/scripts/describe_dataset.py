"""Describe the dataset: reads shards.json, shards, splits, clips and verdicts.json; writes the card, statistics, Croissant and plots."""

from pathlib import Path

from handroll.dataset.card import card
from handroll.dataset.croissant import croissant
from handroll.dataset.plots import plot_keys, plot_velocities
from handroll.dataset.rights import withhold
from handroll.dataset.shards import survey_shards
from handroll.dataset.statistics import describe
from handroll.logs import step_log
from handroll.provenance import atomic_path
from handroll.storage import read_json, read_table, write_json
from handroll.tables import CLIPS, SPLITS, join_rows


def main(snakemake):
    """Compute the statistics, draw the plots, and write the card."""
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    with step_log(snakemake.log[0], snakemake.rule) as log:
        manifest = read_json(given.manifest)
        verdicts = read_json(given.verdicts)
        clips = join_rows(CLIPS, [read_table(path, CLIPS)[0] for path in given.clips])
        clips, _ = withhold(clips, dict(zip(map(tuple, params.videos), params.rights, strict=True)), **params.allowed)
        splits, _ = read_table(given.splits, SPLITS)
        statistics = describe(verdicts, clips, splits, manifest, survey_shards(Path(given.manifest).parent, manifest))
        write_json(made.statistics, statistics)
        write_json(made.croissant, croissant(params.name, statistics, manifest))
        plot_keys(made.key_plot, statistics["notes"]["pitch"])
        plot_velocities(made.velocity_plot, statistics["notes"]["velocity"])
        with atomic_path(made.card) as temporary:
            temporary.write_text(card(params.name, statistics, params.settings), encoding="utf-8")
        totals = statistics["totals"]
        log.info("%d clips of %d videos, %.0f s", totals["clips"], totals["videos_in_dataset"], totals["seconds"])


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
