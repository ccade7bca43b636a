"""Confidence intervals over clips: their coverage, and resampling of clips."""

import numpy as np
import pytest

from handroll.metrics.bootstrap import mean_over_clips, statistic_over_clips
from handroll.metrics.frechet import fit_gaussian, frechet_distance


def test_the_interval_of_a_mean_is_the_textbooks():
    scores = np.random.default_rng(0).normal(3.0, 2.0, 400)
    estimate = mean_over_clips(scores)
    assert estimate.value == pytest.approx(scores.mean()) and (estimate.clips, estimate.left_out) == (400, 0)
    half_width = 1.96 * scores.std() / 20.0
    assert estimate.low == pytest.approx(scores.mean() - half_width, abs=0.1 * half_width)
    assert estimate.high == pytest.approx(scores.mean() + half_width, abs=0.1 * half_width)
    assert mean_over_clips(scores) == estimate != mean_over_clips(scores, seed=1)


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    intervals = [mean_over_clips(rng.exponential(1.0, 60), seed, resamples=300) for seed in range(200)]
    assert 0.88 <= np.mean([estimate.low <= 1.0 <= estimate.high for estimate in intervals]) <= 0.98


def test_samples_of_a_clip_are_one_draw():
    clips = np.random.default_rng(2).normal(size=(50, 1))
    assert mean_over_clips(np.tile(clips, (1, 30))).high == pytest.approx(mean_over_clips(clips[:, 0]).high)


def test_clips_without_a_score_are_left_out_and_counted():
    scores = np.array([[1.0, 3.0], [np.nan, 5.0], [4.0, 4.0]])
    estimate = mean_over_clips(scores)
    assert (estimate.value, estimate.clips, estimate.left_out) == (3.0, 2, 1) and 2.0 <= estimate.low <= estimate.high <= 4.0
    one = mean_over_clips(scores[:2])
    assert one.value == 2.0 and np.isnan([one.low, one.high]).all() and (one.clips, one.left_out) == (1, 1)
    none = mean_over_clips(scores[1:2])
    assert np.isnan(none.value) and (none.clips, none.left_out) == (0, 1) and np.isnan(mean_over_clips([]).value)
    zero = mean_over_clips(np.zeros(9))
    assert zero.value == zero.low == zero.high == 0.0


def test_a_statistic_of_the_set_is_computed_anew_from_drawn_clips():
    scores = np.random.default_rng(3).normal(3.0, 2.0, 100)
    scores[4] = np.nan
    by_statistic, by_mean = statistic_over_clips(scores, np.mean, resamples=1000), mean_over_clips(scores, resamples=1000)
    assert (by_statistic.value, by_statistic.clips, by_statistic.left_out) == pytest.approx((by_mean.value, 99, 1))
    assert (by_statistic.low, by_statistic.high) == pytest.approx((by_mean.low, by_mean.high), abs=0.05)


def test_the_interval_of_a_frechet_distance_is_about_its_value_and_as_wide_as_the_value_strays():
    def fresh(seed):
        rng = np.random.default_rng(seed)
        return rng.normal(size=(80, 2, 6)) + [[[0.0], [0.5]]]

    def distance(clips):
        predicted, truth = np.swapaxes(clips, 0, 1)
        return frechet_distance(fit_gaussian(predicted), fit_gaussian(truth))

    estimate = statistic_over_clips(fresh(0), distance, resamples=300)
    assert estimate.low < estimate.value < estimate.high
    others = np.percentile([distance(fresh(seed)) for seed in range(1, 300)], [2.5, 97.5])
    assert estimate.high - estimate.low == pytest.approx(others[1] - others[0], rel=0.3)
    equal = fresh(0)
    equal[:, 1] = equal[:, 0]
    same = statistic_over_clips(equal, distance, resamples=50)
    assert abs(same.value) < 1e-9 and abs(same.low) < 1e-9 and abs(same.high) < 1e-9
