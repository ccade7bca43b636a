import numpy as np
import pytest

from handroll.camera import Extrinsics
from handroll.hand.kinematics import hand_joints
from handroll.motion.clean import CleanSettings, clean_motion, hand_shape
from handroll.storage import to_arrow
from handroll.tables import MOTION, POSE, State, by_frame, by_row, frame_keys
from support.rotation_angle import angle_between

LEFT, RIGHT = 0, 1


def make_pose(time_s, missing=()):
    """Two slowly moving hands; `missing` holds (hand, start, stop)."""
    frames = len(time_s)
    time_s = np.asarray(time_s, dtype=np.float64)
    rotation = np.zeros((frames, 2, 16, 3)) + 0.2 * np.sin(0.5 * time_s)[:, None, None, None]
    rotation[:, :, 0, 0] += 2.0
    translation = np.array([0.0, 0.1, 0.6]) + 0.1 * np.sin(0.4 * time_s)[:, None, None] * np.ones((1, 2, 1))
    found = np.ones((frames, 2), dtype=bool)
    for hand, start, stop in missing:
        found[start:stop, hand] = False
    pose = frame_keys(time_s) | {
        "found": found,
        "rotation_rad": rotation,
        "translation_m": translation,
        "betas": np.zeros((frames, 2, 10)),
        "bone_scale": np.ones((frames, 2)),
        "joints_m": np.zeros((frames, 2, 21, 3)),
        "joints_keyboard_mm": np.zeros((frames, 2, 21, 3)),
        "residual_px": np.full((frames, 2), 3.0),
    }
    for name, values in pose.items():
        if name not in ("frame", "time_s", "hand", "found"):
            pose[name] = values.astype(np.float32)
            pose[name][~found] = np.nan
    to_arrow(POSE, by_row(pose))
    return pose


def check(motion):
    """Properties of every motion without a keyboard."""
    to_arrow(MOTION, by_row(motion))
    visible = motion["state"] > State.HIDDEN
    for name in ("rotation_rad", "translation_m", "betas", "bone_scale", "joints_m"):
        finite = np.isfinite(motion[name]).all(axis=tuple(range(2, motion[name].ndim)))
        np.testing.assert_array_equal(finite, visible, err_msg=name)
        assert motion[name].dtype == np.float32
    assert np.isnan(motion["joints_keyboard_mm"]).all() and motion["joints_keyboard_mm"].dtype == np.float32
    np.testing.assert_array_equal(np.isfinite(motion["residual_px"]), motion["state"] == State.OBSERVED)


def test_gaps_runs_and_states():
    missing = [
        (LEFT, 40, 69),
        (LEFT, 150, 180),
        (LEFT, 250, 281),
        (RIGHT, 100, 130),
        (RIGHT, 144, 180),
        (RIGHT, 300, 330),
        (RIGHT, 345, 375),
    ]
    motion, counts = clean_motion(make_pose(np.arange(400) / 30, missing))
    check(motion)
    left, right = motion["state"].T
    assert (left[40:69] == State.INTERPOLATED).all()
    assert (left[150:180] == State.HIDDEN).all()
    assert (left[250:281] == State.HIDDEN).all()
    assert (np.delete(left, np.r_[40:69, 150:180, 250:281]) == State.OBSERVED).all()
    assert (right[100:180] == State.HIDDEN).all()  # the 14 frames between two hidden gaps are flicker
    assert (right[330:345] == State.OBSERVED).all()  # 15 are not
    assert counts["left"]["interpolated"] == 29
    assert counts["left"]["hidden"] == 61
    assert counts["left"]["observed"] == 400 - 90
    assert counts["left"]["outliers"] == 0
    assert counts["right"]["flicker"] == 14
    assert counts["right"]["missing"] == 30 + 36 + 30 + 30


def test_joints_in_the_keyboard_frame_are_those_of_the_cleaned_pose():
    over = Extrinsics(np.array([np.pi - 0.1, 0.0, 0.05]), np.array([-600.0, 50.0, 1000.0]))
    pose = make_pose(np.arange(120) / 30, [(LEFT, 40, 80)])
    pose["joints_keyboard_mm"][:] = 7.0  # of the pose as it was fitted; not to be passed on
    motion, _ = clean_motion(pose, extrinsics=over)
    to_arrow(MOTION, by_row(motion))
    assert np.isnan(motion["joints_keyboard_mm"][40:80, LEFT]).all() and np.isfinite(motion["joints_keyboard_mm"][:, RIGHT]).all()
    np.testing.assert_allclose(over.to_camera(motion["joints_keyboard_mm"]), 1e3 * motion["joints_m"], atol=1e-3)


