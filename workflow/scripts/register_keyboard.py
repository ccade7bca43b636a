"""Register the keyboard: reads the video, probe.json, survey.json, detections and notes; writes registration.json and an image.

The image shows the outlines of the keys on a frame, and the residuals of the detected edges. registration.json also contains the
viewpoint scores for the screening. A rejected video has no registered keyboard.
"""

from handroll.drawing.placeholder import save_placeholder
from handroll.logs import step_log
from handroll.storage import read_json, read_table, write_json
from handroll.tables import DETECTIONS, NOTES, by_frame


def main(snakemake):
    """Compute median images of the usable segments, and register the keyboard in them."""
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    name = "/".join(snakemake.wildcards)
    with step_log(snakemake.log[0], f"{snakemake.rule} {name}") as log:
        if params.rejected:
            reasons = f"rejected: {', '.join(params.rejected)}"
            write_json(made.registration, {"problem": "no_motion", "screening": {}})
            save_placeholder(made.image, name, [reasons])
            return log.info("%s", reasons)
        import cv2
        import numpy as np

        from handroll.camera import configured_focal
        from handroll.detection.frame_sampling import HandSamples
        from handroll.drawing.image_files import save_image
        from handroll.drawing.registration import draw_registration
        from handroll.editing.background import background_images
        from handroll.keyboard.marked_points import marked_points
        from handroll.keyboard.registration import register_keyboard
        from handroll.keyboard.registration_check import DOUBTS
        from handroll.screening.viewpoint import axis_from_hands, measure_viewpoint, tilt_deg

        probe, survey = (read_json(path) for path in (given.probe, given.survey))
        detections = by_frame(read_table(given.detections, DETECTIONS)[0])
        notes, time_s = read_table(given.notes, NOTES)[0], detections["time_s"][:, 0]
        colour = background_images(given.video, time_s, survey["segments"], params.settings["frames"])
        hands = HandSamples.from_dict(survey["hands"])
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in colour]
        observed = (probe["width_px"], notes, time_s, detections["landmarks_px"])
        marked = marked_points(params.marked) if params.marked else None
        focal = configured_focal(params.focal_px, params.settings["focal_px"])
        found = register_keyboard(grey, *observed, marked, focal, tilt_deg(axis_from_hands(hands)))
        scores = {} if found.problem else {"viewpoint": measure_viewpoint(found.view, hands)}
        write_json(made.registration, found.to_dict() | {"screening": scores})
        log.info("%s", found.problem or f"registered; visible keys: {found.first_key} to {found.last_key}")
        if found.doubt:
            log.warning("%s: %s: %s", name, found.doubt, DOUBTS[found.doubt])
        if colour:
            median = np.median(colour, axis=0).astype(np.uint8)
            image = draw_registration(median, found.drawing_inputs, found.edges_mm, found.residual_mm, name, found.summary_lines())
            save_image(image, made.image)
        else:
            save_placeholder(made.image, name, found.summary_lines())


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
