"""Choose the notes of a video: reads the transcription, audio.flac and the given MIDI file, if any; writes the notes for the dataset.

agreement.json contains the source of the notes ("given" or "transcribed"), the reason why a given MIDI file is not used, the faults and
corrections of that file, every score with its limits, and the purity scores for the screening. If a given MIDI file is used, agreement.json
also contains its agreement with the transcription. A rejected video has no notes.
"""

from handroll.logs import step_log
from handroll.music.midi import write_midi
from handroll.provenance import stamp
from handroll.storage import read_table, write_json, write_table
from handroll.tables import NOTES, PEDAL


def main(snakemake):
    """Use the performer's MIDI file if there is one and it matches the audio; otherwise use the transcription."""
    params, made = snakemake.params, snakemake.output
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        notes, pedal, metadata, report = NOTES.empty(), PEDAL.empty(), {}, {"screening": {}}
        if params.rejected:
            log.info("rejected: %s", ", ".join(params.rejected))
        else:
            from handroll.media.audio import load_audio
            from handroll.metrics.transcription import note_scores
            from handroll.music.alignment.midi_selection import Limits, select_notes
            from handroll.music.alignment.unexplained_energy import measure_unexplained_energy
            from handroll.screening.purity import measure_purity

            transcribed, metadata = read_table(snakemake.input.notes, NOTES)
            transcribed_pedal, _ = read_table(snakemake.input.pedal, PEDAL)
            limits = Limits(**{name: value for name, value in params.settings.items() if name != "correct"})
            audio = load_audio(snakemake.input.audio)
            chosen = select_notes(transcribed, transcribed_pedal, params.given, *audio, limits, params.settings["correct"])
            notes, pedal, given = chosen.notes, chosen.pedal, chosen.report["notes"] == "given"
            if len(audio[0]) and "engine" in metadata:
                energy = measure_unexplained_energy(*audio, transcribed)
                report["screening"] = {"purity": measure_purity(energy.power, energy.foreign, energy.noise, energy.counted)}
            agreement = {"transcription_against_given": note_scores(notes, transcribed) if given else None}
            report |= chosen.report | agreement
            metadata |= {"transcriber": "given MIDI"} if given else {}
            # A given MIDI file that was not compared with the audio may have an offset to the audio.
            metadata |= {"notes_clock": "midi" if given and report["unchecked"] else "audio"}
            found = ", ".join(report["findings"]) or "no faults"
            log.info("%d notes, %s; %s", len(notes["pitch"]), report["notes"], report["unchecked"] or found)
            if report["problem"]:
                log.warning("%s", report["problem"]["message"])
        metadata |= stamp(snakemake.rule, params.code, params.settings)
        write_table(made.notes, NOTES, notes, metadata)
        write_table(made.pedal, PEDAL, pedal, metadata)
        write_midi(made.midi, notes, pedal)
        write_json(made.agreement, report)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
