"""Cache motion in the models' format, measure its scales, and choose the validation windows: reads shards; writes Parquet files of
motion, their list motion.json, and training.json.

training.json contains the number of frames of a window, the scales of the training motion, and the validation windows (each with
subject, video, clip and first frame).
"""

from pathlib import Path

from handroll.logs import step_log
from handroll.storage import write_json
from handroll.training_data.feature_cache import write_motion
from handroll.training_data.loader import Clips, Source, need_clips
from handroll.training_data.windows import VALID_WINDOWS, evaluation_windows, measure_scales, subsample, window_ids


def main(snakemake):
    """Measure the scales of the split `train`, and choose the windows of the split `valid`."""
    params = snakemake.params
    with step_log(snakemake.log[0], snakemake.rule) as log:
        shards, motion = Path(snakemake.input.shards).parent, Path(snakemake.output.motion).parent
        write_motion(shards, motion, params.source["frame"], params.source["rate_hz"])
        source = Source(shards, motion=motion, **params.source)
        train, valid = Clips(source, "train"), Clips(source, "valid")
        need_clips(train, params.frames)
        windows = subsample(evaluation_windows(valid, params.frames), VALID_WINDOWS)
        # training.json contains no provenance, since a new code version in it would restart every training.
        made = {"frames": params.frames, "windows": {"valid": window_ids(valid, windows)}, "scales": measure_scales(train).to_dict()}
        write_json(snakemake.output.training, made)
        log.info("train: %d clips; valid: %d windows of %d clips", len(train), len(windows), len(valid))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
