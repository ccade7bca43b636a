"""Train the position predictor, the first stage of the benchmark's model: reads shards, motion.json, training.json and features.json;
writes position.safetensors and position.json.

Saved states, from which a killed job resumes, and the TensorBoard log are in the folder `position.training`.
"""

from handroll.device import torch_threads
from handroll.logs import step_log
from handroll.training.position import train_position
from handroll.training.training_run import run_training


def main(snakemake):
    """Train the position model, and save it from the main process."""
    params, files = snakemake.params, dict(snakemake.input.items())
    with step_log(snakemake.log[0], f"{snakemake.rule} {'-'.join(snakemake.wildcards)}"), torch_threads(snakemake.threads):
        model, settings = params.model | {"decoder": snakemake.wildcards.decoder}, params.training | params.run
        arguments = (model, params.velocity_weight)
        run_training(train_position, files, params.source, settings, arguments, snakemake.output.model)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
