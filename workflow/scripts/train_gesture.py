"""Train the gesture generator, the second stage of the benchmark's model: reads shards, motion.json, training.json, features.json and the
trained first stage; writes gesture.safetensors and gesture.json.

Saved states, from which a killed job resumes, and the TensorBoard log are in the folder `gesture.training`.
"""

from handroll.device import torch_threads
from handroll.logs import step_log
from handroll.training.gesture import train_gesture
from handroll.training.training_run import run_training


def main(snakemake):
    """Train the gesture model, and save it from the main process."""
    params, files = snakemake.params, dict(snakemake.input.items())
    with step_log(snakemake.log[0], f"{snakemake.rule} {'-'.join(snakemake.wildcards)}"), torch_threads(snakemake.threads):
        model, settings = params.model | {"decoder": snakemake.wildcards.decoder}, params.training | params.run
        arguments = (files["position"], model)
        run_training(train_gesture, files, params.source, settings, arguments, snakemake.output.model)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
