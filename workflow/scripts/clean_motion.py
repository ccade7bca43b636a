"""Clean the poses of a video: reads refined.parquet, pose.parquet and survey.json; writes motion.parquet (tables.MOTION).

motion.parquet adds a state for every frame. Outliers are searched in pose.parquet, whose poses do not depend on the notes. If the poses
were refined over time, outliers are searched in refined.parquet instead. Each usable segment (survey.json) is cleaned separately, because
motion does not continue across a cut. A rejected video gives an empty table.
"""

from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import read_json, read_table, write_table
from handroll.tables import MOTION, POSE, by_frame, by_row


def main(snakemake):
    """Remove outliers, interpolate gaps, hide short visible runs, and smooth."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        columns, facts = MOTION.empty(), {}
        if params.rejected:
            log.info("rejected: %s", ", ".join(params.rejected))
        else:
            from handroll.camera import extrinsics_from_metadata
            from handroll.motion.clean import CleanSettings, clean_motion
            from handroll.pose.engine import load_engine

            pose, facts = read_table(given.pose, POSE)
            over_time = facts.get("temporal") == "True"
            unrefined = None if over_time else by_frame(read_table(given.unrefined, POSE)[0])
            segments = read_json(given.survey)["segments"]
            settings = CleanSettings(**params.settings)
            joints_from = load_engine(facts["pose_engine"]).joints(params.hand_model)
            motion, counts = clean_motion(by_frame(pose), settings, extrinsics_from_metadata(facts), joints_from, unrefined, segments)
            columns = by_row(motion)
            log.info("%s", ", ".join(f"{name} {count}" for name, count in counts.items()))
        write_table(snakemake.output.motion, MOTION, columns, facts | stamp(snakemake.rule, params.code, params.settings))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
