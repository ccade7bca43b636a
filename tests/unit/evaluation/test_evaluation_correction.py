import pytest

from handroll.evaluation.correction import score_method, untrained_methods
from handroll.training_data.loader import Clips, Source
from handroll.training_data.motion_noise import MotionNoise
from handroll.training_data.windows import scored_windows

FRAMES, EVERY = 60, 3
JITTER = MotionNoise(wrist_mm=(4.0, 4.0, 4.0))


@pytest.fixture(scope="module")
def clips(corpus):
    return Clips(Source(corpus / "shards", features=corpus / "features"), "valid")


def score(clips, method, noise, seed=0):
    return score_method(untrained_methods(FRAMES, EVERY, 30.0)[method], clips, scored_windows(clips, FRAMES, 0), FRAMES, EVERY, noise, seed)


def test_methods_get_the_same_noise_and_the_average_reduces_jitter(clips):
    found = score(clips, "interpolation", JITTER)
    assert found == score(clips, "interpolation", JITTER) != score(clips, "interpolation", JITTER, seed=1)
    # The mean length of the error of a wrist in an input frame is 4 mm x sqrt(8 / pi).
    assert 4.0 < found["mpjpe_mm"].value < 8.0 and found["mpjpe_mm"].low < found["mpjpe_mm"].value < found["mpjpe_mm"].high
    assert score(clips, "moving_average", JITTER)["mpjae_mm"].value < 0.8 * found["mpjae_mm"].value
    assert found["gap_mpjpe_mm"].clips == 0


def test_gaps_are_scored_apart(clips):
    found = score(clips, "interpolation", MotionNoise(gaps_per_min=30.0, gap_s=(0.5, 0.5, 0.5, 0.5, 0.5)))
    assert found["gap_mpjpe_mm"].value > 2.0 * found["mpjpe_mm"].value
