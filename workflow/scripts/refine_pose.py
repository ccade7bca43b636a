"""Refine poses: reads pose.parquet, detections and fingered notes; writes refined.parquet (schema.POSE).

Where no keyboard is registered, or `pose.contacts` is off, the poses stay as they are. A rejected video gives an empty table.
"""

from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.schema import DETECTIONS, FINGERED_NOTES, POSE, by_frame, by_row, read_table, write_table


def main(snakemake):
    """The engine's refinement, or nothing."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        columns, facts, contacts = POSE.empty(), {}, False
        if params.rejected:
            log.info("rejected: %s", ", ".join(params.rejected))
        else:
            from handroll.camera import camera_of, extrinsics_of
            from handroll.keyboard.contacts import key_tops_held_mm
            from handroll.pose.engine import refine_pose

            columns, facts = read_table(given.pose, POSE)
            notes, about = read_table(given.notes, FINGERED_NOTES)
            detections, _ = read_table(given.detections, DETECTIONS)
            extrinsics, engine = extrinsics_of(facts), params.settings["engine"]
            contacts = extrinsics is not None and params.settings["contacts"] and bool((notes["finger"] > 0).any())
            if contacts:
                pose = by_frame(columns)
                pressed_mm = key_tops_held_mm(notes, pose["time_s"][:, 0], float(about["audio_delay_s"]))
                columns = by_row(refine_pose(engine, pose, by_frame(detections), camera_of(facts), extrinsics, pressed_mm))
            log.info("%s", "keys held down by the labelled notes" if contacts else "as fitted")
        metadata = facts | stamp(snakemake.rule, params.code, params.settings, contacts=contacts)
        write_table(snakemake.output.pose, POSE, columns, metadata)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
