"""Fetch a video: reads a source (URL or local path); writes the video file (a link where local) and info.json.

info.json: source, kind, status ("ok" or a reason), size_bytes, sha256 and, of downloads, title, extractor and format.
A video that cannot be had becomes an empty file, so that the rest of the workflow flows on.
"""

from pathlib import Path

from handroll.logs import step_log
from handroll.schema import write_json
from handroll.video.download import fetch


def main(snakemake):
    """Fetch, write, say what was got."""
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        info = fetch(snakemake.params.source, Path(snakemake.output.video), **snakemake.params.settings)
        write_json(snakemake.output.info, info)
        log.info("%s: %s", info["status"], info.get("message") or f"{info['size_bytes']} bytes")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
