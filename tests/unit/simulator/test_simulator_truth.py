"""The truth of a synthetic video survives its file, is small, and agrees with the performance and the camera."""

import numpy as np
import pytest

from handroll.generation.pianist import perform
from handroll.keyboard.geometry import key_of_pitch
from handroll.rendering.scene import Scene, View, world_joints
from handroll.simulator.score import score
from handroll.simulator.truth import Truth, build_truth, read_truth, write_truth

_VIEW = View(position_m=(0.6, -0.1, 0.9), tilt_rad=0.1, roll_rad=-0.03, k1=-0.03)


@pytest.fixture(scope="module")
def music():
    return score("minuet", 2)


@pytest.fixture(scope="module")
def played(music):
    return perform(music, seed=7)


@pytest.fixture(scope="module")
def truth(played, music):
    visible = np.random.default_rng(0).random((len(played.time_s), 2, 21)) < 0.9
    return build_truth(played, Scene(view=_VIEW), visible, 1280, 720, music.pedal, {"title": music.title, "seed": 7})


def test_it_survives_its_file(truth, tmp_path):
    path = tmp_path / "minuet.truth.npz"
    write_truth(path, truth)
    read = read_truth(path)
    for name in Truth.__dataclass_fields__:
        before, after = getattr(truth, name), getattr(read, name)
        if isinstance(before, np.ndarray):
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before, after)
        elif name in ("notes", "pedal"):
            assert before.keys() == after.keys()
            for column in before:
                np.testing.assert_array_equal(before[column], after[column])
        else:
            assert before == after
    np.testing.assert_array_equal(truth.joints_px, read.joints_px)


def test_it_is_small_and_the_same_bytes(truth, tmp_path):
    write_truth(tmp_path / "a.truth.npz", truth)
    write_truth(tmp_path / "b.truth.npz", truth)
    first = (tmp_path / "a.truth.npz").read_bytes()
    assert first == (tmp_path / "b.truth.npz").read_bytes()
    assert len(first) / len(truth.time_s) * 1200 < 1e6


def test_joints_are_those_of_the_performance(truth, played):
    world = world_joints(played)
    shown = played.present
    seen = _VIEW.to_camera(world)
    np.testing.assert_allclose(truth.joints_m[shown], seen[shown], atol=2e-6)
    pixels, _ = _VIEW.project(world, 1280, 720)
    np.testing.assert_allclose(truth.joints_px[shown], pixels[shown], atol=0.01)
    for values in (truth.rotation_rad, truth.translation_m, truth.joints_m, truth.joints_px):
        assert np.isnan(values[~shown]).all() and np.isfinite(values[shown]).all()
    assert not shown.all()


def test_without_distortion_the_camera_says_the_same(played, music):
    visible = np.zeros((len(played.time_s), 2, 21), bool)
    plain = build_truth(played, Scene(), visible, 1920, 1080, music.pedal, {})
    shown = played.present
    np.testing.assert_allclose(plain.camera.project(plain.joints_m)[shown], plain.joints_px[shown], atol=1e-6)


def test_presses_are_the_notes(truth, played):
    notes = truth.notes
    key = key_of_pitch(notes["pitch"])
    assert len(truth.press_key) == len(key)
    order = np.lexsort((key, notes["onset_s"]))
    by_note = sorted(zip(key[order], notes["onset_s"][order], notes["key_offset_s"][order], strict=True))
    by_press = sorted(zip(truth.press_key, played.time_s[truth.press_start_frame], played.time_s[truth.press_end_frame], strict=True))
    for (key_of_note, onset, offset), (key_of_press, start, end) in zip(by_note, by_press, strict=True):
        assert key_of_note == key_of_press
        assert abs(start - onset) < 0.05 and -0.01 < end - offset < 0.08


def test_frames_that_do_not_fit_are_refused(played, music):
    with pytest.raises(ValueError, match="visible"):
        build_truth(played, Scene(), np.zeros((3, 2, 21), bool), 1280, 720, music.pedal, {})


def test_other_archives_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="expected the truth"):
        read_truth(tmp_path / "other.npz")
