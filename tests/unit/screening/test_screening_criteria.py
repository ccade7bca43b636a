"""The table of criteria: complete, in agreement with the configuration, and every decision at its thresholds."""

import pytest

from handroll.config.pipeline import Screening
from handroll.reasons import Reason
from handroll.screening.criteria import CRITERIA
from handroll.screening.thresholds import COMPARISONS, Criterion, Limit

THRESHOLDS = Screening().model_dump()
NOT_COMPARED = {"audio": {"required"}, "viewpoint": {"side_view_deg"}}
"""Keys of the configuration that only `adjust` reads."""


def decide(criterion, scores, **thresholds):
    """Decide with the default configuration, except for these thresholds."""
    return CRITERIA[criterion].decide(scores, THRESHOLDS[criterion] | thresholds)


def test_every_criterion_has_its_section_of_the_configuration():
    assert {name for name, value in THRESHOLDS.items() if isinstance(value, dict)} == set(CRITERIA)


@pytest.mark.parametrize("name", CRITERIA)
def test_every_key_of_the_configuration_is_compared_with_a_score(name):
    limits = CRITERIA[name].limits
    assert {limit.threshold for limit in limits} | NOT_COMPARED.get(name, set()) == set(THRESHOLDS[name])
    assert {limit.score for limit in limits} <= set(CRITERIA[name].scores)
    for limit in limits:
        assert limit.comparison == {"min": ">=", "max": "<="}[limit.threshold.split("_")[0]]


def test_no_two_criteria_share_a_score():
    names = [score for criterion in CRITERIA.values() for score in criterion.scores]
    assert len(set(names)) == len(names)


def test_limits():
    low, high = Limit("a", ">=", "min_a", Reason.TOO_SHORT), Limit("b", "<=", "max_b", Reason.TOO_LONG)
    other = Limit("b", ">=", "min_b", Reason.TOO_SHORT)
    criterion = Criterion("", ("a", "b"), (low, high, other))
    thresholds = {"min_a": 1.0, "max_b": 5.0, "min_b": 3.0}
    assert set(COMPARISONS) == {">=", "<="}
    assert criterion.decide({"a": 1.0, "b": 5.0}, thresholds) == ()
    assert criterion.decide({"a": 0.9, "b": 5.1}, thresholds) == (Reason.TOO_SHORT, Reason.TOO_LONG)
    # A reason is reported once, and an unknown score is no reason.
    assert criterion.decide({"a": 0.9, "b": 2.9}, thresholds) == (Reason.TOO_SHORT,)
    assert criterion.decide({"a": None, "b": None}, thresholds) == ()


@pytest.mark.parametrize(
    ("short", "long", "passes"), [(1080, 1920, True), (2160, 3840, True), (1079, 1920, False), (1080, 1919, False), (360, 640, False)]
)
def test_resolution(short, long, passes):
    reasons = decide("resolution", {"short_side_px": short, "long_side_px": long}, min_short_side_px=1080, min_long_side_px=1920)
    assert reasons == (() if passes else (Reason.LOW_RESOLUTION,))


@pytest.mark.parametrize(("seconds", "reasons"), [(29.9, (Reason.TOO_SHORT,)), (30.0, ()), (7200.0, ()), (7200.1, (Reason.TOO_LONG,))])
def test_duration(seconds, reasons):
    assert decide("duration", {"duration_s": seconds}, min_s=30.0, max_s=7200.0) == reasons


@pytest.mark.parametrize(
    ("has_audio", "sound_s", "reasons"),
    [(True, 0.1, ()), (True, 0.0, (Reason.AUDIO_EMPTY,)), (False, 0.0, (Reason.NO_AUDIO,))],
)
def test_audio(has_audio, sound_s, reasons):
    scores = {"has_audio": has_audio, "sound_s": sound_s}
    assert decide("audio", scores, required=True) == reasons
    assert decide("audio", scores, required=False) == ()


@pytest.mark.parametrize(
    ("usable_s", "longest_s", "reasons"),
    [(20.0, 10.0, ()), (19.9, 10.0, (Reason.CUT_UP,)), (20.0, 9.9, (Reason.CUT_UP,)), (0.0, 0.0, (Reason.CUT_UP,))],
)
def test_editing(usable_s, longest_s, reasons):
    scores = {"usable_s": usable_s, "longest_usable_s": longest_s}
    assert decide("editing", scores, min_usable_s=20.0, min_longest_s=10.0) == reasons


@pytest.mark.parametrize(("share", "reasons"), [(0.2, ()), (0.21, (Reason.CAMERA_MOVES,))])
def test_camera_motion(share, reasons):
    assert decide("camera_motion", {"moving_share": share}, max_moving_share=0.2) == reasons


