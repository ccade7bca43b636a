"""Refine poses: reads pose.parquet, detections and fingered notes; writes refined.parquet (tables.POSE).

The first refinement fits fingertips to the height of the keys that they hold down. It needs a registered keyboard and `pose.contacts:
true`. The second refinement smooths the poses over time. It needs `pose.temporal.enabled: true`. Without both, the poses do not change. A
rejected video gives an empty table.
"""

from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import read_table, write_table
from handroll.tables import DETECTIONS, FINGERED_NOTES, POSE, by_frame, by_row


def main(snakemake):
    """Refine the poses by contacts and over time, as the configuration requires."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        columns, facts, contacts = POSE.empty(), {}, False
        temporal = dict(params.settings["temporal"])
        over_time = temporal.pop("enabled")
        if params.rejected:
            log.info("rejected: %s", ", ".join(params.rejected))
        else:
            from handroll.camera import camera_from_metadata, extrinsics_from_metadata
            from handroll.keyboard.contacts import key_tops_held_mm
            from handroll.pose.engine import load_engine, refine_over_time, refine_pose

            columns, facts = read_table(given.pose, POSE)
            notes, _ = read_table(given.notes, FINGERED_NOTES)
            detections, _ = read_table(given.detections, DETECTIONS)
            extrinsics, engine = extrinsics_from_metadata(facts), params.settings["engine"]
            uses_key_presses = load_engine(engine).USES_KEY_PRESSES
            held = extrinsics is not None and params.settings["contacts"] and bool((notes["finger"] > 0).any())
            contacts = held and (uses_key_presses or over_time)
            pose, pressed_mm = by_frame(columns), None
            observed = by_frame(detections), camera_from_metadata(facts), extrinsics
            if contacts:
                pressed_mm = key_tops_held_mm(notes, pose["time_s"][:, 0])
            if contacts and uses_key_presses:
                pose = refine_pose(engine, pose, *observed, pressed_mm)
            if over_time:
                pose = refine_over_time(engine, pose, *observed, temporal, pressed_mm, params.hand_model)
            columns = by_row(pose)
            log.info("%s", "refined on the keys that the labelled notes hold down" if contacts else "not refined on keys")
            log.info("%s", "refined over time" if over_time else "not refined over time")
        metadata = facts | stamp(snakemake.rule, params.code, params.settings, contacts=contacts, temporal=over_time)
        write_table(snakemake.output.pose, POSE, columns, metadata)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
