from dataclasses import asdict, replace

import numpy as np
import pytest

from handroll.keyboard.geometry import STANDARD
from handroll.mask_runs import runs
from handroll.training_data.loader import Clips, Source, Windows
from handroll.training_data.motion_noise import FAST_S, MEASURED, PAPER, MotionNoise, add_noise
from handroll.training_data.noisy_windows import NoisyWindows, bone_scales, noisy_batch

RATE_HZ = 30.0


def still(windows=200, frames=90):
    """Hands that do not move."""
    position, pose = np.full((windows, frames, 6), 500.0), np.tile(np.linspace(-0.5, 0.5, 96), (windows, frames, 1))
    return position, pose, np.ones((windows, frames, 2), dtype=bool)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_no_noise_changes_nothing():
    given = still(2)
    position, pose, observed = add_noise(MotionNoise(), *given, RATE_HZ, rng())
    np.testing.assert_allclose(position, given[0])
    np.testing.assert_allclose(pose, given[1], atol=1e-6)
    assert observed.all() and position.dtype == pose.dtype == np.float32


def test_jitter_and_drift_have_their_standard_deviations():
    noise = MotionNoise(wrist_mm=(1.0, 2.0, 3.0), palm_rad=0.1, finger_rad=0.2, finger_drift_rad=0.3, drift_s=0.5)
    given = still()
    position, pose, _ = add_noise(noise, *given, RATE_HZ, rng())
    np.testing.assert_allclose((position - given[0]).std(axis=(0, 1)), [1.0, 2.0, 3.0] * 2, rtol=0.05)
    turn = (pose - given[1]).reshape(200, 90, 2, 16, 3)
    assert turn[:, :, :, 0].std() == pytest.approx(0.1, rel=0.05) and turn[:, :, :, 1:].std() == pytest.approx(0.36, rel=0.05)
    drift = add_noise(replace(noise, finger_rad=0.0), *given, RATE_HZ, rng())[1].reshape(200, 90, 2, 16, 3)[:, :, :, 1:] - 0.0
    drift -= given[1].reshape(200, 90, 2, 16, 3)[:, :, :, 1:]
    lag = 15
    assert (drift[:, lag:] * drift[:, :-lag]).mean() / (drift**2).mean() == pytest.approx(np.exp(-1.0), abs=0.05)


def test_rotations_have_their_errors_for_each_axis():
    noise = MotionNoise(palm_rad=(0.1, 0.0, 0.2), finger_rad=0.3, finger_gain=(1.0, 0.5, 0.0))
    given = still()
    turn = (add_noise(noise, *given, RATE_HZ, rng())[1] - given[1]).reshape(-1, 16, 3)
    np.testing.assert_allclose(turn[:, 0].std(axis=0), [0.1, 0.0, 0.2], rtol=0.05, atol=1e-6)
    np.testing.assert_allclose(turn[:, 1:].std(axis=(0, 1)), 0.3, rtol=0.05)
    moved = given[1] + np.sin(2 * np.pi * 5.0 * np.arange(90) / RATE_HZ)[:, None]
    kept = add_noise(MotionNoise(finger_gain=(1.0, 0.5, 0.0)), given[0], moved, given[2], RATE_HZ, rng())[1].reshape(200, 90, 2, 16, 3)
    np.testing.assert_allclose(np.ptp(kept[0, 20:70, 0, 5], axis=0) / np.ptp(moved[0, 20:70, 0]), [1.0, 0.5, 0.0], atol=0.05)


def test_errors_grow_with_speed():
    position, pose, visible = still()
    position[100:] += 20.0 * np.arange(90)[:, None]
    made = add_noise(MotionNoise(wrist_mm=(1.0, 1.0, 1.0), blur_per_m_s=2.0), position, pose, visible, RATE_HZ, rng())[0]
    error = (made - position)[:, 1:]
    speed_m_s = 0.02 * RATE_HZ * np.sqrt(3.0)
    assert error[:100].std() == pytest.approx(1.0, rel=0.05) and error[100:].std() == pytest.approx(1.0 + 2.0 * speed_m_s, rel=0.05)


def test_fast_movements_are_attenuated_and_slow_ones_stay():
    position, pose, visible = still(1, 300)
    time_s = np.arange(300) / RATE_HZ
    for hz, kept in ((0.05, 1.0), (5.0, 0.25)):
        moved = position + 10.0 * np.sin(2 * np.pi * hz * time_s)[:, None]
        made = add_noise(MotionNoise(wrist_gain=0.25), moved, pose, visible, RATE_HZ, rng())[0]
        inside = slice(int(5 * FAST_S * RATE_HZ), -int(5 * FAST_S * RATE_HZ))
        assert np.ptp(made[0, inside, 0]) == pytest.approx(kept * np.ptp(moved[0, inside, 0]), rel=0.02)


