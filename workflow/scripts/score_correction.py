"""Score a method that corrects motion: reads shards, motion.json, features.json, and the checkpoint and training log of a trained model;
writes a JSON file of costs and scores."""

from pathlib import Path

from handroll.device import torch_threads
from handroll.evaluation.correction import correction_costs, score_method, untrained_methods
from handroll.logs import step_log
from handroll.metrics.bootstrap import estimate_to_json
from handroll.models.checkpoint import load_checkpoint
from handroll.storage import read_json, write_json
from handroll.training_data.loader import Clips, Source
from handroll.training_data.motion_noise import MotionNoise
from handroll.training_data.windows import scored_windows


def main(snakemake):
    """Compare the corrected motion of all windows with the ground truth, for each kind of noise."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], f"{snakemake.rule} {snakemake.wildcards.corrected}") as log, torch_threads(snakemake.threads):
        folders = {name: Path(given[name]).parent for name in ("shards", "motion", "features")}
        clips = Clips(Source(**folders, **params.source), params.split)
        windows = scored_windows(clips, params.frames, params.max_windows)
        every, costs = params.row["every"], {}
        if params.row["kind"]:
            checkpoint, training_log = load_checkpoint(given.corrector[0], params.row["kind"]), read_json(given.corrector[1])
            method, costs = checkpoint.network(), correction_costs(checkpoint, training_log)
        else:
            method = untrained_methods(params.frames, every, clips.source.rate_hz)[params.row["row"]]
        scores = {}
        for name, noise in params.noise.items():
            found = score_method(method, clips, windows, params.frames, every, MotionNoise(**noise), params.seed)
            scores[name] = {metric: estimate_to_json(estimate) for metric, estimate in found.items()}
            log.info("%s: %s", name, found["mpjpe_mm"])
        about = {"row": params.row["row"], "every": every, "windows": len(windows), "costs": costs}
        write_json(snakemake.output.scores, {**about, "scores": scores})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