def test_spikes_are_replaced():
    pose = make_pose(np.arange(200) / 30)
    clean, _ = clean_motion(pose)
    pose["translation_m"][50, LEFT] += 0.2
    pose["rotation_rad"][90, LEFT, 1:] -= 0.6
    motion, counts = clean_motion(pose)
    check(motion)
    assert np.flatnonzero(motion["state"][:, LEFT] == State.INTERPOLATED).tolist() == [50, 90]
    assert {k: v for k, v in counts["left"].items() if "outliers" in k} == {
        "outliers": 2,
        "outliers_translation": 1,
        "outliers_orientation": 0,
        "outliers_pose": 1,
    }
    np.testing.assert_allclose(motion["translation_m"], clean["translation_m"], atol=1e-4)
    assert angle_between(motion["rotation_rad"], clean["rotation_rad"]).max() < 2e-3
    np.testing.assert_array_equal(motion["state"][:, RIGHT], State.OBSERVED)


def test_a_finger_that_leaves_its_key_for_a_moment_is_no_outlier():
    unrefined = make_pose(np.arange(120) / 30)
    refined = {name: values.copy() for name, values in unrefined.items()}
    refined["rotation_rad"][60:64, RIGHT, 3, 2] += 0.5
    unrefined["rotation_rad"][60, LEFT, 3, 2] += 0.5
    assert (clean_motion(refined)[0]["state"][60:64, RIGHT] == State.INTERPOLATED).all()
    motion, counts = clean_motion(refined, unrefined=unrefined)
    assert (motion["state"][60:64, RIGHT] == State.OBSERVED).all() and counts["right"]["outliers"] == 0
    assert motion["state"][60, LEFT] == State.INTERPOLATED and counts["left"]["outliers"] == 1
    lifted = motion["rotation_rad"][60:64, RIGHT, 3, 2] - clean_motion(unrefined)[0]["rotation_rad"][60:64, RIGHT, 3, 2]
    assert lifted.mean() > 0.2


def test_a_full_rotation_is_smooth_and_has_no_outliers():
    pose = make_pose(np.arange(300) / 30, [(LEFT, 140, 160)])
    axis = np.array([0.36, 0.48, 0.8])
    angle = np.linspace(0.5, 0.5 + 2 * np.pi, 300)
    wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
    pose["rotation_rad"][:, :, 0] = (wrapped[:, None] * axis)[:, None]
    pose["rotation_rad"][140:160, LEFT] = np.nan
    motion, counts = clean_motion(pose)
    check(motion)
    assert counts["left"]["outliers"] == counts["right"]["outliers"] == 0
    for h in (LEFT, RIGHT):
        got = motion["rotation_rad"][:, h, 0] @ axis
        np.testing.assert_allclose(got - got[0], angle - angle[0], atol=5e-3)


def test_joints_belong_to_the_cleaned_pose():
    pose = make_pose(np.arange(100) / 30)
    pose["bone_scale"][:, LEFT] = np.random.default_rng(0).normal(0.9, 0.05, 100)
    pose["betas"][:, RIGHT] = np.arange(100)[:, None]
    motion, _ = clean_motion(pose)
    check(motion)
    betas, scale = hand_shape(pose)
    assert scale[LEFT] == np.float32(np.median(pose["bone_scale"][:, LEFT]))
    assert (betas[RIGHT] == 49.5).all()
    assert (motion["bone_scale"][:, LEFT] == np.float32(scale[LEFT])).all()
    for h, hand in enumerate(("left", "right")):
        expected = hand_joints(motion["rotation_rad"][:, h].reshape(-1, 48), motion["translation_m"][:, h], scale[h], hand)
        np.testing.assert_allclose(motion["joints_m"][:, h], expected, atol=1e-6)


