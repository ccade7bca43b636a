"""Fit poses: reads the video, probe, detections and registration; writes pose.parquet (schema.POSE).

A rejected video gives an empty table. The camera and the engine stand in the metadata.
"""

import shutil
from pathlib import Path

from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import read_json, read_table, write_table
from handroll.tables import DETECTIONS, POSE, by_frame, by_row


def assumed_camera(width_px, height_px, sheet_focal_px, config_focal_px):
    """The camera by the sheet's focal length, else the configuration's, else HaMeR's convention."""
    from handroll.camera import Camera, hamer_camera

    for focal_px, source in ((sheet_focal_px, "sheet"), (config_focal_px, "config")):
        if focal_px is not None:
            return Camera(width_px, height_px, focal_px, source)
    return hamer_camera(width_px, height_px)


def main(snakemake):
    """Fit every found hand."""
    params, given = snakemake.params, snakemake.input
    # Outlives a job that is killed: Snakemake removes outputs only.
    scratch = Path(snakemake.output.pose).with_name(".fit_pose")
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        columns, facts = POSE.empty(), {}
        if params.rejected:
            log.info("rejected: %s", ", ".join(params.rejected))
        else:
            from handroll.camera import hamer_camera
            from handroll.keyboard.registration import RegisteredKeyboard
            from handroll.pose.engine import fit_pose

            probe, registration = (read_json(path) for path in (given.probe, given.registration))
            detections, facts = read_table(given.detections, DETECTIONS)
            engine, config_focal_px = params.settings["engine"], params.settings["focal_px"]
            found = RegisteredKeyboard.from_dict(registration)
            camera, extrinsics = (None, None) if found.problem else (found.camera, found.view.extrinsics)
            camera = camera or assumed_camera(probe["width_px"], probe["height_px"], params.focal_px, config_focal_px)
            if params.settings["camera"] == "hamer":
                camera, extrinsics = hamer_camera(probe["width_px"], probe["height_px"]), None
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
