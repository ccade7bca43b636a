import numpy as np
import pytest

from handroll.music.alignment.time_map import TimeMap, fit_time_map, map_times
from handroll.music.notes import note_table, pedal_table


def test_time_maps_compose():
    both = TimeMap(1.0, 0.01).then(TimeMap(-0.5, 0.02))
    np.testing.assert_allclose(both([0.0, 10.0]), TimeMap(-0.5, 0.02)(TimeMap(1.0, 0.01)([0.0, 10.0])))


@pytest.mark.parametrize("n_outliers", [0, 30])
def test_line_is_found_among_outliers(n_outliers):
    rng = np.random.default_rng(0)
    time_s = np.sort(rng.uniform(0, 60, 100))
    lag_s = 0.2 - 5e-4 * time_s + rng.normal(0, 0.003, 100)
    lag_s[rng.permutation(100)[:n_outliers]] += rng.uniform(-1, 1, n_outliers)
    lag_s[3] = np.nan
    clock = fit_time_map(time_s, lag_s)
    assert clock.offset_s == pytest.approx(0.2, abs=2e-3) and clock.drift == pytest.approx(-5e-4, abs=6e-5)


@pytest.mark.parametrize(
    ("time_s", "lag_s", "clock"), [([], [], TimeMap()), ([1, 2], [0.3, 0.5], TimeMap(0.4)), ([1] * 9, [0.3] * 9, TimeMap(0.3))]
)
def test_few_events_give_no_drift(time_s, lag_s, clock):
    assert fit_time_map(np.array(time_s, float), np.array(lag_s, float)) == clock


def test_all_times_move():
    pedal = pedal_table([1.0], [3.0])
    notes = note_table([0.5, 2.0], [1.0, 2.5], [60, 64], [70, 80], pedal)
    moved, moved_pedal = map_times(notes, pedal, TimeMap(1.0, 0.1))
    for name in ("onset_s", "key_offset_s", "sounding_offset_s"):
        np.testing.assert_allclose(moved[name], 1.0 + 1.1 * notes[name])
    assert moved_pedal["onset_s"].tolist() == pytest.approx([2.1]) and moved_pedal["offset_s"].tolist() == pytest.approx([4.3])
    assert moved["pitch"].tolist() == [60, 64] and moved["velocity"].tolist() == [70, 80]


def test_notes_that_end_before_the_video_are_dropped():
    pedal = pedal_table([0.2, 2.0], [0.4, 3.0])
    notes = note_table([0.1, 0.8, 2.0], [0.5, 1.5, 2.5], [60, 62, 64], [70] * 3, pedal)
    moved, moved_pedal = map_times(notes, pedal, TimeMap(-1.0))
    assert moved["pitch"].tolist() == [62, 64] and moved["onset_s"].tolist() == [0.0, 1.0]
    assert moved_pedal["onset_s"].tolist() == [1.0]
