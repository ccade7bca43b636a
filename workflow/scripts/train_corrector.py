"""Train a model that corrects motion: reads shards, motion.json, training.json and features.json; writes <kind>.safetensors and
<kind>.json.

Saved states, from which a killed job resumes, and the TensorBoard log are in the folder `<kind>.training`.
"""

from handroll.device import torch_threads
from handroll.logs import step_log
from handroll.training.correction import train_correction
from handroll.training.training_run import run_training
from handroll.training_data.motion_noise import MotionNoise


def main(snakemake):
    """Train the model, and save it from the main process."""
    params, files = snakemake.params, dict(snakemake.input.items())
    with step_log(snakemake.log[0], f"{snakemake.rule} {snakemake.wildcards.corrector}"), torch_threads(snakemake.threads):
        corrector, noise = params.corrector, [MotionNoise(**values) for values in params.noise.values()]
        arguments = (corrector["kind"], corrector["model"], noise)
        run_training(train_correction, files, params.source, params.training | params.run, arguments, snakemake.output.model)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
