"""Find the usable segments: reads observed.json; writes survey.json.

survey.json contains the usable segments (`segments`: start_s, end_s), the scores (`screening`), and a copy of `edits` and `hands` from
observed.json. A rejected video has no segments and no scores.
"""

from handroll.logs import step_log
from handroll.storage import read_json, write_json


def main(snakemake):
    """Compute segments and scores from the observations."""
    with step_log(snakemake.log[0], f"{snakemake.rule} {'/'.join(snakemake.wildcards)}") as log:
        observed = read_json(snakemake.input.observed)
        if not observed:
            write_json(snakemake.output.survey, {"segments": [], "screening": {}})
            return
        from handroll.detection.frame_sampling import HandSamples
        from handroll.editing.usable_segments import usable_segments
        from handroll.screening.editing import measure_camera_motion, measure_editing
        from handroll.screening.performers import measure_performers
        from handroll.screening.viewpoint import measure_viewpoint

        edits, hands = observed["edits"], HandSamples.from_dict(observed["hands"])
        # Hand counts are not used if no hand is detected, so that the rejection reason is the missing hands and not the edits.
        hand_counts = {"time_s": hands.time_s.tolist(), "hands": hands.hands.tolist()} if hands.hands.any() else None
        segments = usable_segments(edits, hand_counts)
        scores = {
            "editing": measure_editing(edits, hand_counts),
            "camera_motion": measure_camera_motion(edits),
            "performers": measure_performers(hands.time_s, hands.sample, hands.landmarks_px, segments),
            "viewpoint": measure_viewpoint(hands=hands),
        }
        write_json(snakemake.output.survey, {"segments": segments, "screening": scores, **observed})
        log.info("%d usable segments, %.1f s", len(segments), scores["editing"]["usable_s"])


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
