"""Export in PianoMotion10M's layout: reads shards, and MANO's hand model if it exists; writes JSON, MP3, MIDI, lists and export.json."""

import json
from pathlib import Path

from handroll.exchange.pianomotion10m_export import export_tree
from handroll.hand.mano_file import read_mano
from handroll.logs import step_log


def main(snakemake):
    """Export all clips, and log the clips that are left out."""
    with step_log(snakemake.log[0], snakemake.rule) as log:
        model = next(map(read_mano, snakemake.input.mano), None)
        shards = Path(snakemake.input.manifest).parent
        made = export_tree(shards, snakemake.output.tree, **snakemake.params.settings, model=model)
        log.info("clips: %s; resampled: %d", json.dumps(made["clips"]), made["resampled"])
        for clip in made["left_out"]:
            log.info("left out: %s", json.dumps(clip))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
