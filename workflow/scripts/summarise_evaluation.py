"""Summarise the evaluation: reads all scores, and the results of real videos; writes evaluation.json, a page and a reliability diagram."""

from handroll.evaluation.figures import reliability, summarise
from handroll.evaluation.plots import save_reliability
from handroll.evaluation.recordings import score_recording
from handroll.evaluation.table import full_table
from handroll.logs import step_log
from handroll.provenance import atomic_path
from handroll.storage import read_json, read_table, write_json
from handroll.tables import DETECTIONS, FINGERED_NOTES, MOTION, by_frame


def main(snakemake):
    """Summarise simulated performances, simulated scenes and real recordings."""
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    with step_log(snakemake.log[0], snakemake.rule) as log:
        scores, scenes = ([read_json(path) for path in paths] for paths in (given.scores, given.scenes))
        recordings = []
        for number, (subject, video) in enumerate(params.recordings):
            detections, motion = (by_frame(read_table(given[n][number], t)[0]) for n, t in (("detections", DETECTIONS), ("motion", MOTION)))
            notes = read_table(given.notes[number], FINGERED_NOTES)[0]
            facts = score_recording(detections, motion, notes, read_json(given.registration[number]))
            recordings.append({"subject": subject, "video": video} | facts)
        evaluation = {
            "about": {"performances": len(scores), "seeds": params.seeds, **params.settings},
            "figures": summarise(scores),
            "reliability": reliability(scores),
            "scenes": scenes,
            "recordings": recordings,
        }
        write_json(made.figures, evaluation)
        with atomic_path(made.page) as temporary:
            temporary.write_text(full_table(evaluation), encoding="utf-8")
        save_reliability(evaluation["reliability"], made.reliability)
        log.info("%d performances, %d kinds of scenes, %d recordings", len(scores), len(scenes), len(recordings))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
