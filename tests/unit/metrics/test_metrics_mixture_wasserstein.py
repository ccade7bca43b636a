"""Distance between mixtures: differences that the released metric ignores."""

import numpy as np
import pytest

from handroll.metrics.mixture_wasserstein import mixture_wasserstein
from handroll.metrics.pianomotion10m import mixture_distance


def test_equal_sets_are_at_distance_zero(walk):
    poses = walk(1000, 48)
    assert mixture_wasserstein(poses, poses) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("offset", [0.01, 0.3, 5.0])
def test_a_constant_offset_counts_in_full(walk, offset):
    poses = walk(1000, 48).astype(np.float64)
    assert mixture_wasserstein(poses, poses + offset) == pytest.approx(offset * np.sqrt(48.0), rel=1e-3)
    assert mixture_distance(poses + offset, poses) < 1e-5


def test_scale_counts(walk):
    poses = walk(1000, 48).astype(np.float64)
    centred = poses - poses.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=1).mean())
    # A Gaussian scaled by s is (s - 1) times its standard deviation away; the axes left out hold a little of it.
    assert mixture_wasserstein(centred, 3.0 * centred) == pytest.approx(2.0 * spread, rel=0.05)
    assert mixture_wasserstein(10.0 * poses, 30.0 * poses) == pytest.approx(10.0 * mixture_wasserstein(poses, 3.0 * poses), rel=0.01)


def test_nearer_motion_is_nearer(walk):
    for index in range(4):
        truth, stranger = walk(1000 + index, 48), walk(9000 + index, 48)
        distances = [mixture_wasserstein(truth, truth + share * (stranger - truth)) for share in (0.1, 0.3, 1.0)]
        assert distances == sorted(distances)
    truth, stranger = walk(1001, 48), walk(9001, 48)
    blend = 0.7 * truth + 0.3 * walk(5001, 48)
    assert mixture_wasserstein(blend, truth) < 0.5 * mixture_wasserstein(stranger, truth)
    assert mixture_distance(blend, truth) > 1.5 * mixture_distance(stranger, truth)


def test_two_clusters_differ_from_one_broad_cluster():
    rng = np.random.default_rng(0)
    two = np.concatenate([rng.normal(-1.0, 0.1, (500, 1)), rng.normal(1.0, 0.1, (500, 1))])
    one = rng.normal(0.0, two.std(), (1000, 1))
    assert mixture_wasserstein(two, one, components=1) < 0.1
    assert mixture_wasserstein(two, one, components=4) > 0.2


def test_both_ways_and_uneven_sets(walk):
    a, b = walk(1, 12), walk(2, 12)
    assert mixture_wasserstein(a, b, components=1) == pytest.approx(mixture_wasserstein(b, a, components=1), rel=1e-9)
    assert mixture_wasserstein(np.tile(a, (3, 1)), b, components=1) == pytest.approx(mixture_wasserstein(a, b, components=1), rel=1e-2)


def test_invalid_sets_are_refused(walk):
    poses = walk(1, 12)
    with pytest.raises(ValueError, match=r"with at least 8 samples, found the shape \(7, 12\)"):
        mixture_wasserstein(poses[:7], poses)
    with pytest.raises(ValueError, match="found 12 and 11"):
        mixture_wasserstein(poses, poses[:, 1:])
