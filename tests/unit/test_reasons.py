import re

import pytest

from handroll.config.pipeline import Config
from handroll.reasons import Reason, join_reasons, split_reasons


def test_every_reason_has_a_unique_description():
    for reason in Reason:
        assert reason == reason.name.lower() and str(reason) == reason.value
        assert reason.stops in ("motion", "audio")
        assert reason.description[0].isupper() and reason.description.endswith(".") and reason.description.count(". ") == 0
    assert len({reason.description for reason in Reason}) == len(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_sentence_describes_the_problem_and_gives_advice(reason):
    sentence = reason.sentence
    assert sentence == f"{reason.description[:-1]}: {reason.advice}."
    assert reason.advice and reason.advice[0].islower() and not reason.advice.endswith(".")
    # One sentence: no other full stop, and words instead of names of an enumeration.
    assert not re.search(r"[.!?] ", sentence) and "_" not in re.sub(r"`[^`]*`|HANDROLL_\w+", "", sentence)
    assert len(sentence.split()) <= 45


@pytest.mark.parametrize("reason", Reason)
def test_the_settings_that_a_reason_names_exist(reason):
    for key in re.findall(r"`([a-z_]+\.[a-z_.]+)`", reason.sentence):
        model = Config
        for part in key.split("."):
            assert part in model.model_fields, f"{reason}: no setting {key}"
            model = model.model_fields[part].annotation


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
