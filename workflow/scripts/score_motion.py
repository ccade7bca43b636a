"""Score the motions of a method: reads shards, windows.json, generated motions and the auto-encoder; writes a JSON file of scores."""

from pathlib import Path

from handroll.device import torch_threads
from handroll.generation.motion_file import GENERATED
from handroll.hand.mano_file import read_mano
from handroll.logs import step_log
from handroll.metrics.scoring import score_motions
from handroll.models.motion_features import motion_features, released_features
from handroll.storage import read_table, write_json
from handroll.training_data.loader import Source


def main(snakemake):
    """Compare the motions with the ground truth of the same windows."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], f"{snakemake.rule} {snakemake.wildcards.method}") as log, torch_threads(snakemake.threads):
        motions, _ = read_table(given.motion, GENERATED)
        source = Source(Path(given.shards).parent, **params.source)
        released = released_features(params.released) if params.released else None
        mano = read_mano(params.mano["mano"]) if params.mano else None
        scores = score_motions(motions, source, given.windows, motion_features(given.autoencoder), released, mano, params.seed)
        write_json(snakemake.output.scores, {"method": snakemake.wildcards.method, "scores": scores})
        for name, score in scores.items():
            log.info("%s: %s", name, score)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
