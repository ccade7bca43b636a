"""Compute audio features of every clip: reads shards; writes one Parquet file of features per shard, and their manifest features.json."""

from pathlib import Path

from handroll.device import torch_threads
from handroll.logs import step_log
from handroll.models.audio_features import feature_encoder
from handroll.training_data.feature_cache import write_features


def main(snakemake):
    """Load the encoder once, and run it on all clips."""
    params = snakemake.params
    with step_log(snakemake.log[0], f"{snakemake.rule} {snakemake.wildcards.features}") as log, torch_threads(snakemake.threads):
        encoder = feature_encoder(snakemake.wildcards.features, params.rate_hz, params.encoder, params.device)
        about = {"features": snakemake.wildcards.features, "rate_hz": params.rate_hz, "encoder": encoder.version, "code": params.code}
        shards, folder = Path(snakemake.input.shards).parent, Path(snakemake.output.features).parent
        made = write_features(shards, folder, encoder.encode, encoder.columns, about)
        log.info("encoded %d clips, %d features for each frame", sum(shard["rows"] for shard in made["shards"]), made["width"]["features"])


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
