"""Extract the audio: reads the video and probe.json; writes audio.flac (mono), whose first sample is at the time of the first frame.

A rejected video, or a video without audio, gives an empty file, which `handroll.media.audio.load_audio` reads as no samples.
"""

from pathlib import Path

from handroll.logs import step_log
from handroll.storage import read_json


def main(snakemake):
    """Decode the audio and align it with the first frame."""
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        if snakemake.params.rejected:
            Path(snakemake.output.audio).touch()
            log.info("rejected: %s", ", ".join(snakemake.params.rejected))
            return
        from handroll.media.audio import extract_audio
        from handroll.media.probe import Probe

        probe = Probe.from_dict(read_json(snakemake.input.probe))
        seconds = extract_audio(snakemake.input.video, snakemake.output.audio, probe)
        log.info("%.2f s of audio", seconds)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
