"""Generate motions for the windows of a benchmark: reads shards, windows.json, features and models; writes motions and their cost.

The motions are a table `generation.motion_file.GENERATED`. The cost is a JSON file with the number of parameters, the training time and
the sampling time. Values that do not apply to the method are left out.
"""

from pathlib import Path

from handroll.device import torch_threads
from handroll.generation.method_motion import generate
from handroll.generation.motion_file import GENERATED
from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import write_json, write_table
from handroll.training_data.loader import Source


def main(snakemake):
    """Generate the motions with one method."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], f"{snakemake.rule} {snakemake.wildcards.method}") as log, torch_threads(snakemake.threads):
        features = Path(given.features[0]).parent if given.features else None
        source = Source(Path(given.shards).parent, features=features, **params.source)
        # The released checkpoint is not an input of the rule. If it is missing, its reader raises an error that names its source.
        models = [params.released] if params.released else list(given.models)
        columns, facts = generate(params.method, source, given.windows, models, **params.run)
        metadata = stamp(snakemake.rule, params.code, {**params.method, **params.run})
        write_table(snakemake.output.motion, GENERATED, columns, metadata)
        write_json(snakemake.output.report, facts)
        log.info("%d motions; %s", len(columns["clip"]), ", ".join(f"{name} {value}" for name, value in facts.items()))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
