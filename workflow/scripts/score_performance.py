"""Score a simulated performance: reads its ground truth and the output of every step of the pipeline; writes the scores.

A score is a pair (numerator, denominator) or a list of samples, such as errors; see `evaluation.performance`.
"""

from handroll.evaluation import performance
from handroll.keyboard.registration import RegisteredKeyboard
from handroll.logs import step_log
from handroll.simulator.truth import read_truth
from handroll.storage import read_json, read_table, write_json
from handroll.tables import DETECTIONS, FINGERED_NOTES, MOTION, NOTES, POSE, by_frame


def main(snakemake):
    """Score every step of the pipeline."""
    given = snakemake.input
    with step_log(snakemake.log[0], f"{snakemake.rule} {snakemake.wildcards.seed}") as log:
        truth = read_truth(given.truth)
        tables = {
            name: by_frame(read_table(given[name], table)[0])
            for name, table in (("detections", DETECTIONS), ("pose", POSE), ("motion", MOTION))
        }
        transcribed, notes = read_table(given.transcribed, NOTES)[0], read_table(given.notes, FINGERED_NOTES)[0]
        registration, fingering = (read_json(given[name]) for name in ("registration", "fingering"))
        counts = performance.score_detection(truth, tables["detections"])
        counts |= performance.score_motion(truth, tables["motion"], tables["pose"])
        samples = {}
        for more_counts, more_samples in (
            performance.score_registration(truth, RegisteredKeyboard.from_dict(registration)),
            performance.score_music(truth, transcribed, fingering["audio_delay_s"]),
            performance.score_fingering(truth, notes, fingering["audio_delay_s"]),
        ):
            counts, samples = counts | more_counts, samples | more_samples
        write_json(snakemake.output.scores, {"counts": counts, "samples": samples})
        log.info("%d values scored", len(counts) + len(samples))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
