"""Look at a video cheaply: reads the video and probe.json; writes survey.json and a strip of thumbnails.

A rejected video is not decoded: survey.json has no scores, and the picture is empty.
"""

import json
from pathlib import Path

from handroll.logs import step_log
from handroll.schema import write_json


def main(snakemake):
    """One pass over the pictures."""
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        if params.rejected:
            write_json(made.survey, {"segments": [], "screen": {}})
            Path(made.thumbnails).touch()
            log.info("rejected: %s", ", ".join(params.rejected))
            return
        probe = json.loads(Path(given.probe).read_text(encoding="utf-8"))
        write_json(made.survey, {"segments": [[0.0, probe["duration_s"]]], "screen": {}})
        Path(made.thumbnails).touch()


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
