"""Train the auto-encoder: reads shards, motion.json and training.json; writes autoencoder.safetensors and autoencoder.json.

Saved states, from which a killed job resumes, and the TensorBoard log are in the folder `autoencoder.training`.
"""

from handroll.device import torch_threads
from handroll.logs import step_log
from handroll.training.autoencoder import train_autoencoder
from handroll.training.training_run import run_training


def main(snakemake):
    """Train the auto-encoder, and save it from the main process."""
    params, files = snakemake.params, dict(snakemake.input.items())
    with step_log(snakemake.log[0], snakemake.rule), torch_threads(snakemake.threads):
        settings = params.training | params.run
        run_training(train_autoencoder, files, params.source, settings, (), snakemake.output.model)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
