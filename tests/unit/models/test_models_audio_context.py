import pytest
import torch

from handroll.models.audio_context import FeatureContext


@pytest.fixture
def context():
    torch.manual_seed(0)
    return FeatureContext(8, 32, 2).eval()


def test_no_layers_return_the_features_unchanged(arr):
    features = arr(1, 2, 10, 8)
    context = FeatureContext(8, 8, 0)
    assert torch.equal(context(features), features)
    assert not list(context.parameters())


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="expected width 16 to equal the number of features, found 8"):
        FeatureContext(8, 16, 0)
    with pytest.raises(ValueError, match="multiple of 16, found 24"):
        FeatureContext(8, 24, 1)


def test_any_number_of_frames_keeps_its_length(context, arr):
    assert [context(arr(2, 1, frames, 8)).shape for frames in (1, 7, 240)] == [(1, 1, 32), (1, 7, 32), (1, 240, 32)]


def test_equal_frames_differ_by_their_position(context):
    alike = torch.ones(1, 100, 8)
    found = context(alike)[0]
    assert (found[0] - found[30]).abs().max() > 1e-3
    assert torch.allclose(found[45], found[55], atol=1e-5)


def test_a_clip_is_the_same_in_any_batch(context, arr):
    features = arr(3, 3, 40, 8)
    assert torch.allclose(context(features)[1:2], context(features[1:2]), atol=1e-6)
