"""Cache motion in the models' format, measure its scales, and choose the validation windows: reads shards; writes Parquet files of
motion, their list motion.json, and training.json.

training.json contains the number of frames of a window, the scales of the training motion, and the validation windows (each with
subject, video, clip and first frame).
"""

from pathlib import Path

from handroll.logs import step_log
from handroll.storage import write_json
from handroll.training_data.feature_cache import write_motion
from handroll.training_data.loader import Source
from handroll.training_data.windows import training_windows


def main(snakemake):
    """Measure the scales of the split `train`, and choose the windows of the split `valid`."""
    params = snakemake.params
    with step_log(snakemake.log[0], snakemake.rule) as log:
        shards, motion = Path(snakemake.input.shards).parent, Path(snakemake.output.motion).parent
        write_motion(shards, motion, params.source["frame"], params.source["rate_hz"])
        source = Source(shards, motion=motion, **params.source)
        made = training_windows(source, params.frames)
        write_json(snakemake.output.training, made)
        log.info("%d windows for validation", len(made["windows"]["valid"]))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
