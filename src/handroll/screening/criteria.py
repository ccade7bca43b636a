"""All screening criteria: a table of the scores, the thresholds that they are compared with, and the rejection reasons.

The functions `measure_...` in the other modules of this folder compute the scores. `thresholds` compares a score with its threshold,
which is a key in the section `screening.<criterion>` of the configuration. `verdict` collects the decisions of all criteria.

To add a criterion, add a row to `CRITERIA`, a section with its thresholds to `handroll.config.pipeline.Screening`, and its scores to
the JSON file of the step that can measure them first.
"""

from handroll.reasons import Reason
from handroll.screening.thresholds import Criterion, Limit


def _audio_reasons(reasons, scores, thresholds):
    """Return the reason to reject a video without audio, if the threshold `required` is true."""
    if not thresholds["required"] or scores["sound_s"] > 0.0:
        return ()
    return (Reason.AUDIO_EMPTY,) if scores["has_audio"] else (Reason.NO_AUDIO,)


def _performers_reasons(reasons, scores, thresholds):
    """Return the final reasons of the criterion `performers`.

    A video without samples has no reasons. `HANDS_RARELY_VISIBLE` is not reported together with `MORE_THAN_TWO_HANDS`. Without any hand,
    the reason is `NO_HANDS`.
    """
    if not scores["samples"]:
        return ()
    if Reason.MORE_THAN_TWO_HANDS in reasons:
        return (Reason.MORE_THAN_TWO_HANDS,)
    return _report_no_hands(reasons, scores["one_hand_seen"])


def _visibility_reasons(reasons, scores, thresholds):
    """Return `NO_HANDS` instead of the reasons if no frame shows a hand."""
    return _report_no_hands(reasons, scores["any_hand"])


def _report_no_hands(reasons, any_hand):
    """Return `NO_HANDS` instead of the reasons, if there are any, if no frame shows a hand.

    `any_hand`: share of the frames with a hand, 0..1.
    """
    return (Reason.NO_HANDS,) if reasons and not any_hand > 0.0 else reasons


def _viewpoint_reasons(reasons, scores, thresholds):
    """Return `SIDE_VIEW` instead of the reasons for a rejected tilt of at least the threshold `side_view_deg`."""
    return (Reason.SIDE_VIEW,) if reasons and scores["tilt_deg"] >= thresholds["side_view_deg"] else reasons


CRITERIA = {
    "resolution": Criterion(
        "The frame is large enough, in either orientation.",
        scores=("short_side_px", "long_side_px"),
        limits=(
            Limit("short_side_px", ">=", "min_short_side_px", Reason.LOW_RESOLUTION),
            Limit("long_side_px", ">=", "min_long_side_px", Reason.LOW_RESOLUTION),
        ),
    ),
    "duration": Criterion(
        "The video is long enough for a clip and short enough to be one performance.",
        scores=("duration_s",),
        limits=(
            Limit("duration_s", ">=", "min_s", Reason.TOO_SHORT),
            Limit("duration_s", "<=", "max_s", Reason.TOO_LONG),
        ),
    ),
    "audio": Criterion(
        "An audio stream covers some of the video. Silence is measured by `silence`, and again for each clip.",
        scores=("has_audio", "sound_s"),
        adjust=_audio_reasons,
    ),
    "editing": Criterion(
        "The usable segments are long enough. Cuts, titles and insets are trimmed and are no reason for a rejection.",
        scores=(
            *("usable_s", "usable_share", "longest_usable_s", "segments"),
            *("cuts", "jumps", "fades", "black_s", "frozen_s", "title_s", "inset_s"),
        ),
        limits=(
            Limit("usable_s", ">=", "min_usable_s", Reason.CUT_UP),
            Limit("longest_usable_s", ">=", "min_longest_s", Reason.CUT_UP),
        ),
    ),
    "camera_motion": Criterion(
        "The camera is static. Short movements between static views are trimmed; a hand-held camera is rejected.",
        scores=("moving_s", "moving_share", "camera_shift", "camera_zoom", "places"),
        limits=(Limit("moving_share", "<=", "max_moving_share", Reason.CAMERA_MOVES),),
    ),
    "performers": Criterion(
        "One person plays, with two hands, in sampled frames.",
        scores=("samples", "one_hand_seen", "two_hands_seen", "more_than_two_hands", "most_hands"),
        limits=(
            Limit("more_than_two_hands", "<=", "max_more_than_two_hands", Reason.MORE_THAN_TWO_HANDS),
            Limit("one_hand_seen", ">=", "min_one_hand_seen", Reason.HANDS_RARELY_VISIBLE),
            Limit("two_hands_seen", ">=", "min_two_hands_seen", Reason.HANDS_RARELY_VISIBLE),
        ),
        adjust=_performers_reasons,
    ),
    "viewpoint": Criterion(
        "The camera looks down at the keyboard.",
        scores=("tilt_deg", "tilt_source", "tilt_side", "hands_tilt_deg"),
        limits=(Limit("tilt_deg", "<=", "max_tilt_deg", Reason.TILTED_VIEW),),
        adjust=_viewpoint_reasons,
    ),
    "silence": Criterion(
        "The audio is audible, without long silences.",
        scores=("loud_db", "silent_share"),
        limits=(
            Limit("loud_db", ">=", "min_loud_db", Reason.SOUND_SILENT),
            Limit("silent_share", "<=", "max_silent_share", Reason.SOUND_SILENT),
        ),
    ),
    "clipping": Criterion(
        "The audio is not clipped.",
        scores=("clipped_share",),
        limits=(Limit("clipped_share", "<=", "max_clipped_share", Reason.SOUND_CLIPPED),),
    ),
    "speech": Criterion(
        "Nobody speaks.",
        scores=("speech_share",),
        limits=(Limit("speech_share", "<=", "max_speech_share", Reason.SPEECH),),
    ),
    "visibility": Criterion(
        "Both hands are detected in the frames of the usable segments. A minimum above 0 for both hands rejects one-handed playing.",
        scores=("both_hands", "any_hand", "left_hand", "right_hand"),
        limits=(
            Limit("both_hands", ">=", "min_both_hands", Reason.HANDS_RARELY_VISIBLE),
            Limit("any_hand", ">=", "min_any_hand", Reason.HANDS_RARELY_VISIBLE),
        ),
        adjust=_visibility_reasons,
    ),
    "purity": Criterion(
        "The audio contains the piano alone: neither other sound sources nor steady noise.",
        scores=("foreign_db", "lasting_db", "noise_db"),
        limits=(
            Limit("foreign_db", "<=", "max_foreign_db", Reason.SOUND_IMPURE),
            Limit("lasting_db", "<=", "max_lasting_db", Reason.SOUND_IMPURE),
            Limit("noise_db", "<=", "max_noise_db", Reason.SOUND_NOISY),
        ),
    ),
}
"""Every criterion by name, in the order in which reasons are reported."""