@pytest.mark.parametrize(
    ("one", "two", "more", "reasons"),
    [
        (1.0, 1.0, 0.1, ()),
        (1.0, 1.0, 0.11, (Reason.MORE_THAN_TWO_HANDS,)),
        (0.3, 0.3, 0.5, (Reason.MORE_THAN_TWO_HANDS,)),
        (0.5, 0.4, 0.0, ()),
        (0.49, 0.4, 0.0, (Reason.HANDS_RARELY_VISIBLE,)),
        (1.0, 0.39, 0.0, (Reason.HANDS_RARELY_VISIBLE,)),
        (0.0, 0.0, 0.0, (Reason.NO_HANDS,)),
    ],
)
def test_performers(one, two, more, reasons):
    scores = {"samples": 40, "one_hand_seen": one, "two_hands_seen": two, "more_than_two_hands": more}
    thresholds = {"max_more_than_two_hands": 0.1, "min_one_hand_seen": 0.5, "min_two_hands_seen": 0.4}
    assert decide("performers", scores, **thresholds) == reasons
    assert decide("performers", scores | {"samples": 0}, **thresholds) == ()


def test_minimums_of_zero_accept_a_video_without_hands():
    none = {"samples": 12, "one_hand_seen": 0.0, "two_hands_seen": 0.0, "more_than_two_hands": 0.0}
    assert decide("performers", none, min_one_hand_seen=0.0, min_two_hands_seen=0.0) == ()


@pytest.mark.parametrize(
    ("tilt_deg", "reasons"),
    [
        (None, ()),
        (0.0, ()),
        (26.0, ()),
        (26.1, (Reason.TILTED_VIEW,)),
        (54.9, (Reason.TILTED_VIEW,)),
        (55.0, (Reason.SIDE_VIEW,)),
    ],
)
def test_viewpoint(tilt_deg, reasons):
    assert decide("viewpoint", {"tilt_deg": tilt_deg}, max_tilt_deg=26.0, side_view_deg=55.0) == reasons


def test_an_accepted_tilt_is_no_side_view():
    assert decide("viewpoint", {"tilt_deg": 60.0}, max_tilt_deg=70.0, side_view_deg=55.0) == ()


@pytest.mark.parametrize(
    ("loud_db", "silent_share", "reasons"),
    [(-60.0, 0.2, ()), (-60.1, 0.2, (Reason.SOUND_SILENT,)), (-60.0, 0.21, (Reason.SOUND_SILENT,)), (-120.0, 1.0, (Reason.SOUND_SILENT,))],
)
def test_silence(loud_db, silent_share, reasons):
    scores = {"loud_db": loud_db, "silent_share": silent_share}
    assert decide("silence", scores, min_loud_db=-60.0, max_silent_share=0.2) == reasons


@pytest.mark.parametrize(("criterion", "reason"), [("clipping", Reason.SOUND_CLIPPED), ("speech", Reason.SPEECH)])
def test_clipping_and_speech(criterion, reason):
    (limit,) = CRITERIA[criterion].limits
    for share, reasons in ((0.5, ()), (0.51, (reason,))):
        assert decide(criterion, {limit.score: share}, **{limit.threshold: 0.5}) == reasons


@pytest.mark.parametrize(
    ("both", "either", "min_both", "min_any", "reasons"),
    [
        (0.8, 0.9, 0.8, 0.9, ()),
        (0.8, 0.89, 0.8, 0.9, (Reason.HANDS_RARELY_VISIBLE,)),
        (0.79, 1.0, 0.8, 0.9, (Reason.HANDS_RARELY_VISIBLE,)),
        (0.0, 1.0, 0.8, 0.0, (Reason.HANDS_RARELY_VISIBLE,)),
        (0.0, 1.0, 0.0, 0.9, ()),
        (0.0, 0.0, 0.0, 0.9, (Reason.NO_HANDS,)),
        (0.0, 0.0, 0.8, 0.0, (Reason.NO_HANDS,)),
        (0.0, 0.0, 0.0, 0.0, ()),
    ],
)
def test_visibility(both, either, min_both, min_any, reasons):
    scores = {"both_hands": both, "any_hand": either}
    assert decide("visibility", scores, min_both_hands=min_both, min_any_hand=min_any) == reasons


@pytest.mark.parametrize(
    ("foreign_db", "lasting_db", "noise_db", "reasons"),
    [
        (-8.0, -55.0, -20.0, ()),
        (-7.9, -90.0, None, (Reason.SOUND_IMPURE,)),
        (-30.0, -54.9, None, (Reason.SOUND_IMPURE,)),
        (-90.0, -90.0, -19.9, (Reason.SOUND_NOISY,)),
        (0.0, 0.0, 0.0, (Reason.SOUND_IMPURE, Reason.SOUND_NOISY)),
    ],
)
def test_purity(foreign_db, lasting_db, noise_db, reasons):
    scores = {"foreign_db": foreign_db, "lasting_db": lasting_db, "noise_db": noise_db}
    assert decide("purity", scores, max_foreign_db=-8.0, max_lasting_db=-55.0, max_noise_db=-20.0) == reasons
