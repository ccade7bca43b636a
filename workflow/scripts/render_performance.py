"""Render a simulated performance: writes the video and its ground truth (simulator.truth.Truth), which includes the audio delay."""

from pathlib import Path

from handroll.evaluation.videos import frame_size_px, sound_delay_s
from handroll.logs import step_log
from handroll.simulator.video import make_video


def main(snakemake):
    """Render the performance of the seed."""
    seed, made, settings = int(snakemake.wildcards.seed), snakemake.output, snakemake.params.settings
    with step_log(snakemake.log[0], f"{snakemake.rule} {seed}") as log:
        video = Path(made.video)
        width_px, height_px = frame_size_px(settings["width_px"])
        delay_s = sound_delay_s(seed)
        size = {"width_px": width_px, "height_px": height_px, "supersample": 1}
        make_video(None, seed, video.parent, settings["duration_s"], video.stem, settings["fps"], **size, sound_delay_s=delay_s)
        log.info("%g s at %d x %d px, audio %.0f ms late", settings["duration_s"], width_px, height_px, 1e3 * delay_s)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
