import numpy as np
import pytest

from handroll.camera import Extrinsics, joints_in_keyboard_frame
from handroll.hand.kinematics import hand_joints
from handroll.hand.rotations import rotvec_from_matrix
from handroll.hand.skeleton import HANDS
from handroll.keyboard.geometry import LEVEL_HAND, STANDARD
from handroll.tables import State
from handroll.training_data.model_frame import ClipMotion, clip_motion, from_channels, motion_joints, shard_columns, true_hands
from support.rotation_angle import angle_between

OVER_KEYS = Extrinsics(np.array([np.pi - 0.1, 0.05, 0.02]), np.array([-600.0, 50.0, 1000.0]))
SCALE = np.array([0.95, 1.05])


def make_row(fps=30.0, duration_s=2.0, seed=0, hidden=()):
    """A clip over the keys: hands that turn and wander slowly."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * fps)) / fps
    row = {
        "start_s": 10.0,
        "end_s": 10.0 + duration_s,
        "time_s": time_s,
        "keyboard_rotation_rad": OVER_KEYS.rotation_rad,
        "provenance": "{}",
    }
    for side, hand in enumerate(HANDS):
        phase = rng.uniform(0, 2 * np.pi, (16, 3))
        rotation = 0.2 * np.sin(2.0 * time_s[:, None, None] + phase)
        level = rotvec_from_matrix(OVER_KEYS.rotation @ LEVEL_HAND[side])
        rotation[:, 0] = level + 0.05 * np.sin(time_s[:, None] + phase[0])
        wrist = np.stack([300.0 + 500.0 * side + 50.0 * np.sin(time_s), np.full_like(time_s, -80.0), 60.0 + 5.0 * np.cos(time_s)], -1)
        translation = 1e-3 * OVER_KEYS.to_camera(wrist)
        translation -= hand_joints(np.zeros(48), np.zeros(3), SCALE[side], hand)[0]
        joints = hand_joints(rotation.reshape(-1, 48), translation, SCALE[side], hand)
        state = np.full(len(time_s), State.OBSERVED, dtype=np.int8)
        for first, last in hidden if hand == "left" else ():
            state[first:last] = State.HIDDEN
            rotation[first:last], translation[first:last], joints[first:last] = np.nan, np.nan, np.nan
        row |= {f"{hand}_state": state, f"{hand}_rotation_rad": rotation.astype(np.float32), f"{hand}_translation_m": translation}
        row[f"{hand}_joints_keyboard_mm"] = joints_in_keyboard_frame(joints, OVER_KEYS)
    return row


def test_joints_come_back_in_the_keyboard_frame():
    row = make_row()
    motion = clip_motion(row, 30.0, "keyboard")
    joints = motion_joints(motion.position, motion.rotation_rad, "keyboard", SCALE)
    for side, hand in enumerate(HANDS):
        np.testing.assert_allclose(joints[:, side], row[f"{hand}_joints_keyboard_mm"], atol=2e-3)


def test_joints_come_back_in_the_camera_frame():
    row = make_row()
    motion = clip_motion(row, 30.0, "camera")
    joints = motion_joints(motion.position, motion.rotation_rad, "camera", SCALE)
    for side, hand in enumerate(HANDS):
        over_keys = joints_in_keyboard_frame(joints[:, side], OVER_KEYS)
        np.testing.assert_allclose(over_keys, row[f"{hand}_joints_keyboard_mm"], atol=2e-3)


def test_mirrored_hands_look_alike():
    row = make_row()
    left = {name: row[f"left_{name}"] for name in ("state", "rotation_rad", "translation_m", "joints_keyboard_mm")}
    position, rotation = true_hands(*(np.stack([part, part], 1) for part in (np.full((5, 3), 100.0), np.zeros((5, 16, 3)))), "keyboard")
    np.testing.assert_allclose(position[:, 0], [[STANDARD.width_mm - 100.0, 100.0, 100.0]] * 5)
    for side in range(2):
        np.testing.assert_allclose(angle_between(rotation[:, side, 0], rotvec_from_matrix(LEVEL_HAND[side])), 0.0, atol=1e-6)
    assert set(left) <= {name.removeprefix("left_") for name in row}


def test_a_level_hand_has_no_rotation():
    motion = clip_motion(make_row(), 30.0, "keyboard")
    assert np.linalg.norm(motion.rotation_rad[:, :, 0], axis=-1).max() < 0.2


@pytest.mark.parametrize("fps", [24.0, 25.0, 50.0, 59.94])
def test_other_rates_are_resampled_between_frames(fps):
    motion, exact = (clip_motion(make_row(rate, duration_s=2.0), 30.0, "keyboard") for rate in (fps, 30.0))
    assert motion.position.shape == (60, 2, 3) and motion.visible.all()
    inner = slice(0, 58)
    assert np.abs(motion.position - exact.position)[inner].max() < 0.1
    assert angle_between(motion.rotation_rad, exact.rotation_rad)[inner].max() < 2e-3


def test_hidden_frames_get_the_values_of_the_nearest_visible_one():
    row = make_row(hidden=[(0, 4), (20, 30)])
    motion, whole = clip_motion(row, 30.0, "keyboard"), clip_motion(make_row(), 30.0, "keyboard")
    assert not motion.visible[:4, 0].any() and not motion.visible[20:30, 0].any() and motion.visible[:, 1].all()
    np.testing.assert_array_equal(motion.position[:4, 0], np.broadcast_to(whole.position[4, 0], (4, 3)))
    np.testing.assert_array_equal(motion.rotation_rad[20:25, 0], np.broadcast_to(whole.rotation_rad[19, 0], (5, 16, 3)))
    np.testing.assert_array_equal(motion.rotation_rad[25:30, 0], np.broadcast_to(whole.rotation_rad[30, 0], (5, 16, 3)))
    assert np.isfinite(motion.position).all() and np.isfinite(motion.rotation_rad).all()


def test_frames_beside_hidden_ones_are_hidden_when_resampled():
    row = make_row(fps=25.0, hidden=[(10, 20)])
    motion = clip_motion(row, 30.0, "keyboard")
    hidden = np.flatnonzero(~motion.visible[:, 0]) / 30.0
    assert hidden.min() > 9 / 25.0 and hidden.max() < 20 / 25.0 and len(hidden) > 10


def test_a_hand_that_is_never_visible_is_zeros():
    motion = clip_motion(make_row(hidden=[(0, 60)]), 30.0, "keyboard")
    assert not motion.visible[:, 0].any() and not motion.position[:, 0].any() and not motion.rotation_rad[:, 0].any()


def test_adjust_moves_positions_in_the_camera_frame():
    row = make_row()
    moved = clip_motion(row, 30.0, "camera", np.array([9.0, 0.1, 0.2]))
    np.testing.assert_allclose(
        moved.position - clip_motion(row, 30.0, "camera").position, np.broadcast_to([0.0, 0.1, 0.2], (60, 2, 3)), atol=1e-6
    )


def test_without_a_keyboard_there_is_no_keyboard_frame():
    row = make_row() | {"keyboard_rotation_rad": np.full(3, np.nan)}
    with pytest.raises(ValueError, match="frame: camera"):
        clip_motion(row, 30.0, "keyboard")
    assert clip_motion(row, 30.0, "camera").visible.all()


def test_channels_are_inverted():
    rng = np.random.default_rng(0)
    motion = ClipMotion(rng.normal(size=(5, 2, 3)), rng.normal(size=(5, 2, 16, 3)), np.ones((5, 2), bool))
    position, pose = motion.channels()
    np.testing.assert_array_equal(position[:, :3], motion.position[:, 1])
    for back, there in zip(from_channels(position, pose), (motion.position, motion.rotation_rad), strict=True):
        np.testing.assert_array_equal(back, there)


def test_shard_columns_are_sufficient():
    for frame in ("keyboard", "camera"):
        row = make_row()
        clip_motion({name: row[name] for name in shard_columns(frame)}, 30.0, frame)
