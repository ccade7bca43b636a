"""Label the fingering: reads notes and pose; writes the notes with hand and finger (schema.FINGERED_NOTES).

Beside the table: the same as text in the formats of PIG and of RoboPianist, and fingering.json with the coverage and the
delay of the sound. The poses are those by sight alone, so that heights do not come from the notes. A rejected video has no notes.
"""

from math import isfinite

from handroll.dataset.fingering_files import write_note_sequence, write_pig
from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.schema import FINGERED_NOTES, NOTES, POSE, State, by_frame, read_table, write_json, write_table


def main(snakemake):
    """The delay first, then every note."""
    params, made = snakemake.params, snakemake.output
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        fingered, facts, delay_s, figures = FINGERED_NOTES.empty(), {}, 0.0, {"notes": 0, "labelled": 0}
        if params.rejected:
            log.info("rejected: %s", ", ".join(params.rejected))
        else:
            from handroll.keyboard.delay import find_delay
            from handroll.keyboard.fingering import label_fingering

            notes, facts = read_table(snakemake.input.notes, NOTES)
            pose = by_frame(read_table(snakemake.input.pose, POSE)[0])
            time_s, joints, state = pose["time_s"][:, 0], pose["joints_keyboard_mm"], pose["found"] * State.OBSERVED
            delay_s, delay = find_delay(notes, time_s, joints, state)
            fingered = {**notes, **label_fingering(notes, time_s, joints, state, delay_s, **params.settings)}
            estimate = {name: value if isfinite(value) else None for name, value in vars(delay).items()}
            figures = {"notes": len(notes["pitch"]), "labelled": int((fingered["finger"] > 0).sum()), "delay_estimate": estimate}
            log.info("%d of %d notes labelled, sound %.0f ms late", figures["labelled"], figures["notes"], 1e3 * delay_s)
        metadata = facts | stamp(snakemake.rule, params.code, params.settings, audio_delay_s=delay_s)
        write_table(made.notes, FINGERED_NOTES, fingered, metadata)
        write_pig(made.pig, fingered)
        write_note_sequence(made.robopianist, fingered)
        write_json(made.summary, figures | {"audio_delay_s": delay_s})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
