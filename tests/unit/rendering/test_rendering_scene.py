"""Cameras, lamps and covers are at their stated positions, and a performance in the camera frame has the same joints."""

import dataclasses

import numpy as np
import pytest

from handroll.generation.performance import Performance
from handroll.hand.kinematics import hand_joints
from handroll.hand.skeleton import HANDS
from handroll.keyboard.geometry import BLACK_KEYS, STANDARD
from handroll.rendering.piano import build_piano
from handroll.rendering.raster import BLACK_KEY, WHITE_KEY
from handroll.rendering.scene import Appearance, Cover, Light, Scene, View, cover_hand, random_scene, to_camera, world_joints


def _performance(seed=0, frames=5):
    rng = np.random.default_rng(seed)
    return Performance(
        time_s=np.arange(frames) / 30.0,
        rotation_rad=rng.normal(0.0, 0.4, (frames, 2, 16, 3)),
        translation_m=rng.normal(0.0, 0.1, (frames, 2, 3)) + (0.6, -0.1, 0.05),
        bone_scale=np.array([0.95, 1.06]),
        key_depth_mm=np.zeros((frames, 88)),
        present=np.ones((frames, 2), bool),
        notes={},
        note_hand=np.zeros(0, int),
        note_finger=np.zeros(0, int),
    )


def test_straight_down_view_shows_the_keyboard_upright():
    scene = Scene()
    corners = np.array([(0, 0, 0), (STANDARD.width_mm, 0, 0), (STANDARD.width_mm, 150.0, 0), (0, 150.0, 0)]) * 1e-3
    pixels, inverse = scene.view.project(corners, 1920, 1080)
    assert inverse == pytest.approx(1 / 0.975)
    assert ((pixels > 0) & (pixels < (1920, 1080))).all()
    assert pixels[0, 0] < pixels[1, 0] and pixels[0, 1] > pixels[3, 1]  # bass on the left, fallboard above
    assert pixels[1, 0] - pixels[0, 0] == pytest.approx(1.222 * 1500 / 0.975)


@pytest.mark.parametrize("seed", range(5))
def test_view_agrees_with_the_pinhole_camera(seed):
    scene = random_scene(seed)
    scene = dataclasses.replace(scene, view=dataclasses.replace(scene.view, k1=0.0))
    points = np.random.default_rng(seed).uniform((0, -0.2, 0), (1.2, 0.15, 0.1), (50, 3))
    pixels, _ = scene.view.project(points, 1280, 720)
    assert pixels == pytest.approx(scene.camera(1280, 720).project(scene.view.to_camera(points)), abs=1e-6)
    assert scene.view.rotation @ scene.view.rotation.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(scene.view.rotation) == pytest.approx(1.0)


def test_tilt_roll_and_distortion_have_the_stated_senses():
    ahead = np.array([0.611, 0.10, 0.0])
    plain, _ = View().project(ahead, 1920, 1080)
    tilted, _ = View(tilt_rad=0.1).project(ahead, 1920, 1080)
    assert tilted[1] > plain[1]  # looking further towards the fallboard lowers it in the picture
    left, right = (View(roll_rad=0.1).project(np.array([x, -0.06, 0.0]), 1920, 1080)[0] for x in (0.2, 1.0))
    assert right[1] > left[1]  # clockwise
    barrel, _ = View(k1=-0.05).project(np.array([1.2, -0.06, 0.0]), 1920, 1080)
    straight, _ = View().project(np.array([1.2, -0.06, 0.0]), 1920, 1080)
    assert barrel[0] < straight[0]
    assert View().project(np.array([0.0, 0.0, 2.0]), 1920, 1080)[1] == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_truth_in_the_camera_frame_is_the_same_hand(seed):
    performance, scene = _performance(seed), random_scene(seed)
    rotation, translation = to_camera(performance, scene)
    expected = scene.view.to_camera(world_joints(performance))
    for side, hand in enumerate(HANDS):
        joints = hand_joints(rotation[:, side].reshape(-1, 48), translation[:, side], performance.bone_scale[side], hand)
        assert joints == pytest.approx(expected[:, side], abs=1e-9)
    assert (rotation[:, :, 1:] == performance.rotation_rad[:, :, 1:]).all()


