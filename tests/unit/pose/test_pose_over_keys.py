"""The landmarks engine over a registered keyboard: metric positions, the size of the hand, keys held down."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handroll import tables
from handroll.camera import Camera, Extrinsics
from handroll.generation.pianist import perform
from handroll.hand.kinematics import MIRROR
from handroll.hand.skeleton import FINGERS, HANDS, JOINT_OF_LANDMARK, TIPS
from handroll.keyboard.contacts import key_tops_held_mm
from handroll.metrics.alignment import procrustes
from handroll.pose import landmarks, priors
from handroll.pose.engine import fit_pose, refine_pose
from handroll.rendering.scene import world_joints
from handroll.simulator.score import score
from handroll.storage import to_arrow

CAMERA = Camera(1920, 1080, 1500.0, "keyboard", -0.03, (8.0, -5.0))
SMALL, LARGE = 0.9, 1.1


def tilted(tilt_rad=0.2, roll_rad=0.05):
    """A camera 1.15 m above the keys, tilted."""
    turn = Rotation.from_euler("z", roll_rad) * Rotation.from_euler("x", np.pi - tilt_rad)
    return Extrinsics(turn.as_rotvec(), np.array([0.0, 0.0, 1150.0]) - turn.apply([611.0, 40.0, 0.0]))


@pytest.fixture(scope="module")
def played():
    """A few seconds of a minuet by hands of two sizes."""
    return {size: perform(score("minuet", 5, 8.0), 5, 4.0, (size, size)) for size in (SMALL, LARGE)}


@pytest.fixture(scope="module", autouse=True)
def no_offsets():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks, "landmark_offsets_m", lambda: np.zeros((21, 3)))
        yield


@pytest.fixture(scope="module")
def fitted(played, no_offsets):
    """Poses and estimated size for each of the two sizes."""
    return {size: fit(performance) for size, performance in played.items()}


def joints_mm(performance):
    """True joints (frame, hand 2, joint 21, xyz 3), keyboard frame; NaN for an absent hand."""
    return np.where(performance.present[..., None, None], 1e3 * world_joints(performance), np.nan)


def detections(truth_mm, time_s, over, camera=CAMERA):
    """`tables.DETECTIONS` with the projected joints as landmarks."""
    columns = tables.by_frame(tables.DETECTIONS.empty())
    columns = {name: np.zeros((len(time_s), *values.shape[1:]), values.dtype) for name, values in columns.items()}
    pixels = camera.project(over.to_camera(truth_mm))[:, :, list(JOINT_OF_LANDMARK)]
    columns.update(tables.frame_keys(time_s), landmarks_px=pixels.astype(np.float32), found=np.isfinite(pixels).all(axis=(-1, -2)))
    return columns


def aligned_error_mm(columns, truth_mm):
    found = columns["found"]
    joints, truth = columns["joints_keyboard_mm"][found], truth_mm[found]
    return np.linalg.norm(procrustes(joints, truth).points - truth, axis=-1).mean()


def fit(performance, over=None, **options):
    over = over or tilted()
    seen = detections(joints_mm(performance), performance.time_s, over)
    columns, info = fit_pose("landmarks", None, seen, CAMERA, over, options)
    return columns, float(info["bone_scale"])


def test_the_plane_is_that_of_the_keys():
    points_mm = np.random.default_rng(0).uniform(-200.0, 1400.0, (9, 3))
    plane = landmarks.plane_of(tilted())
    heights_m = 1e-3 * tilted().to_camera(points_mm) @ plane[:3] + plane[3]
    np.testing.assert_allclose(1e3 * heights_m, points_mm[:, 2], atol=1e-9)


def test_size_and_position_of_hands_of_two_sizes(played, fitted):
    found = {}
    for size, performance in played.items():
        truth_mm = joints_mm(performance)
        columns, found[size] = fitted[size]
        to_arrow(tables.POSE, tables.by_row(columns))
        off = np.linalg.norm(columns["joints_keyboard_mm"] - truth_mm, axis=-1)[columns["found"]]
        assert off.mean() < 8.0 and off[:, list(TIPS)].mean() < 8.0
        assert aligned_error_mm(columns, truth_mm) < 6.0
        np.testing.assert_allclose(tilted().to_camera(columns["joints_keyboard_mm"]), 1e3 * columns["joints_m"], atol=1e-2)
        assert found[size] == pytest.approx(size, rel=0.04)
        np.testing.assert_allclose(columns["bone_scale"][columns["found"]], found[size], rtol=1e-5)
    assert found[LARGE] / found[SMALL] == pytest.approx(LARGE / SMALL, rel=0.02)


def test_a_known_size_is_not_estimated(played):
    assert fit(played[SMALL], hand_length_m=0.2046)[1] == pytest.approx(1.1)


def test_no_hands_have_no_size():
    nothing = detections(np.full((4, 2, 21, 3), np.nan), np.arange(4) / 30.0, tilted())
    columns, info = fit_pose("landmarks", None, nothing, CAMERA, tilted())
    assert info["bone_scale"] == "1" and np.isnan(columns["joints_keyboard_mm"]).all() and not columns["found"].any()


def test_the_left_hand_is_the_mirror_image(played):
    """Mirror the whole scene with its camera: the right hand becomes a left one."""
    over, mirror = tilted(0.15, 0.1), np.diag([-1.0, 1.0, 1.0])
    mirrored = Extrinsics(Rotation.from_matrix(mirror @ over.rotation @ mirror).as_rotvec(), over.translation_mm * MIRROR)
    camera = replace(CAMERA, off_centre_px=(0.0, -5.0))
    truth_mm = joints_mm(played[LARGE])
    truth_mm[:, 0] = np.nan
    time_s = played[LARGE].time_s
    right, info = fit_pose("landmarks", None, detections(truth_mm, time_s, over, camera), camera, over)
    left, again = fit_pose("landmarks", None, detections(truth_mm[:, ::-1] * MIRROR, time_s, mirrored, camera), camera, mirrored)
    assert float(again["bone_scale"]) == pytest.approx(float(info["bone_scale"]), rel=1e-3)
    assert left["found"][:, 0].any() and not left["found"][:, 1].any()
    np.testing.assert_allclose(left["joints_keyboard_mm"][:, 0] * MIRROR, right["joints_keyboard_mm"][:, 1], atol=1.0)


@pytest.mark.parametrize("wrong_mm", [-15.0, 15.0])
def test_a_wrong_height_prior_increases_the_error_little(played, fitted, monkeypatch, wrong_mm):
    performance = played[LARGE]
    truth_mm = joints_mm(performance)
    before = aligned_error_mm(fitted[LARGE][0], truth_mm)
    wrong = {kind: (mean + wrong_mm, sigma) for kind, (mean, sigma) in priors.HEIGHTS_MM.items()}
    monkeypatch.setattr(priors, "HEIGHTS_MM", wrong)
    columns, _ = fit(performance)
    raised = columns["joints_keyboard_mm"][..., 2][columns["found"]].mean() - truth_mm[..., 2][columns["found"]].mean()
    assert abs(raised) > 4.0, "the prior has no effect: this test tells nothing"
    assert aligned_error_mm(columns, truth_mm) < before + 2.0


def test_fingertips_move_to_the_keys_that_they_hold(played, fitted):
    performance, over = played[LARGE], tilted()
    truth_mm, time_s = joints_mm(performance), performance.time_s
    seen = detections(truth_mm, time_s, over)
    fitted = fitted[LARGE][0]
    fingered = {
        **performance.notes,
        "hand": np.array(HANDS, dtype=object)[performance.note_hand],
        "finger": performance.note_finger + 1,
    }
    pressed_mm = key_tops_held_mm(fingered, time_s)
    refined = refine_pose("landmarks", fitted, seen, CAMERA, over, pressed_mm)
    to_arrow(tables.POSE, tables.by_row(refined))
    held = np.isfinite(pressed_mm) & fitted["found"][..., None]
    assert held.sum() > 20 and pressed_mm.shape == (*fitted["found"].shape, len(FINGERS))

    def off_mm(columns):
        return np.abs(columns["joints_keyboard_mm"][:, :, list(TIPS), 2] - truth_mm[:, :, list(TIPS), 2])[held]

    above_mm = refined["joints_keyboard_mm"][:, :, list(TIPS), 2][held] - pressed_mm[held]
    assert np.median(np.abs(above_mm - priors.HEIGHT_PRESSING_MM[0])) < 2.0
    assert off_mm(refined).mean() < min(5.0, 0.8 * off_mm(fitted).mean())
    assert aligned_error_mm(refined, truth_mm) < aligned_error_mm(fitted, truth_mm) + 0.5
    np.testing.assert_array_equal(refined["bone_scale"], fitted["bone_scale"])
    idle = fitted["found"] & ~np.isfinite(pressed_mm).any(axis=2)
    np.testing.assert_allclose(refined["joints_keyboard_mm"][idle], fitted["joints_keyboard_mm"][idle], atol=0.5)


def test_without_held_keys_nothing_changes(played):
    over = tilted()
    seen = detections(joints_mm(played[SMALL])[:20], played[SMALL].time_s[:20], over)
    fitted, _ = fit_pose("landmarks", None, seen, CAMERA, over)
    refined = refine_pose("landmarks", fitted, seen, CAMERA, over, np.full((20, 2, 5), np.nan))
    np.testing.assert_allclose(refined["joints_keyboard_mm"], fitted["joints_keyboard_mm"], atol=0.1)
    assert list(refined) == list(fitted)


def test_the_same_input_gives_the_same_bytes(played):
    seen = detections(joints_mm(played[SMALL])[:12], played[SMALL].time_s[:12], tilted())
    (first, info), (second, again) = (fit_pose("landmarks", None, seen, CAMERA, tilted()) for _ in range(2))
    assert info == again
    for name in ("rotation_rad", "joints_keyboard_mm", "residual_px"):
        assert first[name].tobytes() == second[name].tobytes()
