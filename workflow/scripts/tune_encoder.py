"""Fine-tune a speech encoder: reads shards, motion.json, training.json and the encoder; writes the tuned encoder in the layout of
transformers, and its training.json.

Saved states, from which a killed job resumes, and the TensorBoard log are in the folder `<features>.training`, next to that of the
encoder.
"""

from pathlib import Path

from handroll.device import torch_threads
from handroll.logs import step_log
from handroll.training.speech_encoder import tune_encoder
from handroll.training.training_run import run_training


def main(snakemake):
    """Fine-tune the encoder, and save it from the main process."""
    params, files, path = snakemake.params, dict(snakemake.input.items()), Path(snakemake.output.model)
    with step_log(snakemake.log[0], f"{snakemake.rule} {snakemake.wildcards.encoder}"), torch_threads(snakemake.threads):
        model, settings = params.model | {"decoder": params.decoder}, params.training | params.run
        arguments = (params.encoder, model, params.velocity_weight)
        folder = path.parent.with_suffix(".training")
        run_training(tune_encoder, files, params.source, settings, arguments, path, folder)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
