import numpy as np
import pytest

from handroll.keyboard import geometry as g


def area(polygon):
    x, y = polygon.T
    return 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)


def test_counts_and_ends():
    assert len(g.WHITE_KEYS) == 52 and len(g.BLACK_KEYS) == 36
    assert pytest.approx(1222.0) == g.STANDARD.width_mm
    assert g.key_centres_x_mm()[0] == pytest.approx(11.75)
    assert g.key_centres_x_mm()[87] == pytest.approx(1222 - 11.75)


def test_middle_c_is_the_24th_white_key():
    key = g.key_of_pitch(60)
    assert g.white_index(key) == 23
    assert not g.is_black(key) and g.is_black(g.key_of_pitch(61))
    assert g.pitch_of_key(key) == 60


def test_pitches_without_a_key_are_refused():
    with pytest.raises(ValueError, match="21..108"):
        g.key_of_pitch([20, 60])
    with pytest.raises(ValueError, match="0..87"):
        g.pitch_of_key(88)


def test_centres_rise_and_repeat_every_octave():
    centres = g.key_centres_x_mm()
    assert np.all(np.diff(centres) > 0)
    np.testing.assert_allclose(centres[12:] - centres[:-12], 7 * 23.5)


def test_black_keys_lean_away_from_the_middle_of_their_group():
    centres = g.key_centres_x_mm()
    offset = {}
    for name, pitch in {"C#": 61, "D#": 63, "F#": 66, "G#": 68, "A#": 70}.items():
        key = g.key_of_pitch(pitch)
        offset[name] = centres[key] - g.white_index(key) * 23.5
    assert offset["G#"] == pytest.approx(0, abs=1e-9)
    assert offset["C#"] == pytest.approx(-offset["D#"]) and offset["F#"] == pytest.approx(-offset["A#"])
    assert -3 < offset["C#"] < -2 and -4 < offset["F#"] < -3


def test_tails_are_equal_within_a_group():
    widths = np.diff(g.tail_edges_mm(), axis=1)[:, 0]
    c, d, e, f, gg, a, b = (widths[g.key_of_pitch(p)] for p in (60, 62, 64, 65, 67, 69, 71))
    assert c == pytest.approx(d) == pytest.approx(e)
    assert f == pytest.approx(gg) == pytest.approx(a) == pytest.approx(b)


NARROW = g.Keyboard(white_pitch_mm=22.0, white_length_mm=140.0, black_base_width_mm=12.0, black_length_mm=90.0)


@pytest.mark.parametrize("keyboard", [g.STANDARD, NARROW])
def test_outlines_tile_the_keyboard(keyboard):
    outlines = g.key_outlines_mm(keyboard)
    areas = np.array([area(o) for o in outlines])
    assert np.all(areas > 0)
    assert areas.sum() == pytest.approx(keyboard.width_mm * keyboard.white_length_mm)
    assert [len(outlines[g.key_of_pitch(p)]) for p in (21, 60, 61, 62, 64, 108)] == [6, 6, 4, 8, 6, 4]


def test_key_at_point_agrees_with_the_outlines():
    from matplotlib.path import Path

    rng = np.random.default_rng(1)
    points = np.stack([rng.uniform(-20, 1242, 3000), rng.uniform(-20, 170, 3000)], axis=-1)
    found = g.key_at_point(points[:, 0], points[:, 1])
    expected = np.full(len(points), -1)
    for key, outline in enumerate(g.key_outlines_mm()):
        expected[Path(outline).contains_points(points)] = key
    np.testing.assert_array_equal(found, expected)


def test_key_at_point_of_playing_points_and_edges():
    points = g.playing_points_mm()
    np.testing.assert_array_equal(g.key_at_point(points[:, 0], points[:, 1]), np.arange(88))
    np.testing.assert_array_equal(g.key_at_point([-0.1, 0.0, 1222.0, np.nan], [10.0, 0.0, 10.0, 10.0]), [-1, 0, -1, -1])
    assert g.key_at_point(np.full((2, 3), 600.0), 200.0).shape == (2, 3)


def test_black_tops_lie_within_their_bases():
    tops, edges = g.black_tops_mm(), g.tail_edges_mm()[g.BLACK_KEYS]
    assert np.all(tops[..., 0].min(1) > edges[:, 0]) and np.all(tops[..., 0].max(1) < edges[:, 1])
    assert np.all(tops[..., 2] == g.STANDARD.black_height_mm)
