"""Distances between samples of a clip, and between clips."""

import numpy as np
import pytest

from handroll.metrics.diversity import diversity_mm, multimodality_mm

FRAMES = 12


def at(*offsets_mm):
    """Motions (motion, frame, hand 2, joint 21, xyz 3), each standing at a place of its own along x."""
    return np.zeros((len(offsets_mm), FRAMES, 2, 21, 3)) + np.array([[x, 0.0, 0.0] for x in offsets_mm])[:, None, None, None]


@pytest.fixture
def visible():
    return np.ones((FRAMES, 2), dtype=bool)


def test_pairs_of_samples_are_averaged(visible):
    assert multimodality_mm(at(0.0, 3.0, 9.0), visible) == pytest.approx((3.0 + 9.0 + 6.0) / 3)
    assert multimodality_mm(at(5.0, 5.0), visible) == 0.0
    assert np.isnan(multimodality_mm(at(5.0), visible))


def test_hidden_frames_of_samples_do_not_count(visible):
    samples = at(0.0, 4.0)
    visible[3:, 0] = False
    samples[:, ~visible] = np.nan
    assert multimodality_mm(samples, visible) == pytest.approx(4.0)
    samples[1, 0, 0, 0] = np.nan
    assert np.isnan(multimodality_mm(samples, visible))


def test_every_clip_has_the_same_weight_in_the_diversity(visible):
    # From one place to the only other one in two pairs; the rest are equal.
    assert diversity_mm(at(*[0.0] * 9, 10.0), [visible] * 10) == pytest.approx(2.0)
    assert diversity_mm(at(*[7.0] * 4), [visible] * 4) == 0.0
    assert np.isnan(diversity_mm(at(7.0), [visible])) and np.isnan(diversity_mm([], []))


def test_the_diversity_estimates_the_mean_of_all_pairs(visible):
    places = np.random.default_rng(0).normal(0.0, 50.0, 400)
    apart = np.abs(places[:, None] - places)
    every_pair = apart.sum() / (400 * 399)
    rings = [diversity_mm(at(*places), [visible] * 400, seed) for seed in range(2)]
    assert rings == pytest.approx([every_pair] * 2, rel=0.1) and rings[0] != rings[1]
    assert diversity_mm(at(*places), [visible] * 400, seed=1) == rings[1]


def test_clips_are_compared_where_both_are_visible(visible):
    early, late = visible.copy(), visible.copy()
    early[8:], late[:4] = False, False
    motions = at(0.0, 4.0)
    motions[0, 8:], motions[1, :4] = np.nan, np.nan
    assert diversity_mm(motions, [early, late]) == pytest.approx(4.0)
    assert np.isnan(diversity_mm(motions, [early, ~early]))
