"""Error of positions."""

import numpy as np
import pytest

from handroll.metrics.position import axis_scores, position_scores


@pytest.fixture
def wrists():
    """Two hands that move 300 mm apart; the right one is hidden in some frames."""
    rng = np.random.default_rng(0)
    truth = np.cumsum(rng.normal(0.0, 2.0, (60, 2, 3)), axis=0) + [[400.0, 0.0, 30.0], [700.0, 0.0, 30.0]]
    visible = np.ones((60, 2), dtype=bool)
    visible[20:35, 1] = False
    return truth, visible


def test_all_three_axes_count_by_hand(wrists):
    truth, visible = wrists
    predicted = truth + [[3.0, 4.0, 0.0], [0.0, 0.0, 12.0]]
    scores = position_scores(predicted, truth, visible)
    assert scores["left_position_error_mm"] == pytest.approx(5.0) and scores["right_position_error_mm"] == pytest.approx(12.0)
    assert scores["position_error_mm"] == pytest.approx((60 * 5.0 + 45 * 12.0) / 105)


def test_equal_positions_score_zero_whatever_is_hidden(wrists):
    truth, visible = wrists
    predicted = truth.copy()
    predicted[~visible] = 1e6
    truth[~visible] = np.nan
    assert set(position_scores(predicted, truth, visible).values()) == {0.0}


def test_swapped_hands_are_noticed(wrists):
    truth, visible = wrists
    both = visible.all(axis=1)
    assert position_scores(truth[both][:, ::-1], truth[both], visible[both])["position_error_mm"] > 200.0


def test_shapes_that_do_not_fit_are_refused(wrists):
    truth, visible = wrists
    with pytest.raises(ValueError, match=r"found \(60, 2, 2\) and \(60, 2, 2\)"):
        position_scores(truth[..., :2], truth[..., :2], visible)
    with pytest.raises(ValueError, match=r"found \(59, 2, 3\) and \(60, 2, 3\)"):
        position_scores(truth[1:], truth, visible)


def test_axes_are_apart_while_a_hand_plays_and_while_it_is_idle(wrists):
    truth, visible = wrists
    playing = np.zeros_like(visible)
    playing[:30, 0] = playing[10:20, 1] = True
    predicted = truth + [1.0, -2.0, 3.0]
    predicted[playing] += [4.0, 0.0, -3.0]
    predicted[~visible] = np.nan
    scores = axis_scores(predicted, truth, visible, playing, ~playing)
    assert [scores[f"playing_position_{axis}_error_mm"] for axis in "xyz"] == pytest.approx([5.0, 2.0, 0.0])
    assert [scores[f"idle_position_{axis}_error_mm"] for axis in "xyz"] == pytest.approx([1.0, 2.0, 3.0])
    assert scores["position_x_error_mm"] == pytest.approx((40 * 5.0 + 65 * 1.0) / 105)
    never = axis_scores(predicted, truth, visible, np.zeros_like(playing), ~playing)
    assert np.isnan(never["playing_position_x_error_mm"])
    with pytest.raises(ValueError, match="expected two arrays"):
        axis_scores(predicted[..., :2], truth[..., :2], visible, playing, ~playing)
