"""Choose the notes of a video: reads the transcription and the given MIDI, if any; writes the notes that the dataset uses.

agreement.json says where they come from ("given" or "transcribed"), the problem of a given MIDI that cannot be used,
and, where both exist, how well the transcription agrees with the given MIDI.
"""

from handroll.logs import step_log
from handroll.metrics.transcription import note_scores
from handroll.music.check import choose_notes
from handroll.music.midi import write_midi
from handroll.provenance import stamp
from handroll.schema import NOTES, PEDAL, read_table, write_json, write_table


def main(snakemake):
    """Take the performer's MIDI where it is given, else the transcription."""
    params, made = snakemake.params, snakemake.output
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        transcribed, facts = read_table(snakemake.input.notes, NOTES)
        pedal, _ = read_table(snakemake.input.pedal, PEDAL)
        notes, pedal, source, problem = choose_notes(transcribed, pedal, params.given)
        scores = note_scores(notes, transcribed) if source == "given" else None
        transcriber = "given MIDI" if source == "given" else facts.get("transcriber")
        metadata = facts | stamp(snakemake.rule, params.code, transcriber=transcriber)
        write_table(made.notes, NOTES, notes, metadata)
        write_table(made.pedal, PEDAL, pedal, metadata)
        write_midi(made.midi, notes, pedal)
        write_json(made.agreement, {"notes": source, "problem": problem, "transcription_against_given": scores})
        log.info("%d notes, %s%s", len(notes["pitch"]), source, f"; {problem['message']}" if problem else "")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
