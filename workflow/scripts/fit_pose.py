"""Fit poses: reads the video, probe, detections and registration; writes pose.parquet (tables.POSE).

A rejected video gives an empty table. The metadata contains the camera and the engine.
"""

import shutil
from pathlib import Path

from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import read_json, read_table, write_table
from handroll.tables import DETECTIONS, POSE, by_frame, by_row


def main(snakemake):
    """Fit the pose of every detected hand."""
    params, given = snakemake.params, snakemake.input
    # Folder of partial results, from which a killed job resumes. It is not an output, because Snakemake removes outputs of killed jobs.
    scratch = Path(snakemake.output.pose).with_name(".fit_pose")
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        columns, facts = POSE.empty(), {}
        if params.rejected:
            log.info("rejected: %s", ", ".join(params.rejected))
        else:
            from handroll.camera import assumed_camera, configured_focal, hamer_camera
            from handroll.keyboard.registration import RegisteredKeyboard
            from handroll.pose.engine import fit_pose

            probe, registration = (read_json(path) for path in (given.probe, given.registration))
            detections, facts = read_table(given.detections, DETECTIONS)
            engine = params.settings["engine"]
            found, size_px = RegisteredKeyboard.from_dict(registration), (probe["width_px"], probe["height_px"])
            if params.settings["camera"] == "hamer":
                camera, extrinsics = hamer_camera(*size_px), None
            elif found.problem:
                camera, extrinsics = assumed_camera(*size_px, configured_focal(params.focal_px, params.settings["focal_px"])), None
            else:
                camera, extrinsics = found.camera, found.view.extrinsics
            options = {**params.options, "threads": snakemake.threads}
            fitted, info = fit_pose(engine, given.video, by_frame(detections), camera, extrinsics, options, scratch)
            columns = by_row(fitted)
            facts |= {f"pose_{name}": value for name, value in info.items()} | camera.to_metadata()
            facts |= extrinsics.to_metadata() if extrinsics else {}
            log.info("engine %s: %d poses", engine, columns["found"].sum())
        write_table(snakemake.output.pose, POSE, columns, facts | stamp(snakemake.rule, params.code, params.settings))
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
