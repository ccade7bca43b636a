"""State dictionaries of untrusted files: only plain tensors, and a comparison that lists every problem at once."""

from collections import OrderedDict

import pytest
import torch

from handroll.safe_pickle import StandIn, UnreadableError
from handroll.state_dicts import expected_of, layout_problems, non_finite, state_dict_at

TENSORS = {"a": torch.zeros(3), "b": torch.nn.Parameter(torch.ones(2, 2))}


@pytest.mark.parametrize(
    ("content", "keys"), [(TENSORS, ()), ({"state_dict": TENSORS}, ("state_dict",)), ({"model": {"part": TENSORS}}, ("model", "part"))]
)
def test_tensors_are_found_under_their_keys(content, keys):
    state = state_dict_at(content, *keys)
    assert list(state) == ["a", "b"] and torch.equal(state["b"], torch.ones(2, 2)) and not state["b"].requires_grad


class WithAttributes(OrderedDict):
    """Replaces an ordered dictionary whose attributes a pickle has set."""

    items = get = keys = None


@pytest.mark.parametrize(
    ("content", "keys", "message"),
    [
        ([1, 2], (), "a list instead of a state dictionary"),
        (torch.zeros(3), ("model",), "no dictionary `model`, but a Tensor"),
        ({"gen_dict": {}, "epoch": 3}, ("state_dict",), "no dictionary `state_dict`, but a dictionary of gen_dict, epoch"),
        ({"model": {"note_model": TENSORS}}, ("model", "pedal_model"), "no dictionary `pedal_model`, but a dictionary of note_model"),
        ({"model": StandIn()}, ("model",), "no dictionary `model`, but the Python code .*, which was not run"),
        ({"model": {"a": StandIn()}}, ("model",), r"other objects than tensors: a \(the Python code .*, which was not run\)"),
        ({"model": {"a": StandIn}}, ("model",), r"a \(the Python code"),
        ({"model": {"a": 3}}, ("model",), r"other objects than tensors: a \(a int\)"),
        ({"model": {3: torch.zeros(1)}}, ("model",), "other objects than tensors: 3"),
        ({"model": {"a": torch.zeros(3).to_sparse()}}, ("model",), "other objects than tensors: a"),
        ({"model": {"a": torch.zeros(3, device="meta")}}, ("model",), "other objects than tensors: a"),
    ],
)
def test_everything_else_is_rejected(content, keys, message):
    with pytest.raises(UnreadableError, match=message):
        state_dict_at(content, *keys)


def test_a_dictionary_with_attributes_of_its_own():
    state = WithAttributes({"a": torch.zeros(3)})
    assert set(state_dict_at(WithAttributes({"state_dict": state}), "state_dict")) == {"a"}


def test_all_problems_of_a_layout_at_once():
    expected = expected_of(torch.nn.Linear(3, 2)) | {"half": ((2,), torch.float16), "any": ((2,), None), "free": ((2,), None)}
    state = {
        "weight": torch.zeros(2, 4),
        "half": torch.zeros(2),
        "any": torch.zeros(3),
        "free": torch.zeros(2).int(),
        "extra": torch.zeros(1),
    }
    assert layout_problems(state, expected) == (
        "without bias; with unknown extra; with weight (2, 4) float32 instead of (2, 3) float32, "
        "half (2,) float32 instead of (2,) float16, any (3,) instead of (2,)"
    )
    assert "extra" not in layout_problems(state, expected, unused=("extra",))
    assert layout_problems(torch.nn.Linear(3, 2).state_dict(), expected_of(torch.nn.Linear(3, 2))) == ""


def test_numbers_that_are_not_finite():
    assert non_finite({"a": torch.zeros(2), "b": torch.tensor([0.0, torch.nan]), "c": torch.tensor([torch.inf])}) == ["b", "c"]
