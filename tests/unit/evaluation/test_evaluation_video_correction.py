"""Errors of the fingertips before and after the correction: gaps, fast passages, and what a model that changes nothing scores."""

from dataclasses import replace

import numpy as np
import pytest

from handroll.evaluation.video_correction import GAP_FRAMES, NAMES, PARTS, compare, draw_gaps, fast_passages, read_videos
from handroll.mask_runs import runs
from handroll.tables import State
from support.noisy_project import write_noisy_project
from support.untrained_corrector import write_corrector


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    write_noisy_project(folder, seconds=20.0)
    return read_videos(folder)[0]


def test_gaps_have_the_stated_lengths_and_are_observed_around(video):
    observed = np.ones((3000, 2), dtype=bool)
    observed[1000:1100] = False
    gaps = draw_gaps(observed, 30.0, np.random.default_rng(0))
    for hand in range(2):
        start, stop = runs(gaps[:, hand])
        assert len(start) > 20 and (stop - start).min() >= GAP_FRAMES[0] and (stop - start).max() <= GAP_FRAMES[1]
        assert observed[start - 1, hand].all() and observed[stop, hand].all() and observed[:, hand][gaps[:, hand]].all()
    hidden = np.zeros(video.truth.present.shape, dtype=bool)
    hidden[100:150, 1] = True
    assert (video.without(hidden).cleaned()["state"][100:150, 1] == State.HIDDEN).all()


def test_fast_passages_are_fast_lines_and_leaps(video):
    truth = video.truth
    onset_s, hand = np.array([1.0, 1.1, 2.0, 2.1, 2.5]), np.array([0, 0, 1, 1, 1])
    notes = {"onset_s": onset_s, "pitch": np.array([40, 41, 60, 61, 75])}
    fast = fast_passages(replace(truth, notes=notes, note_hand=hand, note_finger=np.array([2, 1, 0, 1, 4])))
    shown = [
        [(float(truth.time_s[first]), float(truth.time_s[stop - 1])) for first, stop in zip(*runs(fast[:, side]), strict=True)]
        for side in (0, 1)
    ]
    np.testing.assert_allclose(shown[0], [(1.0, 1.1)], atol=0.04)
    np.testing.assert_allclose(shown[1], [(2.0, 2.5)], atol=0.04)


def test_a_model_that_changes_nothing_scores_like_the_cleaned_motion(video, tmp_path):
    same, moved = (write_corrector(tmp_path / f"{std}.safetensors", std=std) for std in (0.0, 1.0))
    scores = compare(video, same, np.random.default_rng(0))
    assert tuple(scores) == NAMES and all(tuple(scores[name]["errors"]) == PARTS for name in NAMES)
    for part in PARTS:
        cleaned, corrected = (scores[name]["errors"][part] for name in NAMES)
        assert len(cleaned) == len(corrected) > 20 and np.isfinite(corrected).all()
        # In long gaps, the windows of an untrained model do not see both ends.
        assert part == "gaps" or corrected.mean() == pytest.approx(cleaned.mean(), rel=0.05)
    other = compare(video, moved, np.random.default_rng(0))
    assert other["corrected"]["errors"]["elsewhere"].mean() > 1.5 * scores["cleaned"]["errors"]["elsewhere"].mean()
    np.testing.assert_array_equal(other["cleaned"]["errors"]["gaps"], scores["cleaned"]["errors"]["gaps"])


def test_a_folder_without_results_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected results of simulated performances .* run `snakemake evaluation`"):
        read_videos(tmp_path)
