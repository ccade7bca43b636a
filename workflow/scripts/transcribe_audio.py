"""Transcribe the sound: reads audio.flac and screening.json; writes notes.parquet, pedal.parquet and notes.mid.

A video that gives no motion is not transcribed, and one without sound has no notes: both give empty tables.
"""

import json
from pathlib import Path

from handroll.logs import step_log
from handroll.music.audio import load_audio
from handroll.music.midi import write_midi
from handroll.music.transcribe import transcribe
from handroll.provenance import stamp
from handroll.schema import NOTES, PEDAL, write_table


def main(snakemake):
    """Transcribe with the configured engine."""
    params = snakemake.params
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        screening = json.loads(Path(snakemake.input.screening).read_text(encoding="utf-8"))
        notes, pedal, info = NOTES.empty(), PEDAL.empty(), {}
        if screening["usable_for_motion"]:
            samples, rate_hz = load_audio(snakemake.input.audio)
            notes, pedal, info = transcribe(samples, rate_hz, params.settings["engine"], {"threads": snakemake.threads})
            info["transcriber"] = " ".join(str(info[key]) for key in ("engine", "engine_version") if key in info)
        metadata = stamp(snakemake.rule, params.code, params.settings, **info)
        write_table(snakemake.output.notes, NOTES, notes, metadata)
        write_table(snakemake.output.pedal, PEDAL, pedal, metadata)
        write_midi(snakemake.output.midi, notes, pedal)
        log.info("%d notes, %d pedal presses", len(notes["pitch"]), len(pedal["onset_s"]))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
