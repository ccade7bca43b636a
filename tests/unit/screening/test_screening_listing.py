from handroll.config.pipeline import Screening
from handroll.config.sheet import Video
from handroll.reasons import Reason
from handroll.screening.listing import measure_listing
from handroll.screening.verdict import judge

THRESHOLDS = Screening().model_dump()


def row(**facts):
    return Video(subject="anna", video="one", source="https://example.org/one", **facts)


def test_unknown_facts_are_not_judged():
    assert measure_listing(row()) == {"problems": [], "screening": {}}
    assert judge([measure_listing(row(width_px=640))], THRESHOLDS).reasons == ()


def test_nothing_overrules_a_takedown():
    assert judge([measure_listing(row(duration_s=90.0), taken_down=True)], THRESHOLDS, "accept").reasons == (Reason.TAKEN_DOWN,)


def test_a_listing_is_enough_for_a_rejection():
    assert judge([measure_listing(row(duration_s=5.0))], THRESHOLDS).reasons == (Reason.TOO_SHORT,)
    assert judge([measure_listing(row(width_px=360, height_px=640))], THRESHOLDS).reasons == (Reason.LOW_RESOLUTION,)
    assert judge([measure_listing(row(duration_s=90.0, width_px=1080, height_px=1920))], THRESHOLDS).reasons == ()
