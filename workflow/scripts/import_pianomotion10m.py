"""Import PianoMotion10M: reads the released folders, and MANO's hand model if it exists; writes shards (tables.SHARD) and import.json."""

import json
from pathlib import Path

from handroll.exchange.pianomotion10m_import import import_tree
from handroll.hand.mano_file import read_mano
from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import write_json


def main(snakemake):
    """Import all clips, and report the clips that are left out."""
    params, made = snakemake.params, snakemake.output
    with step_log(snakemake.log[0], snakemake.rule) as log:
        model = next(map(read_mano, snakemake.input.mano), None)
        sizes = {"target_bytes": round(params.settings["shard_mb"] * 1e6), "row_group_rows": params.settings["row_group_rows"]}
        # The metadata do not contain the folder of the release, because it has no effect on the dataset.
        settings = {name: value for name, value in params.tree.items() if name != "folder"} | params.settings
        metadata = stamp(snakemake.rule, params.version, settings, mano_sha256=model and model.sha256)
        _, report = import_tree(**params.tree, out_dir=Path(made.manifest).parent, model=model, **sizes, metadata=metadata)
        write_json(made.report, report)
        log.info("clips: %s; left out: %s", json.dumps(report["clips"]), json.dumps(report["left_out"]["counts"]))
        log.info("videos without notes: %d", len(report["without_midi"]) + len(report["unreadable_midi"]))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
