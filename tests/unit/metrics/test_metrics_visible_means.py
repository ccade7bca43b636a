"""Means over visible frames: hidden values are ignored, NaN in visible frames is not."""

import numpy as np
import pytest

from handroll.metrics.visible_means import means_by_hand, visible_mean


def test_hidden_values_are_ignored_and_frames_have_the_same_weight():
    values, visible = np.zeros((4, 2)), np.ones((4, 2), dtype=bool)
    values[:, 1] = 6.0
    visible[1:, 1], values[1:, 1] = False, np.nan
    assert means_by_hand("error_mm", values, visible) == {"error_mm": 6.0 / 5.0, "left_error_mm": 0.0, "right_error_mm": 6.0}


def test_a_nan_in_a_visible_frame_is_not_ignored():
    values, visible = np.zeros((4, 2, 3)), np.ones((4, 2), dtype=bool)
    values[2, 0, 1] = np.nan
    scores = means_by_hand("error_mm", values, visible)
    assert np.isnan(scores["error_mm"]) and np.isnan(scores["left_error_mm"]) and scores["right_error_mm"] == 0.0


def test_nothing_visible_is_nan():
    assert np.isnan(visible_mean(np.zeros((5, 2)), np.zeros((5, 2), dtype=bool)))


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"leading axes of the shape \(5, 2\), found bool \(4, 2\)"):
        visible_mean(np.zeros((5, 2)), np.ones((4, 2), dtype=bool))
    with pytest.raises(ValueError, match="of type bool .* found int64"):
        visible_mean(np.zeros((5, 2)), np.ones((5, 2), dtype=np.int64))
    with pytest.raises(ValueError, match=r"found \(5, 3\)"):
        means_by_hand("error_mm", np.zeros((5, 3)), np.ones((5, 3), dtype=bool))
