import pytest

from handroll.screen.reasons import Reason, join_reasons, split_reasons


def test_every_reason_explains_itself():
    for reason in Reason:
        assert reason == reason.name.lower() and str(reason) == reason.value
        assert reason.stops in ("motion", "sound")
        assert reason.description[0].isupper() and reason.description.endswith(".") and reason.description.count(". ") == 0
    assert len({reason.description for reason in Reason}) == len(Reason)


def test_a_reason_is_its_name():
    assert Reason("too_long") is Reason.TOO_LONG and Reason.NO_AUDIO == "no_audio"
    with pytest.raises(ValueError, match="no_such"):
        Reason("no_such")


def test_cells():
    assert join_reasons([Reason.NO_AUDIO, "too_long"]) == "no_audio,too_long"
    assert split_reasons("no_audio,too_long") == (Reason.NO_AUDIO, Reason.TOO_LONG)
    assert join_reasons([]) == "" and split_reasons("") == ()
    with pytest.raises(ValueError, match="nonsense"):
        join_reasons(["nonsense"])
