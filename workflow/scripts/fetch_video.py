"""Fetch a video: reads a source (URL or local path); writes the video file (for a local path, a link) and info.json.

info.json contains the result of `handroll.acquire.download.fetch`, and `tries`, the number of tries so far. If a video is not
available, its file is empty, and the workflow continues.
"""

from pathlib import Path

from handroll.acquire.back_off import Pace
from handroll.acquire.download import fetch
from handroll.acquire.limits import Limits
from handroll.acquire.refetch import write_outcome
from handroll.logs import step_log
from handroll.storage import write_json


def main(snakemake):
    """Link or download the video, and record the result."""
    params, made = snakemake.params, snakemake.output
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        info = fetch(params.source, Path(made.video), limits=Limits(**params.limits), pace=Pace(**params.pace), **params.settings)
        info["tries"] = params.tries + 1
        write_json(made.info, info)
        write_outcome(Path(made.video).parent, info, params.limits)
        log.info("%s: %s", info["status"], info["message"] or f"{info['size_bytes']} bytes")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
