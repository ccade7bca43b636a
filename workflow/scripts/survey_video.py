"""Survey a video: reads the video and probe.json; writes observed.json and a strip of thumbnails.

observed.json contains `edits` (editing.edit_detection.Edits) and `hands` (detection.frame_sampling.HandSamples). The rule find_segments
reads it. A rejected video is not decoded; it gives an empty JSON object and an empty image file.
"""

from dataclasses import asdict
from pathlib import Path

from handroll.logs import progress, step_log
from handroll.storage import read_json, write_json


def main(snakemake):
    """Detect edits in all frames at a small size, and hands in some frames at the detector's size."""
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        if params.rejected:
            write_json(made.observed, {})
            Path(made.thumbnails).touch()
            log.info("rejected: %s", ", ".join(params.rejected))
            return
        from handroll.detection.frame_sampling import evenly_spaced, sample_hands
        from handroll.detection.hand_tracker import MAX_WIDTH_PX
        from handroll.drawing.thumbnails import save_thumbnails
        from handroll.editing.edit_detection import MAX_SIDE_PX, EditDetector
        from handroll.media.frames import read_frames

        probe = read_json(given.probe)
        detector = EditDetector()
        for frame in progress(read_frames(given.video, max_width_px=MAX_SIDE_PX, max_height_px=MAX_SIDE_PX), probe["n_frames"], "frames"):
            detector.add_frame(frame.image, frame.time_s)
        sampled = evenly_spaced(probe["n_frames"], params.settings["samples"])
        frames = list(read_frames(given.video, max_width_px=MAX_WIDTH_PX, indices=sampled))
        hands = sample_hands(frames)
        write_json(made.observed, {"edits": asdict(detector.edits()), "hands": hands.to_dict()})
        save_thumbnails([frame.image for frame in frames], made.thumbnails)
        log.info("at most %d hands in a frame; %d frames sampled", hands.hands.max(initial=0), len(frames))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
