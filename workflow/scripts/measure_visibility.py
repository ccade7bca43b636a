"""Measure how often the hands are detected: reads detections.parquet and survey.json; writes visibility.json, scores for the screening.

A rejected video has no scores, because the detector did not run.
"""

from handroll.logs import step_log
from handroll.screening.visibility import measure_visibility
from handroll.storage import read_json, read_table, write_json
from handroll.tables import DETECTIONS, by_frame


def main(snakemake):
    """Measure the shares of frames with detected hands in the usable segments."""
    given, scores = snakemake.input, {}
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        columns, facts = read_table(given.detections, DETECTIONS)
        if "detector" in facts:
            survey, hands = read_json(given.survey), by_frame(columns)
            scores = {"visibility": measure_visibility(hands["found"], hands["time_s"][:, 0], survey["segments"])}
            log.info("both hands in %.1f %% of the usable frames", 100 * scores["visibility"]["both_hands"])
        write_json(snakemake.output.visibility, {"screening": scores})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
