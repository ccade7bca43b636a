"""Draw hands and keys on the video: reads video, audio, motion, fingered notes and registration; writes overlay and contact sheet.

For a rejected video, overlay and contact sheet show only the rejection reasons.
"""

from handroll.logs import step_log
from handroll.reasons import Reason
from handroll.storage import read_json


def main(snakemake):
    """Draw the overlay and the contact sheet, or the rejection reasons."""
    given, made, rejected = snakemake.input, snakemake.output, snakemake.params.rejected
    name = "/".join(snakemake.wildcards)
    with step_log(snakemake.log[0], f"{snakemake.rule} {name}") as log:
        if rejected:
            from handroll.drawing.placeholder import save_placeholder

            save_placeholder(made.contact_sheet, name, [f"{reason}: {Reason(reason).sentence}" for reason in rejected], made.overlay)
            log.info("rejected: %s", ", ".join(rejected))
            return
        from handroll.camera import camera_from_metadata
        from handroll.drawing.contact_sheet import draw_contact_sheet, sheet_frames
        from handroll.drawing.overlay import draw_overlay
        from handroll.keyboard.registration import RegisteredKeyboard
        from handroll.media.audio import load_audio
        from handroll.storage import read_table
        from handroll.tables import FINGERED_NOTES, MOTION, by_frame

        columns, facts = read_table(given.motion, MOTION)
        motion, camera = by_frame(columns), camera_from_metadata(facts)
        notes, _ = read_table(given.notes, FINGERED_NOTES)
        found = RegisteredKeyboard.from_dict(read_json(given.registration))
        samples, rate_hz = load_audio(given.audio)
        sound = (samples, rate_hz) if len(samples) else None
        states = motion["state"]
        settings = {**snakemake.params.settings, "audio": sound, "title": name, "kept_frames": sheet_frames(len(states))}
        pictures = draw_overlay(given.video, motion, camera, notes, made.overlay, **settings, registered=found.drawing_inputs)
        draw_contact_sheet(pictures, states, made.contact_sheet, name)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
