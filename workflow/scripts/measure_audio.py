"""Measure the audio: reads audio.flac; writes audio.json, the scores of silence, clipping and speech for the screening.

A rejected video, or a video without audio, has no scores.
"""

from handroll.logs import step_log
from handroll.storage import write_json


def main(snakemake):
    """Measure silence, clipping and speech."""
    params = snakemake.params
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        scores = {}
        if params.rejected:
            log.info("rejected: %s", ", ".join(params.rejected))
        else:
            from handroll.media.audio import load_audio
            from handroll.music.speech import speech_probability
            from handroll.screening.audio_quality import measure_clipping, measure_silence, measure_speech

            samples, rate_hz = load_audio(snakemake.input.audio)
            if len(samples):
                probability, _ = speech_probability(samples, rate_hz, params.settings["classifier"], snakemake.threads)
                scores = {
                    "silence": measure_silence(samples, rate_hz),
                    "clipping": measure_clipping(samples),
                    "speech": measure_speech(probability),
                }
                log.info("speech in %.1f %% of the time", 100 * scores["speech"]["speech_share"])
        write_json(snakemake.output.scores, {"screening": scores})


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
