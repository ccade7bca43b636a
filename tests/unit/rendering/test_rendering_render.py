"""Frames show hands where the truth has them, and only what can be seen is called visible."""

import dataclasses

import numpy as np
import pytest

from handroll.generation.performance import Performance
from handroll.hand.kinematics import MIRROR, mirrored_pose
from handroll.hand.rotations import matrix_from_rotvec, rotvec_from_matrix
from handroll.hand.skeleton import CHAINS
from handroll.hand.template import open_hand
from handroll.keyboard.geometry import LEVEL_HAND, key_centres_x_mm
from handroll.rendering.render import Renderer, _disjoint, render_frames, render_video
from handroll.rendering.scene import Appearance, Gloss, Lamp, Scene, View, cover_hand, world_joints

WIDTH, HEIGHT, GRID_MM = 640, 360, 4.0
QUIET = Scene(appearance=Appearance(noise_sigma=0.0))


def _performance(wrists_m, frames=1, step_m=(0.0, 0.0, 0.0)):
    """Both hands in a playing pose with the wrists at (left, right), moving by `step_m` a frame."""
    pose = np.zeros((16, 3))
    pose[0] = rotvec_from_matrix(matrix_from_rotvec(np.array([np.radians(6.0), 0.0, 0.0])) @ LEVEL_HAND[1])
    for finger in ("index", "middle", "ring", "pinky"):
        for joint, angle in zip(CHAINS[finger], np.radians((26, 40, 22)), strict=False):
            pose[joint] = angle * open_hand().axes[joint][0]
    pair = np.stack([mirrored_pose(pose.reshape(48)).reshape(16, 3), pose])
    wrist = open_hand().joints_m[0] * np.stack([MIRROR, np.ones(3)])
    start = np.array(wrists_m) - wrist
    return Performance(
        time_s=np.arange(frames) / 30.0,
        rotation_rad=np.tile(pair, (frames, 1, 1, 1)),
        translation_m=start + np.arange(frames)[:, None, None] * np.array(step_m),
        bone_scale=np.ones(2),
        key_depth_mm=np.zeros((frames, 88)),
        present=np.ones((frames, 2), bool),
        notes={},
        note_hand=np.zeros(0, int),
        note_finger=np.zeros(0, int),
    )


APART = ((0.42, -0.09, 0.058), (0.80, -0.09, 0.058))


def _render(performance, scene=QUIET, **options):
    options = {"supersample": 1, "grid_mm": GRID_MM, "motion_blur": False, **options}
    return list(render_frames(performance, scene, WIDTH, HEIGHT, **options))


def _is_skin(image):
    image = image.astype(int)
    return (image[..., 0] - image[..., 2] > 25) & (image[..., 0] > 70)


def test_skin_is_where_the_joints_are_and_all_are_visible():
    performance = _performance(APART)
    (frame,) = _render(performance)
    assert frame.image.shape == (HEIGHT, WIDTH, 3) and frame.image.dtype == np.uint8
    assert frame.visible.shape == (2, 21) and frame.visible.all()
    pixels, _ = QUIET.view.project(world_joints(performance)[0], WIDTH, HEIGHT)
    column, row = pixels[..., 0].astype(int), pixels[..., 1].astype(int)
    assert _is_skin(frame.image)[row, column].all()


def test_a_hand_that_is_not_present_is_not_drawn():
    performance = _performance(APART)
    performance = dataclasses.replace(performance, present=np.array([[True, False]]))
    (frame,) = _render(performance)
    assert frame.visible[0].all() and not frame.visible[1].any()
    middle = int(QUIET.view.project(np.array([0.611, 0.0, 0.0]), WIDTH, HEIGHT)[0][0])
    assert not _is_skin(frame.image)[80:, middle:].any()


def test_the_upper_of_two_crossed_hands_hides_the_lower():
    performance = _performance(((0.60, -0.09, 0.058), (0.60, -0.09, 0.140)))
    (frame,) = _render(performance)
    assert frame.visible[1].all()
    assert frame.visible[0].mean() < 0.7
    swapped = _render(_performance(((0.60, -0.09, 0.140), (0.60, -0.09, 0.058))))[0]
    assert swapped.visible[0].all() and swapped.visible[1].mean() < 0.7


def test_joints_outside_the_picture_are_not_visible():
    performance = _performance(((0.09, -0.09, 0.058), (0.80, -0.09, 0.058)))
    scene = dataclasses.replace(QUIET, view=View(position_m=(0.611, -0.06, 0.85)))
    (frame,) = _render(performance, scene)
    pixels, _ = scene.view.project(world_joints(performance)[0], WIDTH, HEIGHT)
    inside = ((pixels >= 0) & (pixels < (WIDTH, HEIGHT))).all(axis=-1)
    assert 0 < inside[0].sum() < 21
    assert (frame.visible == inside).all()


def test_a_cover_hides_its_hand_only_while_it_lies_there():
    performance = _performance(APART, frames=40)
    scene = dataclasses.replace(QUIET, covers=(cover_hand(performance, "right", 0.2, 1.1, slide_s=0.2),))
    visible = np.stack([frame.visible for frame in _render(performance, scene)])
    assert visible[:, 0].all()
    assert visible[:5, 1].all() and visible[-5:, 1].all()
    assert not visible[14:26, 1].any()


