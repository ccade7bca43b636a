"""Learn the costs of a player's fingering: reads shards; writes fingering.json."""

from pathlib import Path

from handroll.device import torch_threads
from handroll.generation.fingering_costs_file import write_costs
from handroll.generation.fingering_training import learn_costs
from handroll.logs import step_log


def main(snakemake):
    """Learn the costs of both hands, and compare them with the default costs."""
    with step_log(snakemake.log[0], snakemake.rule), torch_threads(snakemake.threads):
        folder = Path(snakemake.input.shards).parent
        write_costs(snakemake.output.costs, learn_costs([folder], **snakemake.params.subjects))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
