"""The landmarks engine: derivatives, known poses, mirror, failures, determinism."""

import math

import numpy as np
import pytest
import torch

from handroll import tables
from handroll.camera import Camera, Extrinsics, hamer_camera
from handroll.hand.kinematics import MIRROR, hand_joints, mirrored_pose
from handroll.hand.rotations import compose, rotvec_from_matrix
from handroll.hand.skeleton import JOINT_OF_LANDMARK, JOINTS
from handroll.hand.template import open_hand
from handroll.metrics.alignment import procrustes
from handroll.pose import differentiable_hand, fit_problem, landmarks, priors
from handroll.pose.engine import fit_pose
from handroll.pose.levenberg_marquardt import minimise
from handroll.storage import to_arrow

CAMERA = Camera(1920, 1080, 1500.0, "sheet")
OVER_KEYS = Extrinsics(np.array([np.pi - 0.2, 0.03, 0.05]), np.array([-600.0, 60.0, 1000.0]))


def playing_poses(frames, seed=0):
    """Right hands over a keyboard 0.975 m below the camera: rotation (frame, 16, 3), translation (frame, 3), joints (frame, 21, 3)."""
    rng = np.random.default_rng(seed)
    template = open_hand()
    angles = np.zeros((frames, 5, 3, 3))
    angles[:, 1:, 0, 0] = rng.normal(15.0, 12.0, (frames, 4))
    angles[:, 1:, 1, 0] = rng.normal(40.0, 12.0, (frames, 4)).clip(0.0)
    angles[:, 1:, 2, 0] = 0.6 * angles[:, 1:, 1, 0] + rng.normal(0.0, 5.0, (frames, 4))
    angles[:, :, 0, 1] = rng.normal(0.0, 7.0, (frames, 5))
    angles[:, 0, :, 0] = rng.normal(10.0, 8.0, (frames, 3))
    pitch, yaw, roll = np.radians(rng.normal([[6.0], [0.0], [0.0]], [[5.0], [15.0], [5.0]], (3, frames)))
    zero = np.zeros(frames)
    turn = compose(compose(np.stack([zero, zero, yaw], -1), np.stack([pitch, zero, zero], -1)), np.stack([zero, roll, zero], -1))
    rotation = np.zeros((frames, 16, 3))
    rotation[:, 0] = compose(turn, np.broadcast_to(rotvec_from_matrix(np.array(fit_problem.LEVEL_HAND)), (frames, 3)))
    rotation[:, differentiable_hand.BENDS] = np.einsum("tfba,fbax->tfbx", np.radians(angles), template.axes[differentiable_hand.BENDS])
    wrist = np.stack([rng.uniform(-0.4, 0.4, frames), rng.uniform(-0.05, 0.1, frames), 0.92 + zero], -1)
    translation = wrist - template.joints_m[0]
    return rotation, translation, hand_joints(rotation.reshape(frames, 48), translation, 1.0, "right")


def detections(*pixels):
    """`tables.DETECTIONS` columns with landmarks (frame, 21, 2) of the left and right hand."""
    frames = len(pixels[0])
    columns = tables.by_frame(tables.DETECTIONS.empty())
    columns = {name: np.zeros((frames, *values.shape[1:]), values.dtype) for name, values in columns.items()}
    columns.update(tables.frame_keys(np.arange(frames) / 30.0), landmarks_px=np.stack(pixels, 1).astype(np.float32))
    columns["found"] = np.isfinite(columns["landmarks_px"]).all(axis=(-1, -2))
    return columns


def absent(frames):
    return np.full((frames, 21, 2), np.nan)


def project(camera, joints):
    return camera.project(joints)[:, list(JOINT_OF_LANDMARK)]


@pytest.fixture
def no_offsets(monkeypatch):
    monkeypatch.setattr(landmarks, "landmark_offsets_m", lambda: np.zeros((21, 3)))


def aligned_error_mm(joints, truth):
    return 1e3 * np.linalg.norm(procrustes(joints, truth).points - truth, axis=-1).mean()


