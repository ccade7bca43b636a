"""Compute the features of the audio or the notes of every clip: reads shards and fingering.json; writes one Parquet file of features
per shard, and their manifest features.json."""

from pathlib import Path

from handroll.device import torch_threads
from handroll.generation.feature_encoders import encoder_of
from handroll.generation.fingering import DEFAULT_COSTS
from handroll.generation.fingering_costs_file import costs_to_json, read_costs
from handroll.logs import step_log
from handroll.models.feature_names import DEFAULT_COSTS as DEFAULT
from handroll.training_data.feature_cache import write_features


def main(snakemake):
    """Load the encoder once, and run it on all clips."""
    params = snakemake.params
    with step_log(snakemake.log[0], f"{snakemake.rule} {snakemake.wildcards.features}") as log, torch_threads(snakemake.threads):
        name = snakemake.wildcards.features.removesuffix(DEFAULT)
        learned = snakemake.input.fingering
        costs = read_costs(learned) if learned else (DEFAULT_COSTS, DEFAULT_COSTS)
        encoder = encoder_of(name, params.rate_hz, params.encoder, params.device, costs)
        about = {"features": name, "rate_hz": params.rate_hz, "encoder": encoder.version, "code": params.code}
        about |= {"fingering": costs_to_json(costs)} if learned else {}
        shards, folder = Path(snakemake.input.shards).parent, Path(snakemake.output.features).parent
        made = write_features(shards, folder, encoder.encode, encoder.columns, about, encoder.dtype)
        log.info("encoded %d clips, %d features for each frame", sum(shard["rows"] for shard in made["shards"]), made["width"]["features"])


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
