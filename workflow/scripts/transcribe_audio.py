"""Transcribe the audio: reads audio.flac; writes notes.parquet, pedal.parquet and notes.mid.

A rejected video, or a video without audio, gives empty tables.
"""

from handroll.logs import step_log
from handroll.music.midi import write_midi
from handroll.provenance import stamp
from handroll.storage import write_table
from handroll.tables import NOTES, PEDAL


def main(snakemake):
    """Transcribe the audio with the configured engine."""
    params, made = snakemake.params, snakemake.output
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        notes, pedal, info = NOTES.empty(), PEDAL.empty(), {}
        if params.rejected:
            log.info("rejected: %s", ", ".join(params.rejected))
        else:
            from handroll.media.audio import load_audio
            from handroll.music.transcribe import transcribe

            samples, rate_hz = load_audio(snakemake.input.audio)
            engine, device, options = (params.settings[name] for name in ("engine", "device", "options"))
            options = {"threads": snakemake.threads, "device": device, **options}
            notes, pedal, info = transcribe(samples, rate_hz, engine, options)
            info["transcriber"] = " ".join(str(info[key]) for key in ("engine", "engine_version") if key in info)
            log.info("%d notes, %d pedal presses", len(notes["pitch"]), len(pedal["onset_s"]))
        # The metadata do not contain the path of the weights, because a hash identifies the weights.
        options = {name: value for name, value in params.settings["options"].items() if name != "checkpoint"}
        metadata = stamp(snakemake.rule, params.code, {**params.settings, "options": options}, **info)
        write_table(made.notes, NOTES, notes, metadata)
        write_table(made.pedal, PEDAL, pedal, metadata)
        write_midi(made.midi, notes, pedal)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
