"""Choose the validation windows of models that correct motion, and measure scales: reads shards and motion.json; writes training.json.

training.json has the same content as that of rule `prepare_training`, with windows of another length.
"""

from pathlib import Path

from handroll.logs import step_log
from handroll.storage import write_json
from handroll.training_data.loader import Source
from handroll.training_data.windows import training_windows


def main(snakemake):
    """Choose the windows of the split `valid`, and measure the scales of the split `train`."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], snakemake.rule) as log:
        source = Source(Path(given.shards).parent, motion=Path(given.motion).parent, **params.source)
        made = training_windows(source, params.frames)
        write_json(snakemake.output.training, made)
        log.info("%d windows for validation", len(made["windows"]["valid"]))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