def test_an_engine_may_compute_its_own_joints():
    calls = []

    def joints_from(rotation, translation_m, betas, bone_scale, hand):
        calls.append((hand, rotation.shape, betas.shape, float(bone_scale)))
        return translation_m[:, None] + np.zeros((1, 21, 1))

    motion, _ = clean_motion(make_pose(np.arange(50) / 30, [(RIGHT, 0, 50)]), joints_from=joints_from)
    assert calls == [("left", (50, 48), (10,), 1.0)]
    np.testing.assert_array_equal(motion["joints_m"][:, LEFT, 7], motion["translation_m"][:, LEFT])


def test_lengths_in_seconds_are_the_same_at_60_hz():
    settings = CleanSettings(hampel_window=2 / 3, gap_shorter_than=1.0, run_shorter_than=0.5, savgol_window=11 / 30, units="seconds")
    assert settings.in_frames(np.arange(100) / 30) == {
        "hampel_window": 20,
        "gap_shorter_than": 30,
        "run_shorter_than": 15,
        "savgol_window": 11,
    }
    assert settings.in_frames(np.arange(100) / 60) == {
        "hampel_window": 40,
        "gap_shorter_than": 60,
        "run_shorter_than": 30,
        "savgol_window": 22,
    }
    pose = make_pose(np.arange(400) / 60, [(LEFT, 100, 159), (LEFT, 250, 310)])
    state = clean_motion(pose, settings)[0]["state"][:, LEFT]
    assert (state[100:159] == State.INTERPOLATED).all()
    assert (state[250:310] == State.HIDDEN).all()
    assert (clean_motion(pose)[0]["state"][100:159, LEFT] == State.HIDDEN).all()


def test_gaps_are_filled_in_time():
    time_s = np.concatenate([np.arange(40) / 30, 39 / 30 + np.cumsum([0.5, 0.1, 0.4]), 39 / 30 + 1.0 + np.arange(1, 41) / 30])
    pose = make_pose(time_s, [(LEFT, 40, 42)])
    pose["translation_m"][:, LEFT, 0] = np.where(pose["found"][:, LEFT], 0.1 * time_s, np.nan)
    motion, _ = clean_motion(pose, CleanSettings(savgol_window=1))
    np.testing.assert_allclose(motion["translation_m"][:, LEFT, 0], 0.1 * time_s, atol=1e-6)


@pytest.mark.parametrize("frames", [0, 1, 2, 50])
def test_no_hand_found(frames):
    motion, counts = clean_motion(make_pose(np.arange(frames) / 30, [(LEFT, 0, frames), (RIGHT, 0, frames)]))
    check(motion)
    assert (motion["state"] == State.HIDDEN).all()
    assert counts["left"]["hidden"] == counts["left"]["missing"] == counts["left"]["frames"] == frames


def test_empty_table():
    motion, counts = clean_motion(by_frame(POSE.empty()))
    check(motion)
    assert motion["state"].shape == (0, 2)
    assert counts["right"]["frames"] == 0


def test_half_a_pose_is_missing():
    pose = make_pose(np.arange(100) / 30)
    pose["rotation_rad"][30, LEFT, 5, 1] = np.nan
    pose["translation_m"][60, LEFT, 2] = np.nan
    motion, counts = clean_motion(pose)
    check(motion)
    assert np.flatnonzero(motion["state"][:, LEFT] == State.INTERPOLATED).tolist() == [30, 60]
    assert counts["left"]["missing"] == 2


def test_input_is_unchanged_and_results_repeat():
    pose = make_pose(np.arange(100) / 30, [(LEFT, 20, 30)])
    before = {name: values.copy() for name, values in pose.items()}
    first, second = clean_motion(pose)[0], clean_motion(pose)[0]
    for name in pose:
        np.testing.assert_array_equal(pose[name], before[name])
    assert all(first[name].tobytes() == second[name].tobytes() for name in first if name != "hand")


def test_bad_input_raises_with_its_name():
    pose = make_pose(np.arange(10) / 30)
    pose["time_s"][5] = 0.0
    with pytest.raises(ValueError, match="presentation order"):
        clean_motion(pose)
    with pytest.raises(ValueError, match="units"):
        CleanSettings(units="minutes")
    with pytest.raises(ValueError, match="gap_shorter_than"):
        CleanSettings(gap_shorter_than=-1)
