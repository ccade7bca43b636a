"""Cut a video into clips: reads motion, survey.json, fingered notes and audio; writes clips (tables.CLIPS) with rejection reasons.

A video without motion gives no clips. If the audio is rejected, the table contains the clips, but none is accepted.
"""

from functools import partial
from pathlib import Path

from handroll.logs import step_log
from handroll.provenance import stamp
from handroll.storage import read_json, read_table, write_table
from handroll.tables import CLIPS, FINGERED_NOTES, MOTION, by_frame


def main(snakemake):
    """Cut windows inside the usable segments; accept windows with visible hands and accepted audio."""
    params, wildcards, given = snakemake.params, snakemake.wildcards, snakemake.input
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(wildcards)}") as log:
        clips = CLIPS.empty()
        columns, _ = read_table(given.motion, MOTION)
        if len(columns["frame"]):
            from handroll.dataset.clips import cut_clips
            from handroll.metrics.key_press import find_presses, key_press_scores

            motion = by_frame(columns)
            notes, about = read_table(given.notes, FINGERED_NOTES)
            segments = read_json(given.survey)["segments"]
            time_s, joints = motion["time_s"][:, 0], motion["joints_keyboard_mm"]
            has_audio = Path(given.audio).stat().st_size > 0
            clips = cut_clips(
                motion,
                *wildcards,
                **params.settings,
                segments=segments,
                video_reasons=params.rejected,
                audio_path=Path(given.audio) if has_audio else None,
                audio_delay_s=float(about["audio_delay_s"]),
                note_onset_s=notes["onset_s"] if has_audio else None,
                scores_of=partial(key_press_scores, notes, time_s, joints, presses=find_presses(time_s, joints)),
            )
        write_table(snakemake.output.clips, CLIPS, clips, stamp(snakemake.rule, params.code, params.settings))
        log.info("%d of %d clips accepted", clips["accepted"].sum(), len(clips["accepted"]))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