def test_gaps_have_their_number_and_length():
    noise = MotionNoise(gaps_per_min=6.0, gap_s=(0.1, 0.2, 0.3, 0.4, 0.5))
    position, pose, observed = add_noise(noise, *still(100, 300), RATE_HZ, rng())
    start, stop = runs(~observed[:, :, 0].ravel())
    assert len(start) == pytest.approx(100 * 300 / RATE_HZ / 60.0 * 6.0, rel=0.2)
    assert np.mean(stop - start) / RATE_HZ == pytest.approx(0.3, abs=0.05)
    assert not position.reshape(100, 300, 2, 3)[~observed].any() and not pose.reshape(100, 300, 2, 48)[~observed].any()
    hidden = still(2)
    hidden[2][:, 10:20, 1] = False
    assert not add_noise(PAPER, *hidden, RATE_HZ, rng())[2][:, 10:20].all()


def test_confused_hands_are_at_the_place_of_the_other_hand():
    position, pose, visible = still(1)
    position[..., 0], position[..., 3] = 800.0, 1000.0
    pose[..., 48:] = 0.0
    visible[:, 5, 0] = False
    noise = MotionNoise(hand_swaps_per_min=3.0, swap_s=(60.0, 60.0))
    made = [add_noise(noise, position, pose, visible, RATE_HZ, rng(seed)) for seed in range(40)]
    swapped = [one for one in made if not one[1][0, :, :48].any()]
    assert 0 < len(swapped) < 40
    wrists, _, observed = swapped[0]
    assert wrists[0, 0, 0] == pytest.approx(STANDARD.width_mm - 1000.0) and wrists[0, 0, 3] == pytest.approx(STANDARD.width_mm - 800.0)
    assert observed[0, 5, 0] and not observed[0, 5, 1]


def test_confused_fingers_exchange_their_rotations():
    given = still(20)
    made = add_noise(MotionNoise(finger_swaps_per_min=20.0), *given, RATE_HZ, rng())[1]
    changed = made != given[1].astype(np.float32)
    np.testing.assert_allclose(np.sort(made, axis=-1), np.sort(given[1], axis=-1), atol=1e-6)
    assert 0.0 < changed.mean() < 0.5 and not changed[..., [0, 1, 2, 48, 49, 50]].any()


def test_parameters_are_json_values():
    for noise in (PAPER, MEASURED):
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(noise).items()}
        given = add_noise(MotionNoise(**values), *still(2), RATE_HZ, rng())
        for one, other in zip(given, add_noise(noise, *still(2), RATE_HZ, rng()), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.fixture
def windows(corpus):
    return Windows(Clips(Source(corpus / "shards", features=corpus / "features"), "train"), 60, 4, 7)


def test_batches_depend_only_on_seed_and_step(windows):
    first, again = (NoisyWindows(windows, 2, (PAPER, MEASURED), 1) for _ in range(2))
    first[0]
    for name, values in first[3].items():
        np.testing.assert_array_equal(values, again[3][name])
    other = NoisyWindows(windows, 2, (PAPER, MEASURED), 2)[3]
    np.testing.assert_array_equal(other["position"], first[3]["position"])
    assert (other["noisy_position"] != first[3]["noisy_position"]).any()
    shapes = {name: first[3][name].shape for name in ("noisy_position", "noisy_pose", "observed", "scale")}
    assert shapes == {"noisy_position": (4, 30, 6), "noisy_pose": (4, 30, 96), "observed": (4, 30, 2), "scale": (4, 2)}
    first.share = (1, 2)
    np.testing.assert_array_equal(first[3]["position"], again[3]["position"][1::2])


def test_the_input_has_every_nth_frame(windows):
    clips = windows.clips
    batch = noisy_batch(clips, [(0, 3), (1, 9)], bone_scales(clips), 60, 3, MotionNoise(), rng())
    np.testing.assert_allclose(batch["noisy_pose"], np.where(np.repeat(batch["observed"], 48, -1), batch["pose"][:, ::3], 0.0), atol=1e-5)
    assert (batch["scale"] > 0.5).all() and (batch["scale"] != 1.0).any()
