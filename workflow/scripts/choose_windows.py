"""Choose the windows on which methods are compared: reads shards and training.json; writes windows.json.

windows.json contains the name of the split, its windows (each with subject, video, clip and first frame), and the window length and
scales of training.json.
"""

from pathlib import Path

from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import read_json, write_json
from handroll.training_data.loader import Clips, Source
from handroll.training_data.windows import scored_windows, window_ids


def main(snakemake):
    """Choose windows of the configured split."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], snakemake.rule) as log:
        training = read_json(given.training)
        clips = Clips(Source(Path(given.shards).parent, **params.source), params.split)
        windows = scored_windows(clips, training["frames"], params.max_windows)
        chosen = {"split": params.split, "windows": {params.split: window_ids(clips, windows)}}
        made = stamp(snakemake.rule, params.code, {"source": params.source, "max_windows": params.max_windows})
        write_json(snakemake.output.windows, training | chosen | {"made": made})
        log.info("%s: %d windows of %d clips", params.split, len(windows), len(clips))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
