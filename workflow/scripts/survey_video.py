"""Look at a video cheaply: reads the video and probe.json; writes survey.json and a strip of thumbnails.

survey.json: `edits` (video.shots.Edits), `hands` (detect.glance.Glance), `segments` (start_s, end_s) that can be used, and, for the
screens, the scores taken from these. A rejected video is not decoded: no segments, no scores, an empty picture.
"""

import json
from dataclasses import asdict
from pathlib import Path

from handroll.logs import progress, step_log
from handroll.schema import write_json


def main(snakemake):
    """One pass over all frames at small size, one over some at the detector's."""
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        if params.rejected:
            write_json(made.survey, {"segments": [], "screen": {}})
            Path(made.thumbnails).touch()
            log.info("rejected: %s", ", ".join(params.rejected))
            return
        from handroll.detect.glance import glance, spread
        from handroll.detect.mediapipe import MAX_WIDTH_PX
        from handroll.screen import camera_motion, editing, performers, viewpoint
        from handroll.video.frames import read_frames
        from handroll.video.playable import playable
        from handroll.video.shots import WIDTH_PX, EditFinder
        from handroll.view.thumbnails import save_thumbnails

        probe = json.loads(Path(given.probe).read_text(encoding="utf-8"))
        finder = EditFinder()
        for frame in progress(read_frames(given.video, max_width_px=WIDTH_PX, max_height_px=WIDTH_PX), probe["n_frames"], "frames"):
            finder.see(frame.image, frame.time_s)
        edits = asdict(finder.edits())
        looked_at = spread(probe["n_frames"], params.settings["samples"])
        frames = list(read_frames(given.video, max_width_px=MAX_WIDTH_PX, indices=looked_at))
        hands = glance(frames)
        # A video without any hand is rejected for that, not for being cut up.
        seen = {"time_s": hands.time_s.tolist(), "hands": hands.hands.tolist()} if hands.hands.any() else None
        segments = playable(edits, seen)
        scores = {
            "editing": editing.measure(edits, seen),
            "camera_motion": camera_motion.measure(edits),
            "performers": performers.measure(hands.time_s, hands.sample, hands.landmarks_px, segments),
            "viewpoint": viewpoint.measure(hands=hands),
        }
        write_json(made.survey, {"segments": segments, "screen": scores, "edits": edits, "hands": hands.to_dict()})
        save_thumbnails([frame.image for frame in frames], made.thumbnails)
        log.info(
            "%d playable segments, %.1f s; at most %d hands", len(segments), scores["editing"]["playable_s"], hands.hands.max(initial=0)
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