def test_torch_kinematics_equal_hand_kinematics():
    rng = np.random.default_rng(4)
    template = open_hand()
    angles = rng.normal(0.0, 0.6, (5, 45))
    angles[0] = 0.0
    root = rng.normal(0.0, 1.0, (5, 3))
    rotation = np.zeros((5, 16, 3))
    rotation[:, 0] = root
    rotation[:, differentiable_hand.BENDS] = np.einsum(
        "tfba,fbax->tfbx", angles.reshape(5, 5, 3, 3), template.axes[differentiable_hand.BENDS]
    )
    expected = hand_joints(rotation.reshape(5, 48), np.zeros(3), 1.1, "right")
    model = differentiable_hand.articulation(template, 1.1, np.zeros((21, 3)), torch.float64)
    points, _ = differentiable_hand.pose_landmarks(
        model, differentiable_hand.exponential(torch.as_tensor(root))[0], torch.as_tensor(angles)
    )
    np.testing.assert_allclose(points.numpy(), (expected - expected[:, :1])[:, list(JOINT_OF_LANDMARK)], atol=1e-12)


@pytest.mark.parametrize("held", ["no keyboard", "keyboard", "keys held down"])
def test_gradient_and_matrix_are_those_of_the_cost(held):
    torch.manual_seed(0)
    plane = None if held == "no keyboard" else torch.as_tensor(landmarks.plane_of(OVER_KEYS))
    pressed = torch.tensor([[math.nan, 0.0, math.nan, 0.011, math.nan]], dtype=torch.float64) if held == "keys held down" else None
    template = open_hand()
    model = differentiable_hand.articulation(template, 1.0, priors.landmark_offsets_m(), torch.float64)
    pixels = torch.as_tensor(project(CAMERA, playing_poses(1)[2]) - np.array(CAMERA.centre_px))
    start, px_per_m = fit_problem.level_start(model, CAMERA.focal_px, pixels)
    # Away from the start, with some joints beyond their limits.
    start = fit_problem.retract(start, 0.3 * torch.randn(1, 51, dtype=torch.float64) * torch.tensor([50.0] * 2 + [0.1] + [1.0] * 48))
    one = fit_problem.HandProblem(model, template, CAMERA.focal_px, pixels, px_per_m, plane, pressed)
    many = pixels.repeat(102, 1, 1), px_per_m.repeat(102), plane, None if pressed is None else pressed.repeat(102, 1)
    all_at_once = fit_problem.HandProblem(model, template, CAMERA.focal_px, *many)
    _, gradient, matrix = one.evaluate(start)
    assert ((start[2] > one.high) | (start[2] < one.low)).any()

    steps = 1e-6 * torch.cat([torch.eye(51), -torch.eye(51)]).double()
    cost, _, _ = all_at_once.evaluate(fit_problem.retract(tuple(part.repeat(102, *[1] * (part.dim() - 1)) for part in start), steps))
    torch.testing.assert_close(gradient[0], (cost[:51] - cost[51:]) / 2e-6, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(matrix, matrix.mT)
    assert torch.linalg.eigvalsh(matrix).min() > 0.0


def test_levenberg_marquardt_solves_rosenbrock():
    def evaluate(state):
        (x,) = state
        residual = torch.stack([10.0 * (x[:, 1] - x[:, 0] ** 2), 1.0 - x[:, 0]], -1)
        jacobian = torch.zeros(len(x), 2, 2, dtype=x.dtype)
        jacobian[:, 0, 0], jacobian[:, 0, 1], jacobian[:, 1, 0] = -20.0 * x[:, 0], 10.0, -1.0
        return 0.5 * residual.square().sum(1), (residual[:, None] @ jacobian)[:, 0], jacobian.mT @ jacobian

    start = torch.tensor([[-1.2, 1.0], [2.0, -3.0], [1.0, 1.0]], dtype=torch.float64)
    (end,), cost = minimise((start,), evaluate, lambda state, step: (state[0] + step,), 60)
    torch.testing.assert_close(end, torch.ones_like(end))
    assert (cost < 1e-15).all()


def test_exact_landmarks_restore_the_pose(no_offsets):
    _, translation, joints = playing_poses(80)
    columns, info = fit_pose("landmarks", None, detections(absent(80), project(CAMERA, joints)), CAMERA)
    assert aligned_error_mm(columns["joints_m"][:, 1], joints) < 5.0
    assert np.nanmean(columns["residual_px"]) < 3.0
    lateral = np.abs(columns["translation_m"][:, 1, :2] - translation[:, :2])
    assert np.median(lateral) < 0.01
    assert info["engine"] == "landmarks" and info["bone_scale"] == "1" and np.isnan(columns["joints_keyboard_mm"]).all()


def test_noise_and_a_wrong_focal_length(no_offsets):
    _, _, joints = playing_poses(80)
    pixels = project(CAMERA, joints) + np.random.default_rng(1).normal(0.0, 2.0, (80, 21, 2))
    camera = hamer_camera(1920, 1080)
    columns, _ = fit_pose("landmarks", None, detections(absent(80), pixels), camera)
    assert aligned_error_mm(columns["joints_m"][:, 1], joints) < 6.0
    # HaMeR's convention: the hand is as many times too far as the focal length is too long.
    assert np.median(columns["joints_m"][:, 1, 0, 2]) == pytest.approx(0.92 * camera.focal_px / 1500.0, rel=0.06)


def test_fingers_curl_towards_the_keys():
    _, _, joints = playing_poses(20)
    fitted = fit_pose("landmarks", None, detections(absent(20), project(CAMERA, joints)), CAMERA)[0]["joints_m"][:, 1]
    knuckle, tip = fitted[:, JOINTS.index("middle1"), 2], fitted[:, JOINTS.index("middle_tip"), 2]
    assert (tip > knuckle + 0.01).all()


def test_the_left_hand_is_the_mirror_image():
    _, _, joints = playing_poses(15)
    right = project(CAMERA, joints)
    left = project(CAMERA, joints * MIRROR)
    columns, _ = fit_pose("landmarks", None, detections(left, right), CAMERA)
    np.testing.assert_allclose(columns["joints_m"][:, 0], columns["joints_m"][:, 1] * MIRROR, atol=5e-4)
    rotation = columns["rotation_rad"].reshape(15, 2, 48)
    np.testing.assert_allclose(mirrored_pose(rotation[:, 0]), rotation[:, 1], atol=5e-3)
    assert np.linalg.norm(columns["joints_m"][:, 0, 0] - joints[:, 0] * MIRROR, axis=-1).mean() < 0.06


def test_the_table_is_consistent_and_fits_its_schema():
    _, _, joints = playing_poses(30)
    pixels = project(CAMERA, joints)
    left = project(CAMERA, joints * MIRROR)
    left[10:20] = np.nan
    table = detections(left, pixels)
    columns, _ = fit_pose("landmarks", None, table, CAMERA, options={"hand_length_m": 0.2046})
    to_arrow(tables.POSE, tables.by_row(columns))
    np.testing.assert_array_equal(columns["found"], table["found"])
    for name in ("rotation_rad", "translation_m", "betas", "bone_scale", "joints_m", "residual_px"):
        gone = np.isnan(columns[name]).reshape(30, 2, -1)
        assert (gone.any(-1) == ~table["found"]).all() and (gone.all(-1) == ~table["found"]).all()
    assert columns["bone_scale"][0, 1] == pytest.approx(1.1)
    for side, hand in enumerate(("left", "right")):
        rows = columns["found"][:, side]
        again = hand_joints(
            columns["rotation_rad"][rows, side].reshape(-1, 48),
            columns["translation_m"][rows, side],
            columns["bone_scale"][rows, side],
            hand,
        )
        np.testing.assert_allclose(columns["joints_m"][rows, side], again, atol=1e-6)


def test_rotations_are_continuous():
    """The global rotation of the hand is near pi, where axis-angle vectors jump."""
    rotation, translation, _ = playing_poses(1)
    yaw = np.linspace(-0.6, 0.6, 60)
    turning = np.repeat(rotation, 60, axis=0)
    turning[:, 0] = compose(np.stack([0 * yaw, 0 * yaw, yaw], -1), turning[:, 0])
    joints = hand_joints(turning.reshape(60, 48), np.repeat(translation, 60, axis=0), 1.0, "right")
    columns, _ = fit_pose("landmarks", None, detections(project(CAMERA, joints * MIRROR), project(CAMERA, joints)), CAMERA)
    assert np.abs(np.diff(columns["rotation_rad"], axis=0)).max() < 0.2


def test_the_same_input_gives_the_same_bytes():
    _, _, joints = playing_poses(15)
    pixels = project(CAMERA, joints) + np.random.default_rng(2).normal(0.0, 5.0, (15, 21, 2))
    pixels[7] = pixels[7].mean(0) + 0.1 * (pixels[7] - pixels[7].mean(0))[::-1]  # a wrong detection: second start
    first, second = (fit_pose("landmarks", None, detections(absent(15), pixels), CAMERA)[0] for _ in range(2))
    for name in ("rotation_rad", "translation_m", "joints_m", "residual_px"):
        assert first[name].tobytes() == second[name].tobytes()


def test_degenerate_landmarks_stay_finite():
    pixels = np.full((3, 21, 2), 300.0)
    pixels[1] += np.random.default_rng(0).normal(0.0, 2000.0, (21, 2))
    columns, _ = fit_pose("landmarks", None, detections(absent(3), pixels), CAMERA)
    assert np.isfinite(columns["joints_m"][:, 1]).all() and np.isfinite(columns["residual_px"][:, 1]).all()


def test_a_video_without_hands_or_frames():
    for frames in (0, 5):
        columns, _ = fit_pose("landmarks", None, detections(absent(frames), absent(frames)), CAMERA)
        assert columns["joints_m"].shape == (frames, 2, 21, 3) and np.isnan(columns["joints_m"]).all() and not columns["found"].any()


@pytest.mark.parametrize(("options", "message"), [({"hand_length": 0.2}, "unknown options"), ({"hand_length_m": 19.0}, "0.1 to 0.26")])
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fit_pose("landmarks", None, detections(absent(1), absent(1)), CAMERA, options=options)


def test_the_nearest_good_frame():
    candidates = torch.tensor([2, 5, 9])
    assert landmarks._nearest(candidates, torch.tensor([0, 3, 4, 7, 20])).tolist() == [2, 2, 5, 5, 9]


def test_without_a_keyboard_heights_count_only_relative_to_each_other(monkeypatch):
    rows, mean, sigma = priors.height_prior()
    assert [JOINTS[JOINT_OF_LANDMARK[r]] for r in rows][:3] == ["wrist", "thumb_tip", "index1"] and len(rows) == 10
    assert mean[0] == pytest.approx(0.050) and sigma[0] == pytest.approx(0.015)
    model = differentiable_hand.articulation(open_hand(), 1.0, priors.landmark_offsets_m(), torch.float64)
    pixels = torch.as_tensor(project(CAMERA, playing_poses(1)[2]) - CAMERA.centre_px)
    state, px_per_m = fit_problem.level_start(model, CAMERA.focal_px, pixels)
    plane = torch.as_tensor(landmarks.plane_of(OVER_KEYS))

    def costs():
        seen = model, open_hand(), CAMERA.focal_px, pixels, px_per_m
        return [float(fit_problem.HandProblem(*seen, p).evaluate(state)[0]) for p in (None, plane)]

    before = costs()
    higher = {kind: (height + 40.0, spread) for kind, (height, spread) in priors.HEIGHTS_MM.items()}
    monkeypatch.setattr(priors, "HEIGHTS_MM", higher)
    after = costs()
    assert after[0] == pytest.approx(before[0], rel=1e-9) and abs(after[1] - before[1]) > 1.0


def test_distortion_is_removed(no_offsets):
    _, _, joints = playing_poses(20)
    bent = Camera(1920, 1080, 1500.0, "sheet", -0.08, (30.0, -20.0))
    assert np.abs(project(bent, joints) - project(CAMERA, joints) - [30.0, -20.0]).max() > 5.0
    plain, fitted = (fit_pose("landmarks", None, detections(absent(20), project(c, joints)), c)[0] for c in (CAMERA, bent))
    np.testing.assert_allclose(fitted["joints_m"][:, 1], plain["joints_m"][:, 1], atol=5e-4)
