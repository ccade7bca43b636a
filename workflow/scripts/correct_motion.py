"""Correct the cleaned motion with music: reads motion.parquet, notes, audio and survey.json; writes corrected.parquet (tables.MOTION).

A video without a registered keyboard, without notes, or without the audio that the model needs keeps its motion. The log and the metadata
say why. A rejected video gives an empty table.
"""

import json
from pathlib import Path

from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import read_json, read_table, write_table
from handroll.tables import FINGERED_NOTES, MOTION, PEDAL, by_frame, by_row


def main(snakemake):
    """Correct observed frames, and fill gaps, with a trained model."""
    params, given = snakemake.params, snakemake.input
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        columns, facts = read_table(given.motion, MOTION)
        made = {}
        if not len(columns["frame"]):
            log.info("no motion")
        else:
            from handroll.camera import extrinsics_from_metadata
            from handroll.generation.video_correction import correct_video, video_recording
            from handroll.pose.engine import load_engine

            motion = by_frame(columns)
            notes, about = read_table(given.notes, FINGERED_NOTES)
            audio = Path(given.audio) if Path(given.audio).stat().st_size else None
            music = video_recording(
                float(motion["time_s"][-1, 0]), notes, read_table(given.pedal, PEDAL)[0], audio, float(about["audio_delay_s"])
            )
            motion, made = correct_video(
                motion,
                music,
                params.settings["checkpoint"],
                extrinsics_from_metadata(facts),
                load_engine(facts["pose_engine"]).joints(params.hand_model),
                params.settings["max_gap_s"],
                read_json(given.survey)["segments"],
            )
            columns = by_row(motion)
            if "uncorrected" in made:
                log.warning("the motion is not corrected: %s", made["uncorrected"])
            else:
                counts = made.pop("counts")
                made["corrector_counts"] = json.dumps(counts, sort_keys=True)
                log.info("%s", "; ".join(f"{hand}: {', '.join(f'{n} {name}' for name, n in of.items())}" for hand, of in counts.items()))
        settings = {"max_gap_s": params.settings["max_gap_s"]}
        write_table(snakemake.output.motion, MOTION, columns, facts | stamp(snakemake.rule, params.code, settings, **made))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