def test_random_scenes_differ_and_show_what_they_should():
    assert random_scene(3) == random_scene(3) != random_scene(4)
    ends = np.array([(0, 0.0, 0), (0, 0.15, 0), (1.222, 0.0, 0), (1.222, 0.15, 0)])
    for seed in range(40):
        whole = random_scene(seed, closer=False)
        pixels, _ = whole.view.project(ends, 1920, 1080)
        assert ((pixels >= 0) & (pixels <= (1920, 1080))).all(), seed
        near = random_scene(seed, closer=True)
        pixels, _ = near.view.project(ends, 1920, 1080)
        assert (pixels[:2, 0] < 0).any() or (pixels[2:, 0] > 1920).any(), seed
        middle, _ = near.view.project(np.array([0.611, 0.0, 0.0]), 1920, 1080)
        assert ((middle > 0) & (middle < (1920, 1080))).all()
        assert abs(whole.view.tilt_rad) <= np.radians(12) and abs(whole.view.roll_rad) <= np.radians(4)
        assert 0.94 <= whole.appearance.hand_size <= 1.06 and 1.0 <= whole.appearance.noise_sigma <= 5.0


def test_light_swings_and_drifts():
    light = Light(swing_rad=0.3, drift=0.05, period_s=8.0)
    (start, gain), (later, bright) = light.at(0.0), light.at(2.0)
    assert gain == 1.0 and bright == pytest.approx(1.05)
    assert np.linalg.norm(later) == pytest.approx(1.0) and later[2] == pytest.approx(start[2])
    assert not np.allclose(later, start)


def test_cover_slides_in_lies_still_and_leaves():
    cover = Cover(1.0, 3.0, (0.5, 0.0, 0.2), size_m=(0.2, 0.4), slide_s=0.5, away_m=(0.0, 1.0))
    assert cover.corners_at(0.99) is None and cover.corners_at(3.01) is None
    assert cover.corners_at(1.0).mean(axis=0) == pytest.approx([0.5, 1.0, 0.2])
    assert cover.corners_at(2.0).mean(axis=0) == pytest.approx([0.5, 0.0, 0.2])
    side = cover.corners_at(2.0)
    assert np.linalg.norm(side[1] - side[0]) == pytest.approx(0.2) and np.linalg.norm(side[2] - side[1]) == pytest.approx(0.4)
    assert np.cross(side[1] - side[0], side[2] - side[0])[2] > 0


def test_cover_hand_lies_above_that_hand():
    performance = _performance()
    cover = cover_hand(performance, "left", 0.0, 0.2)
    assert cover.centre_m[2] > world_joints(performance)[:, 0, :, 2].max()
    with pytest.raises(ValueError, match="left hand"):
        cover_hand(performance, "left", 5.0, 6.0)


def test_piano_has_the_pattern_of_keys_and_sinks_where_pressed():
    appearance = Appearance()
    piano = build_piano(appearance.wood_rgb, appearance.floor_rgb)
    assert set(piano.key[piano.triangles[piano.owner == BLACK_KEY]].ravel()) == set(BLACK_KEYS.tolist())
    assert len(set(piano.key[piano.triangles[piano.owner == WHITE_KEY]].ravel())) == 52
    depth = np.zeros(88)
    depth[40] = 9.0
    vertices, colours = piano.pressed(depth)
    moved = np.abs(vertices - piano.vertices_m).max(axis=1) > 0
    assert set(piano.key[moved]) == {40}
    front = (piano.key == 40) & (piano.vertices_m[:, 1] == 0.0)
    assert (piano.vertices_m - vertices)[front, 2] == pytest.approx(9e-3)
    assert (piano.vertices_m - vertices)[piano.key == 40, 2].min() > 2e-3
    assert (colours[front] < piano.colours[front]).all()
