"""Choose the notes of a video: reads the transcription and the given MIDI, if any; writes the notes that the dataset uses.

agreement.json says where they come from ("given" or "transcribed") and, where both exist, precision, recall and F1 of
the transcription against the given MIDI. A MIDI file that is named but missing or unreadable is a reason, not a crash.
"""

from handroll.logs import step_log
from handroll.music.check import choose_notes
from handroll.music.midi import write_midi
from handroll.provenance import stamp
from handroll.schema import NOTES, PEDAL, read_table, write_json, write_table


def main(snakemake):
    """Take the performer's MIDI where it is given, else the transcription."""
    params = snakemake.params
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        notes, facts = read_table(snakemake.input.notes, NOTES)
        pedal, _ = read_table(snakemake.input.pedal, PEDAL)
        notes, pedal, agreement = choose_notes(notes, pedal, params.given)
        metadata = facts | stamp(snakemake.rule, params.code, notes_source=agreement["notes_source"])
        write_table(snakemake.output.notes, NOTES, notes, metadata)
        write_table(snakemake.output.pedal, PEDAL, pedal, metadata)
        write_midi(snakemake.output.midi, notes, pedal)
        write_json(snakemake.output.agreement, agreement)
        log.info("notes %s: %s", agreement["notes_source"], agreement)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
