import numpy as np
import pytest

from handroll.evaluation.motion_noise import measure_noise, read_pairs
from handroll.tables import State
from support.noisy_project import DRIFT_MM, DRIFT_S, FINGER_RAD, GAP_FRAMES, PALM_RAD, WRIST_MM, write_noisy_project


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    write_noisy_project(folder)
    return list(read_pairs(folder))


def test_known_errors_are_measured(pairs):
    noise, observed = measure_noise(pairs)
    assert observed == int((pairs[0][1]["state"] == State.OBSERVED).sum())
    np.testing.assert_allclose(noise.wrist_mm, WRIST_MM, rtol=0.15)
    np.testing.assert_allclose(noise.wrist_drift_mm, DRIFT_MM, rtol=0.4)
    assert noise.palm_rad == pytest.approx(PALM_RAD, rel=0.15) and noise.finger_rad == pytest.approx(FINGER_RAD, rel=0.15)
    assert min(noise.wrist_gain, noise.palm_gain, noise.finger_gain) > 0.9
    assert max(noise.palm_drift_rad, noise.finger_drift_rad) < 0.02
    # The independent part of the error shortens the time constant.
    assert 0.4 * DRIFT_S < noise.drift_s < 1.5 * DRIFT_S
    assert noise.gaps_per_min == pytest.approx(15.0, rel=0.1) and noise.gap_s[1:4] == pytest.approx([GAP_FRAMES / 30.0] * 3, abs=1e-3)
    assert noise.hand_swaps_per_min == 0.0 and noise.blur_per_m_s < 0.5


def test_errors_are_measured_for_each_axis(pairs):
    noise, _ = measure_noise(pairs, by_axis=True)
    for measured, known in ((noise.palm_rad, PALM_RAD), (noise.finger_rad, FINGER_RAD)):
        np.testing.assert_allclose(measured, [known] * 3, rtol=0.2)
    assert min(*noise.wrist_gain, *noise.palm_gain) > 0.8 and len(noise.finger_gain) == 3


def test_confused_hands_are_counted(pairs):
    truth, motion, extrinsics = pairs[0]
    swapped = {name: values.copy() for name, values in motion.items()}
    for first in (130, 250):
        for name in ("joints_keyboard_mm", "rotation_rad"):
            swapped[name][first : first + 30] = motion[name][first : first + 30, ::-1]
    noise, _ = measure_noise([(truth, swapped, extrinsics)])
    assert noise.hand_swaps_per_min == pytest.approx(2.0 / (len(truth.time_s) / 30.0 / 60.0), rel=0.01)
    assert noise.swap_s == (1.0, 1.0)


def test_a_folder_without_results_is_an_error(tmp_path, pairs):
    with pytest.raises(FileNotFoundError, match=r"expected simulated performances .*found none; run `snakemake evaluation`"):
        next(read_pairs(tmp_path))
    truth, motion, extrinsics = pairs[0]
    hidden = motion | {"state": np.zeros_like(motion["state"])}
    with pytest.raises(ValueError, match="in which a hand is observed, found none"):
        measure_noise([(truth, hidden, extrinsics)])
