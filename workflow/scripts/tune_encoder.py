"""Fine-tune a speech encoder: reads shards, training.json and the encoder; writes it anew in transformers' layout, and training.json.

States to go on from and the TensorBoard log lie beside its folder, in `<features>.training`.
"""

from pathlib import Path

from handroll.device import torch_threads
from handroll.logs import step_log
from handroll.training.setup import launch
from handroll.training.speech_encoder import tune_encoder
from handroll.training_data.loader import Source


def main(snakemake):
    """Tune; the library saves, in the main process."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], f"{snakemake.rule} {snakemake.wildcards.encoder}"), torch_threads(snakemake.threads):
        source = Source(Path(given.shards).parent, motion=Path(given.motion).parent, **params.source)
        settings = {**params.training["settings"], **params.run}
        model = {**params.model, "decoder": params.decoder}
        path = Path(snakemake.output.model)
        # Outlives a job that is killed: Snakemake removes outputs only.
        folder = path.parent.with_suffix(".training")
        arguments = (source, given.training, params.encoder, model, params.velocity_weight, settings, folder, path)
        launch(tune_encoder, arguments, settings.pop("gpus"))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
