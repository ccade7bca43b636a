"""Choose windows and measure scales: reads shards; writes windows.json.

It holds the scales of the training motion, and the windows of the split that is scored on and of `valid`, which training looks at: for
each, subject, video, clip and first frame.
"""

from pathlib import Path

from handroll.dataset.loader import Clips, Source
from handroll.dataset.windows import evaluation_windows, evenly, measure_scales
from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.schema import write_json


def main(snakemake):
    """Windows of two splits, scales of train."""
    params = snakemake.params
    with step_log(snakemake.log[0], snakemake.rule) as log:
        source = Source(Path(snakemake.input.shards).parent, **params.seen)
        scales = measure_scales(Clips(source, "train"))
        windows = {}
        for split in dict.fromkeys(("valid", params.split)):
            clips = Clips(source, split)
            places = evenly(evaluation_windows(clips, params.frames), params.most)
            windows[split] = [[*clips.names[number], first] for number, first in places]
            log.info("%s: %d windows of %d clips", split, len(places), len(clips))
        if not windows[params.split]:
            raise ValueError(f"{source.shards}: expected windows of {params.frames} frames in split {params.split}, found none")
        made = stamp(snakemake.rule, params.code, {"seen": params.seen, "most": params.most})
        write_json(
            snakemake.output.windows,
            {"frames": params.frames, "split": params.split, "windows": windows, "scales": scales.to_dict(), "made": made},
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
