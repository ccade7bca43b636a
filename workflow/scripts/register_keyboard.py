"""Register the keyboard: reads the video, probe.json, survey.json, detections and notes; writes registration.json and a picture.

The picture shows the keys' outlines on the video, and how far off the found edges are. registration.json holds, for the screens,
how the camera looks at the keys. A rejected video has no registered keyboard.
"""

from handroll.drawing.placeholder import save_placeholder
from handroll.logs import step_log
from handroll.storage import read_json, read_table, write_json
from handroll.tables import DETECTIONS, NOTES, by_frame


def main(snakemake):
    """Median pictures of the playable segments, then the keyboard in them."""
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    name = "/".join(snakemake.wildcards)
    with step_log(snakemake.log[0], f"{snakemake.rule} {name}") as log:
        if params.rejected:
            write_json(made.registration, {"problem": "no_motion", "scores": {}})
            save_placeholder(made.picture, name, [f"rejected: {', '.join(params.rejected)}"])
            log.info("rejected: %s", ", ".join(params.rejected))
            return
        import cv2
        import numpy as np

        from handroll.detection.frame_sampling import HandSamples
        from handroll.drawing.image import save_image
        from handroll.drawing.registration import draw_registration
        from handroll.editing.background import background_images
        from handroll.keyboard.marked_points import marked_points
        from handroll.keyboard.registration import register_keyboard
        from handroll.keyboard.registration_check import DOUBTS
        from handroll.screening.viewpoint import axis_from_hands, measure_viewpoint, tilt_deg

        probe, survey = (read_json(path) for path in (given.probe, given.survey))
        detections = by_frame(read_table(given.detections, DETECTIONS)[0])
        notes, _ = read_table(given.notes, NOTES)
        time_s = detections["time_s"][:, 0]
        colour = background_images(given.video, time_s, survey["segments"], params.frames)
        hands = HandSamples.from_dict(survey["hands"])
        focal = next(((px, source) for px, source in ((params.focal_px, "sheet"), (params.settings["focal_px"], "config")) if px), None)
        found = register_keyboard(
            [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in colour],
            probe["width_px"],
            notes,
            time_s,
            detections["landmarks_px"],
            marked_points(params.marked) if params.marked else None,
            focal,
            tilt_deg(axis_from_hands(hands)),
        )
        scores = {"viewpoint": measure_viewpoint(found.view, hands)} if not found.problem else {}
        write_json(made.registration, found.to_dict() | {"scores": scores})
        log.info("%s", found.problem or f"keys {found.first_key} to {found.last_key}")
        if not colour:
            save_placeholder(made.picture, name, found.summary_lines())
            return
        median = np.median(colour, axis=0).astype(np.uint8)
        save_image(
            draw_registration(median, found.drawing_inputs, found.edges_mm, found.residual_mm, name, found.summary_lines()), made.picture
        )
        if found.doubt:
            log.warning("%s: %s: %s", name, found.doubt, DOUBTS[found.doubt])


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
