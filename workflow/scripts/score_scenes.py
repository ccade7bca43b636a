"""Register the keyboard in simulated scenes of one kind: writes numbers of registered, refused and wrong scenes, and maximum errors."""

from handroll.evaluation.scene_summary import scene_seeds, score_scenes
from handroll.logs import progress, step_log
from handroll.storage import write_json


def main(snakemake):
    """Register and score every scene."""
    kind, settings = snakemake.wildcards.kind, snakemake.params.settings
    with step_log(snakemake.log[0], f"{snakemake.rule} {kind}") as log:
        seeds = scene_seeds(kind, **settings)
        summary = score_scenes(kind, progress(seeds, len(seeds), "scenes"))
        write_json(snakemake.output.scenes, summary)
        log.info("%d of %d scenes registered, %d of them wrong", summary["registered"], summary["scenes"], summary["wrong"])


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
