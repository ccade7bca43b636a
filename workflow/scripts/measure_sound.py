"""Measure the sound: reads audio.flac; writes sound.json, the scores of the criteria that judge the sound alone."""

from handroll.logs import step_log
from handroll.schema import write_json


def main(snakemake):
    """Measure, unless the video is rejected."""
    params = snakemake.params
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        write_json(snakemake.output.sound, {"screen": {}})
        log.info("rejected: %s", ", ".join(params.rejected))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
