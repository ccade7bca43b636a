"""Probe a video file: reads the video and info.json; writes probe.json (size, times, rotation, streams, problems)."""

from handroll.logs import step_log
from handroll.media.probe import failed_probe, probe
from handroll.screening.metadata import measure_probe
from handroll.storage import read_json, write_json


def main(snakemake):
    """Probe the container, or write the reason why there is no video."""
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        info = read_json(snakemake.input.info)
        found = probe(snakemake.input.video) if info["status"] == "ok" else failed_probe(info["status"], info["message"])
        write_json(snakemake.output.probe, found.to_dict() | {"screening": measure_probe(found)})
        if found.joined_at_s:
            times = ", ".join(f"{time_s:.2f} s" for time_s in found.joined_at_s)
            log.warning(
                "the file is a concatenation of several recordings, which start at %s; their times are converted to continuous times", times
            )
        log.info("%s", found.message or f"{found.width_px}x{found.height_px}, {found.n_frames} frames in {found.duration_s:.1f} s")


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
