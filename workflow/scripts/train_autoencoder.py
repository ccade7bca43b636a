"""Train the auto-encoder: reads shards and training.json; writes autoencoder.safetensors and autoencoder.json.

States to go on from and the TensorBoard log lie beside it, in `autoencoder.training`.
"""

from pathlib import Path

from handroll.device import torch_threads
from handroll.logs import step_log
from handroll.training.autoencoder import train_autoencoder
from handroll.training.setup import launch
from handroll.training_data.loader import Source


def main(snakemake):
    """Train; the library saves, in the main process."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], f"{snakemake.rule} {'-'.join(snakemake.wildcards)}".strip()), torch_threads(snakemake.threads):
        source = Source(Path(given.shards).parent, motion=Path(given.motion).parent, **params.source)
        settings = {**params.training["settings"], **params.run}
        # Outlives a job that is killed: Snakemake removes outputs only.
        folder = Path(snakemake.output.model).with_suffix(".training")
        launch(train_autoencoder, (source, given.training, settings, folder, snakemake.output.model), settings.pop("gpus"))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
