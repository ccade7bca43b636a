"""The released metrics compared with results of the released code for the same random walks."""

from typing import NamedTuple

import numpy as np
import pytest

from handroll.metrics import pianomotion10m


class Expected(NamedTuple):
    total: float
    gesture: float
    mixture: float
    mixture_stranger: float
    position: float
    acceleration_truth: float
    acceleration_predicted: float
    smoothness: float


CLIPS = [
    Expected(396.5754, 1.002929, 0.152670, 0.291764, 1.037934, 1.367896, 1.045834, 0.322062),
    Expected(512.6010, 1.379233, 0.289926, 0.150291, 0.617461, 1.435257, 1.166842, 0.268414),
    Expected(-1008.3722, 0.872213, 0.282825, 0.191261, 0.627308, 1.200147, 0.900178, 0.299969),
    Expected(-1598.4133, 1.158742, 0.282618, 0.242819, 0.932369, 1.347315, 0.987341, 0.359975),
]
MIXTURE_TOLERANCE = 0.02  # scikit-learn and the linear algebra move the third digit


@pytest.fixture(params=range(4))
def clip(request, walk):
    """Truth, a blend of it with a stranger, and what the release's code gave."""
    truth = walk(1000 + request.param, 48)
    return request.param, truth, 0.7 * truth + 0.3 * walk(5000 + request.param, 48), CLIPS[request.param]


def test_the_release_figures_of_poses(clip, walk):
    index, truth, predicted, expected = clip
    assert truth.sum() == pytest.approx(expected.total, rel=1e-5)
    assert pianomotion10m.gesture_distance(predicted, truth) == pytest.approx(expected.gesture, rel=1e-4)
    assert pianomotion10m.mixture_distance(predicted, truth) == pytest.approx(expected.mixture, abs=MIXTURE_TOLERANCE)
    stranger = walk(9000 + index, 48)
    assert pianomotion10m.mixture_distance(stranger, truth) == pytest.approx(expected.mixture_stranger, abs=MIXTURE_TOLERANCE)
    assert pianomotion10m.acceleration(truth) == pytest.approx(expected.acceleration_truth, rel=1e-5)
    assert pianomotion10m.acceleration(predicted) == pytest.approx(expected.acceleration_predicted, rel=1e-5)
    assert pianomotion10m.smoothness_difference(predicted, truth) == pytest.approx(expected.smoothness, rel=1e-5)


def test_the_release_figures_of_positions(clip, walk):
    index, *_, expected = clip
    truth, predicted = walk(2000 + index, 3), walk(6000 + index, 3)
    assert pianomotion10m.position_distance(predicted, truth) == pytest.approx(expected.position, rel=1e-5)
    predicted[:, 2] += 9.0
    assert pianomotion10m.position_distance(predicted, truth) == pytest.approx(expected.position, rel=1e-5)


def test_differences_that_the_released_metrics_ignore(clip):
    _, truth, *_ = clip
    assert pianomotion10m.gesture_distance(truth, truth) == pytest.approx(0.0, abs=5e-5)
    assert pianomotion10m.mixture_distance(truth, truth) == pytest.approx(0.0, abs=1e-8)
    assert pianomotion10m.mixture_distance(truth + 5.0, truth) == pytest.approx(0.0, abs=1e-5)
    assert 0.5 < pianomotion10m.mixture_distance(10.0 * truth, truth) < 0.59
    shuffled = truth[[*np.random.default_rng(0).permutation(238), 238, 239]]
    assert pianomotion10m.smoothness_difference(shuffled, truth) == pytest.approx(0.0, abs=1e-9)


def test_the_release_figure_of_features():
    rng = np.random.default_rng(4242)
    truth = rng.normal(size=(400, 16))
    predicted = 1.3 * rng.normal(size=(400, 16)) + 0.2
    assert pianomotion10m.feature_distance(predicted, truth) == pytest.approx(2.749040, rel=1e-6)
    assert pianomotion10m.feature_distance(truth, truth) == pytest.approx(0.0, abs=1e-6)
    assert pianomotion10m.feature_distance(predicted[:300], truth) > 0.0
    assert pianomotion10m.paired_feature_distance(predicted, truth) == pytest.approx(np.abs(predicted - truth).mean() * 16)


def test_hidden_frames_and_other_shapes_are_refused(walk):
    truth = walk(1, 48)
    broken = truth.copy()
    broken[7, 3] = np.nan
    measures = (
        pianomotion10m.gesture_distance,
        pianomotion10m.mixture_distance,
        pianomotion10m.smoothness_difference,
        pianomotion10m.feature_distance,
    )
    for measure in measures:
        with pytest.raises(ValueError, match="NaN or infinity in 1 of 240 rows of predicted, first in row 7"):
            measure(broken, truth)
    with pytest.raises(ValueError, match=r"found \(239, 48\) \(predicted\) and \(240, 48\) \(truth\)"):
        pianomotion10m.gesture_distance(truth[1:], truth)
    with pytest.raises(ValueError, match=r"\(47,\) \(predicted\)"):
        pianomotion10m.feature_distance(truth[:, 1:], truth)
