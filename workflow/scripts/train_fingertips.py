"""Train the model fingertips: reads shards, motion.json, training.json and features.json; writes fingertips.safetensors and
fingertips.json.

Saved states, from which a killed job resumes, and the TensorBoard log are in the folder `fingertips.training`.
"""

from handroll.device import torch_threads
from handroll.logs import step_log
from handroll.training.fingertips import train_fingertips
from handroll.training.training_run import run_training


def main(snakemake):
    """Train the model, and save it from the main process."""
    params, files = snakemake.params, dict(snakemake.input.items())
    with step_log(snakemake.log[0], f"{snakemake.rule} {snakemake.wildcards.variant}"), torch_threads(snakemake.threads):
        run_training(train_fingertips, files, params.source, params.training | params.run, (params.model,), snakemake.output.model)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
