from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from handroll.models.diffusion import schedule
from handroll.models.gesture import GestureSettings, GestureUNet
from handroll.models.position import PositionPredictor, PositionSettings
from handroll.models.two_stage import BATCH, TwoStage, window_starts
from handroll.training_data.windows import Scales

WINDOW, FEATURES = 32, 5
SCALES = Scales((500.0,) * 6, (100.0,) * 6, (0.1,) * 96, (0.2,) * 96, 3.0)
PLAIN = Scales((0.0,) * 6, (1.0,) * 6, (0.0,) * 96, (1.0,) * 96, 10.0)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    position = PositionPredictor(PositionSettings(FEATURES, 16, 1, 16, layers=1, feedforward=16))
    gesture = GestureUNet(GestureSettings(FEATURES, 16, 1, layers=1, feedforward=16, dim=8))
    return TwoStage(position, gesture, SCALES, WINDOW)


def heard(seed, *shape):
    return np.random.default_rng(seed).normal(size=(*shape, FEATURES)).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 31, 32, 33, 48, 49, 750])
def test_windows_overlap_by_half_and_cover_every_frame(frames):
    starts = window_starts(frames, WINDOW)
    assert starts[0] == 0 and set(np.diff(starts)) <= {WINDOW // 2}
    assert starts[-1] + WINDOW >= frames
    # None too many.
    assert len(starts) == 1 or starts[-2] + WINDOW < frames


def test_windows_fill_what_they_cover():
    filled = window_starts(100, WINDOW)[-1] + WINDOW
    assert window_starts(filled, WINDOW) == window_starts(100, WINDOW)


@pytest.mark.parametrize("sampler", ["dpmsolver++", "ddpm"])
def test_series_of_one_window_is_that_window(model, sampler):
    features = heard(0, WINDOW)
    long = model.generate_long(features, sampler, 4, 11)
    position, pose = model.generate(features[None], sampler, 4, [11])
    np.testing.assert_allclose(long[0], position[0], atol=1e-3)
    np.testing.assert_allclose(long[1], pose[0], atol=1e-5)
    assert np.abs(model.generate_long(features, sampler, 4, 12)[1] - long[1]).max() > 0.05


@pytest.mark.parametrize("sampler", ["dpmsolver++", "ddpm"])
def test_a_motion_does_not_depend_on_its_batch(model, sampler):
    features = heard(1, 5, WINDOW)
    together = model.generate(features, sampler, 4, [1, 2, 3, 4, 5])
    alone = model.generate(features[3:4], sampler, 4, [4])
    beside = model.generate(features[[3, 0]], sampler, 4, [4, 9])
    for whole, single, pair in zip(together, alone, beside, strict=True):
        np.testing.assert_allclose(whole[3], single[0], atol=1e-4)
        np.testing.assert_allclose(pair[0], single[0], atol=1e-4)


def test_long_motion_has_the_frames_of_its_features_and_is_reproducible(model):
    features = heard(2, 100)
    first, again = (model.generate_long(features, "dpmsolver++", 3, 5) for _ in range(2))
    assert first[0].shape == (100, 6) and first[1].shape == (100, 96)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_long_motion_does_not_depend_on_batches(model, monkeypatch):
    features = heard(4, (BATCH + 3) * WINDOW // 2)
    batched = model.generate_long(features, "dpmsolver++", 2, 0)
    monkeypatch.setattr("handroll.models.two_stage.BATCH", 1000)
    for a, b in zip(batched, model.generate_long(features, "dpmsolver++", 2, 0), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_25_seconds_have_no_seams(model):
    """Where windows begin and end, a motion moves no further than elsewhere."""
    features = heard(5, 750)
    borders = np.array([b for first in window_starts(750, WINDOW) for b in (first, first + WINDOW) if 0 < b < 750])
    for series in model.generate_long(features, "dpmsolver++", 6, 0):
        steps = np.linalg.norm(np.diff(series, axis=0), axis=1)
        at_borders = np.zeros(len(steps), dtype=bool)
        at_borders[borders - 1] = True
        assert steps[at_borders].max() <= steps[~at_borders].max()
        assert np.median(steps[at_borders]) < 1.2 * np.median(steps[~at_borders])


class Means(nn.Module):
    """Networks whose output is the mean of a window's features, so that overlapping windows differ."""

    settings = SimpleNamespace(channels=96, objective="v")

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def encode_condition(self, features, released=False):
        return features.mean(dim=(1, 2), keepdim=True)

    def forward(self, *inputs, released=False):
        if self.kind == "position":
            return inputs[0].mean(dim=(1, 2), keepdim=True).expand(-1, inputs[0].shape[1], 6)
        noisy, step, condition, _ = inputs
        signal = schedule().alphas_cumprod[step][:, None, None]
        # The v that says that the clean motion is the condition.
        return (signal.sqrt() * noisy - condition) / (1.0 - signal).sqrt()


def test_different_windows_are_blended_without_a_jump():
    frames, apart = 750, 0.2
    features = np.repeat(np.linspace(-1.0, 1.0, frames, dtype=np.float32)[:, None], FEATURES, axis=1)
    features *= apart / (features[WINDOW // 2] - features[0])
    model = TwoStage(Means("position"), Means("gesture"), PLAIN, WINDOW)
    for series in model.generate_long(features, "dpmsolver++", 5, 0):
        # The last window hears silence, and lies apart.
        steps = np.diff(series[: -WINDOW - WINDOW // 2, 0])
        assert steps.sum() > 40 * apart
        # From one window to the next in as many equal steps as they overlap by.
        assert steps.max() < 1.01 * apart / (WINDOW // 2)
