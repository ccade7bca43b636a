"""Label the fingering: reads notes, pedal and pose; writes the notes with hand and finger (tables.FINGERED_NOTES), and the pedal.

All written times are relative to the video's first frame: the audio delay, estimated from the fingertips, is subtracted from notes and
pedal. The notes are also written as MIDI and in the text formats of PIG and of RoboPianist. fingering.json contains the number of
labelled notes and the delay. The poses are those before refinement, so that fingertip heights do not depend on the notes. A rejected
video has no notes.
"""

from handroll.exchange.fingering_files import write_note_sequence, write_pig
from handroll.logs import step_log
from handroll.music.midi import write_midi
from handroll.provenance import stamp
from handroll.storage import read_table, write_json, write_table
from handroll.tables import FINGERED_NOTES, NOTES, PEDAL, POSE, State, by_frame


def main(snakemake):
    """Estimate the audio delay, then label every note."""
    params, made = snakemake.params, snakemake.output
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        fingered, pedal, facts, report = FINGERED_NOTES.empty(), PEDAL.empty(), {}, {"audio_delay_s": 0.0, "delay": None}
        if params.rejected:
            log.info("rejected: %s", ", ".join(params.rejected))
        else:
            from handroll.keyboard.fingering import label_fingering
            from handroll.music.alignment.video_clock import to_video_clock

            notes, facts = read_table(snakemake.input.notes, NOTES)
            pedal, _ = read_table(snakemake.input.pedal, PEDAL)
            pose = by_frame(read_table(snakemake.input.pose, POSE)[0])
            time_s, joints, state = pose["time_s"][:, 0], pose["joints_keyboard_mm"], pose["found"] * State.OBSERVED
            notes, pedal, report = to_video_clock(notes, pedal, time_s, joints, state, facts["notes_clock"])
            fingered = {**notes, **label_fingering(notes, time_s, joints, state, **params.settings)}
            log.info("%s", report["delay"]["words"])
        figures = {"notes": len(fingered["pitch"]), "labelled": int((fingered["finger"] > 0).sum())}
        log.info("%d of %d notes labelled", figures["labelled"], figures["notes"])
        metadata = facts | stamp(snakemake.rule, params.code, params.settings, audio_delay_s=report["audio_delay_s"])
        write_table(made.notes, FINGERED_NOTES, fingered, metadata)
        write_table(made.pedal, PEDAL, pedal, metadata)
        write_midi(made.midi, fingered, pedal)
        write_pig(made.pig, fingered)
        write_note_sequence(made.robopianist, fingered)
        write_json(made.summary, figures | report)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