def test_only_the_pressed_key_changes_and_everything_is_restored():
    performance = _performance(APART, frames=3)
    performance.key_depth_mm[1, 51] = 9.0
    performance = dataclasses.replace(performance, present=np.zeros((3, 2), bool))
    before, pressed, after = (frame.image.astype(int) for frame in _render(performance))
    assert (before == after).all()
    changed = np.argwhere(np.abs(pressed - before).max(axis=-1) > 4)
    x, _ = QUIET.view.project(np.array([key_centres_x_mm()[51] * 1e-3, 0.02, 0.0]), WIDTH, HEIGHT)
    assert len(changed) > 20
    assert np.abs(changed[:, 1] + 0.5 - x[0]).max() < 12


def test_a_frame_depends_on_nothing_drawn_before():
    performance = _performance(APART, frames=4, step_m=(0.03, 0.0, 0.0))
    performance.key_depth_mm[:, 30:40] = 5.0
    last = _render(performance)[-1].image
    alone = dataclasses.replace(
        performance,
        **{name: getattr(performance, name)[-1:] for name in ("time_s", "rotation_rad", "translation_m", "key_depth_mm", "present")},
    )
    assert (last == _render(alone)[0].image).all()


def test_frames_do_not_depend_on_the_number_of_threads():
    performance = _performance(APART, frames=7, step_m=(0.04, 0.0, 0.0))
    performance.key_depth_mm[2:5, 30:40] = 5.0
    scene = Scene(gloss=Gloss(), lamp=Lamp())
    one, three = (_render(performance, scene, motion_blur=True, threads=threads) for threads in (1, 3))
    assert len(one) == len(three) == 7
    for first, second in zip(one, three, strict=True):
        assert (first.image == second.image).all() and (first.visible == second.visible).all()


def test_an_error_in_a_thread_is_raised():
    scene = dataclasses.replace(QUIET, view=View(position_m=(0.611, -0.06, 0.05)))
    with pytest.raises(ValueError, match="place the camera higher"):
        _render(_performance(APART, frames=3), scene, threads=2)
    with pytest.raises(ValueError, match="threads of at least 1, found 0"):
        _render(_performance(APART), threads=0)


def test_motion_blur_only_where_hands_are_fast():
    still, fast = _performance(APART, frames=3), _performance(APART, frames=3, step_m=(0.08, 0.0, 0.0))
    assert (_render(still, motion_blur=True)[1].image == _render(still)[1].image).all()
    sharp, blurred = _render(fast)[1], _render(fast, motion_blur=True)[1]
    assert np.abs(np.diff(blurred.image.astype(int), axis=1)).sum() < 0.985 * np.abs(np.diff(sharp.image.astype(int), axis=1)).sum()
    assert (sharp.visible == blurred.visible).all()


def test_noise_has_its_sigma_and_depends_on_the_seed():
    noisy = dataclasses.replace(QUIET, appearance=Appearance(noise_sigma=3.0))
    performance = _performance(APART)
    clean = _render(performance)[0].image.astype(int)
    first, again, other = (_render(performance, noisy, seed=seed)[0].image.astype(int) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    assert (first - clean)[clean.min(axis=-1) > 100].std() == pytest.approx(3.0, abs=0.4)


def test_supersampling_agrees_with_plain_drawing():
    performance = _performance(APART)
    plain, fine = (_render(performance, supersample=s)[0].image.astype(float) for s in (1, 2))
    assert np.abs(plain - fine).mean() < 3.0


def test_a_camera_below_the_hands_is_refused():
    scene = dataclasses.replace(QUIET, view=View(position_m=(0.611, -0.06, 0.05)))
    with pytest.raises(ValueError, match="place the camera higher"):
        _render(_performance(APART), scene)


def test_disjoint_rectangles_cover_the_given_ones():
    boxes = [(0, 0, 4, 4), (10, 10, 12, 12), (3, 3, 6, 6), (20, 0, 22, 2), (5, 5, 11, 11)]
    assert sorted(_disjoint(boxes)) == [(0, 0, 12, 12), (20, 0, 22, 2)]


def test_painter_background_has_keys_without_hands():
    renderer = Renderer(QUIET, WIDTH, HEIGHT, 1, GRID_MM)
    assert not _is_skin(renderer.background)[80:].any()  # above is the red felt
    point, _ = QUIET.view.project(np.array([key_centres_x_mm()[39] * 1e-3, 0.02, 0.0]), WIDTH, HEIGHT)
    assert renderer.background[int(point[1]), int(point[0])].min() > 180
    point, _ = QUIET.view.project(np.array([key_centres_x_mm()[40] * 1e-3, 0.10, 0.011]), WIDTH, HEIGHT)
    assert renderer.background[int(point[1]), int(point[0])].max() < 60


def test_video_holds_the_frames_at_their_times(tmp_path):
    from handroll.media.frames import read_frames

    performance = _performance(APART, frames=6, step_m=(0.004, 0.0, 0.0))
    performance.time_s[3:] += 0.1
    path = tmp_path / "played.mp4"
    sound = np.sin(np.arange(16000) * 0.1).astype(np.float32) * 0.1, 44100
    visible = render_video(path, performance, QUIET, 30.0, WIDTH, HEIGHT, supersample=1, audio=sound)
    assert visible.shape == (6, 2, 21) and visible.all()
    frames = list(read_frames(path))
    assert [frame.time_s for frame in frames] == pytest.approx(performance.time_s.tolist(), abs=1e-3)
    drawn = _render(performance, motion_blur=True)
    assert np.abs(frames[-1].image.astype(float) - drawn[-1].image).mean() < 4.0
