"""Refinement over time: less jitter, smaller errors, and the strokes are kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handroll import tables
from handroll.camera import Camera, Extrinsics, hamer_camera, joints_in_keyboard_frame
from handroll.generation.pianist import perform
from handroll.hand.kinematics import MIRROR, hand_joints
from handroll.hand.mano import mano_joints
from handroll.hand.rotations import matrix_from_rotvec, mirrored, rotvec_from_matrix
from handroll.hand.skeleton import HANDS, TIPS
from handroll.keyboard.contacts import key_tops_held_mm
from handroll.metrics.alignment import procrustes
from handroll.metrics.jitter import jitter_rms
from handroll.pose import engine, temporal
from handroll.pose.block_banded import solve_banded
from handroll.pose.differentiable_hand import exponential
from handroll.pose.hand_models import ManoSkeleton, TemplateSkeleton, joint_jacobian
from handroll.pose.series_problem import minimise_series
from handroll.pose.temporal import TemporalSettings, refine_over_time
from handroll.pose.temporal_problem import Measurements, VideoProblem
from handroll.rendering.scene import View, to_camera
from handroll.simulator.score import score
from handroll.storage import to_arrow
from pose_noise import add_pose_noise, multiply_depth
from support.toy_mano import synthetic_mano

VIEW = View(tilt_rad=0.15)
OVER = Extrinsics(rotvec_from_matrix(VIEW.rotation), -1e3 * VIEW.rotation @ np.array(VIEW.position_m))
CAMERA = Camera(1920, 1080, VIEW.focal_widths * 1920, "keyboard")


class Scene:
    view = VIEW


def quiet(items, total, unit):
    return items


def refine(given, camera=CAMERA, over=OVER, settings=None, pressed_mm=None, skeleton=None):
    return refine_over_time(given.pose, given.detections, camera, over, skeleton or TemplateSkeleton(), settings, pressed_mm, quiet)


def played(seconds, fps, piece="study", seed=5):
    performance = perform(score(piece, seed, 8.0), seed, fps)
    kept = (performance.time_s > 1.0) & (performance.time_s <= 1.0 + seconds)
    names = "time_s", "rotation_rad", "translation_m", "key_depth_mm", "present"
    return replace(performance, **{name: getattr(performance, name)[kept] for name in names})


def disturbed(performance, camera=CAMERA, **noise):
    rotation, translation = to_camera(performance, Scene)
    if camera.focal_source == "hamer":
        translation = multiply_depth(translation, performance.bone_scale, camera.focal_px / CAMERA.focal_px)
    return add_pose_noise(performance.time_s, rotation, translation, performance.bone_scale, performance.present, camera, 3, **noise)


@pytest.fixture(scope="module")
def at_60():
    performance = played(3.0, 60.0)
    return performance, disturbed(performance)


@pytest.fixture(scope="module")
def by_sight(at_60):
    """The series at 60 Hz, refined without keys."""
    return refine(at_60[1])


@pytest.fixture(scope="module")
def by_touch(at_60):
    """The series at 60 Hz, refined with the keys that are held down."""
    performance, given = at_60
    return refine(given, pressed_mm=keys_held_mm(performance))


@pytest.fixture(scope="module")
def short():
    return disturbed(played(0.8, 30.0), wrong=0.0, missing=0.05)


@pytest.fixture(scope="module")
def short_refined(short):
    return refine(short)


def figures(columns, given, camera):
    """Jitter px, error px, aligned and absolute error mm of the frames without gross errors."""
    judged = given.pose["found"] & ~given.wrong
    joints, truth = columns["joints_m"].astype(float), given.truth["joints_m"].astype(float)
    pixels = camera.project(np.where(judged[..., None, None], joints, np.nan))
    joints, truth_px, truth = joints[judged], camera.project(truth), truth[judged]
    return np.array(
        [
            jitter_rms(pixels),
            np.linalg.norm(pixels - truth_px, axis=-1)[judged].mean(),
            1e3 * np.linalg.norm(procrustes(joints, truth).points - truth, axis=-1).mean(),
            1e3 * np.linalg.norm(joints - truth, axis=-1).mean(),
        ]
    )


def strokes(columns, performance):
    """Sum over the notes of the maximum speed and the depth of the fingertip, where it is detected throughout."""
    tips = joints_in_keyboard_frame(columns["joints_m"], OVER)[:, :, list(TIPS)].astype(float)
    out = []
    for onset, hand, finger in zip(performance.notes["onset_s"], performance.note_hand, performance.note_finger, strict=True):
        rows = (performance.time_s > onset - 0.15) & (performance.time_s < onset + 0.07)
        tip = tips[rows, hand, finger]
        # Another number where frames are missing: comparable only over notes that all series have.
        speed = np.linalg.norm(np.diff(tip, axis=0), axis=-1) / np.diff(performance.time_s[rows])
        out.append((speed.max(), np.ptp(tip[:, 2])) if rows.sum() > 3 else (np.nan, np.nan))
    return np.array(out)


def check_calmer_and_nearer(given, refined, camera):
    before, after = figures(given.pose, given, camera), figures(refined, given, camera)
    assert before[0] > 3.0 and after[0] < 0.5 * before[0]
    assert (after[1:] < 0.9 * before[1:]).all()
    to_arrow(tables.POSE, tables.by_row(refined))


def keys_held_mm(performance):
    hands = np.array(HANDS, dtype=object)[performance.note_hand]
    return key_tops_held_mm({**performance.notes, "hand": hands, "finger": performance.note_finger + 1}, performance.time_s)


def test_jitter_is_halved_and_strokes_are_kept_over_the_keys(at_60, by_touch):
    (performance, given), refined = at_60, by_touch
    check_calmer_and_nearer(given, refined, CAMERA)
    found, true = (strokes(columns, performance) for columns in (refined, given.truth))
    both = np.isfinite(found).all(1) & np.isfinite(true).all(1)
    assert both.sum() > 10
    np.testing.assert_allclose(found[both].sum(0) / true[both].sum(0), 1.0, atol=0.06)
    np.testing.assert_array_equal(refined["found"], given.pose["found"])
    for name in ("rotation_rad", "translation_m", "joints_m", "joints_keyboard_mm"):
        assert (np.isfinite(refined[name]).all(tuple(range(2, refined[name].ndim))) == given.pose["found"]).all()


def test_without_keys_under_hamers_camera():
    camera = hamer_camera(1920, 1080)
    given = disturbed(played(2.5, 30.0, "minuet"), camera)
    refined = refine(given, camera, None)
    check_calmer_and_nearer(given, refined, camera)
    assert np.isnan(refined["joints_keyboard_mm"]).all()


def test_gross_errors_are_corrected(at_60, by_sight):
    _, given = at_60
    judged = given.wrong & given.pose["found"]
    assert judged.sum() >= 2

    def off_px(columns):
        return np.linalg.norm(CAMERA.project(columns["joints_m"]) - CAMERA.project(given.truth["joints_m"]), axis=-1)[judged]

    assert off_px(given.pose).mean() > 50.0 and off_px(by_sight).mean() < 5.0


def test_a_mano_hand_is_refined_in_its_own_shape(short):
    model = synthetic_mano(0)
    betas = np.linspace(-1.0, 1.0, 10)

    def as_mano(columns):
        columns = {name: np.array(values) for name, values in columns.items()}
        found = columns["found"]
        columns["betas"][found] = betas
        for side, hand in enumerate(HANDS):
            rotation = columns["rotation_rad"][:, side].reshape(len(found), -1)
            columns["joints_m"][:, side] = mano_joints(
                model, rotation, columns["translation_m"][:, side], np.tile(betas, (len(found), 1)), hand
            )
        return columns

    given = replace(short, truth=as_mano(short.truth), pose=as_mano(short.pose))
    # The landmarks are those of another hand: they must do no harm.
    refined = refine(given, skeleton=ManoSkeleton(model))
    before, after = figures(given.pose, given, CAMERA), figures(refined, given, CAMERA)
    assert after[0] < 0.6 * before[0] and (after[1:] < before[1:]).all()
    np.testing.assert_allclose(refined["joints_m"], as_mano(refined)["joints_m"], atol=1e-6)


def test_the_table_is_consistent(short, short_refined):
    refined = short_refined
    for side, hand in enumerate(HANDS):
        rotation = refined["rotation_rad"][:, side]
        joints = hand_joints(
            rotation.reshape(-1, 48), refined["translation_m"][:, side], short.pose["bone_scale"][short.pose["found"]][0], hand
        )
        np.testing.assert_allclose(refined["joints_m"][:, side], joints, atol=1e-6)
    np.testing.assert_allclose(refined["joints_keyboard_mm"], joints_in_keyboard_frame(refined["joints_m"], OVER), atol=1e-3)
    seen = refined["found"]
    assert 1.0 < refined["residual_px"][seen].mean() < 10.0 and np.isnan(refined["residual_px"][~seen]).all()
    assert refined["rotation_rad"].dtype == short.pose["rotation_rad"].dtype and list(refined) == list(short.pose)


def test_the_left_hand_is_the_mirror_image(short, short_refined):
    mirror = np.diag(MIRROR)
    over = Extrinsics(rotvec_from_matrix(mirror @ OVER.rotation @ mirror), OVER.translation_mm * MIRROR)
    pose = {name: values[:, ::-1] if name != "hand" else values for name, values in short.pose.items()}
    for name in ("joints_m", "translation_m"):
        pose[name] = pose[name] * MIRROR.astype(np.float32)
    pose["rotation_rad"] = mirrored(pose["rotation_rad"]).astype(np.float32)
    seen = {name: values[:, ::-1] if name != "hand" else values for name, values in short.detections.items()}
    seen["landmarks_px"] = np.float32([1920, 0]) + np.float32([-1, 1]) * seen["landmarks_px"]
    other = refine(replace(short, pose=pose, detections=seen), over=over)
    np.testing.assert_allclose(other["joints_m"][:, ::-1] * MIRROR, short_refined["joints_m"], atol=2e-5)


def test_windows_give_the_same_result_as_the_whole_series(monkeypatch):
    given = disturbed(played(5.0, 30.0), wrong=0.0)
    whole = refine(given, settings=TemporalSettings(window_s=60.0))
    in_windows = refine(given, settings=TemporalSettings(window_s=1.0))
    assert len(temporal.split_into_windows(given.truth["time_s"][:, 0], 1.0)[0]) >= 5
    # A heavy tail has more than one minimum, so a far window may choose otherwise for a joint here and there.
    off_mm = 1e3 * np.linalg.norm(whole["joints_m"] - in_windows["joints_m"], axis=-1)
    assert np.nanmean(off_mm) < 0.1 and np.nanpercentile(off_mm, 99) < 1.5
    np.testing.assert_allclose(figures(whole, given, CAMERA), figures(in_windows, given, CAMERA), rtol=0.03)


def test_every_frame_belongs_to_one_window():
    for frames in (1, 2, 3, 5, 31, 300, 301):
        for window_s in (0.1, 1.0, 100.0):
            time_s = np.arange(frames) / 30.0
            windows = [window for batch in temporal.split_into_windows(time_s, window_s) for window in batch]
            assert np.array_equal(np.concatenate([rows[kept] for rows, kept in windows]), np.arange(frames))
            assert len({len(rows) for rows, _ in windows}) == 1 and len(windows[0][0]) % 2 == 0


def test_frames_far_apart_in_time_are_not_connected():
    time_s = np.array([0.0, 0.02, 0.06, 0.07, 0.5, 0.53, 0.53, 0.6])
    got = temporal.acceleration_coefficients(time_s, np.arange(8)[None])[0]
    np.testing.assert_array_equal(got.any(axis=1), [True, True, False, False, False, False])
    for start in (0, 1):
        t = time_s[start : start + 3]
        np.testing.assert_allclose(got[start] @ np.stack([np.ones(3), t, 0.5 * t**2], 1), [0.0, 0.0, 1.0], atol=1e-9)


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_few_frames(short, kept):
    pose = {name: np.array(values) for name, values in short.pose.items()}
    rows = np.flatnonzero(pose["found"].all(axis=1))
    gone = np.setdiff1d(np.arange(len(pose["found"])), rows[:kept])
    for name, values in pose.items():
        if name == "found":
            values[gone] = False
        elif name not in ("frame", "time_s", "hand"):
            values[gone] = np.nan
    refined = refine(replace(short, pose=pose))
    np.testing.assert_array_equal(refined["found"], pose["found"])
    # So few tell of no motion; they move by what the landmarks say, if at all.
    np.testing.assert_allclose(refined["joints_m"], pose["joints_m"], atol=0.02)


def test_no_frames_at_all(short):
    nothing = {name: values[:0] for name, values in short.pose.items()}
    refined = refine(replace(short, pose=nothing, detections={name: values[:0] for name, values in short.detections.items()}))
    to_arrow(tables.POSE, tables.by_row(refined))


def test_no_landmarks(short):
    seen = short.detections | {"found": np.zeros_like(short.detections["found"])}
    refined = refine(replace(short, detections=seen))
    np.testing.assert_array_equal(refined["residual_px"], short.pose["residual_px"])
    assert figures(refined, short, CAMERA)[0] < 0.6 * figures(short.pose, short, CAMERA)[0]


def test_fingertips_stay_on_the_keys_that_they_hold(at_60, by_sight, by_touch):
    performance, given = at_60
    held = np.isfinite(keys_held_mm(performance)) & given.pose["found"][..., None]

    def off_mm(columns):
        over = [joints_in_keyboard_frame(c["joints_m"], OVER)[:, :, list(TIPS), 2][held] for c in (columns, given.truth)]
        return np.abs(over[0] - over[1]).mean()

    assert held.sum() > 50
    assert off_mm(by_touch) < 0.8 * off_mm(by_sight) < 0.8 * off_mm(given.pose)


def test_fingertips_do_not_sink_into_the_keys(short):
    lower = {name: np.array(values) for name, values in short.pose.items()}
    down_m = 0.01 * (VIEW.rotation @ [0.0, 0.0, -1.0]).astype(np.float32)
    lower["translation_m"] += down_m
    lower["joints_m"] += down_m
    sunk, free = replace(short, pose=lower), refine(replace(short, pose=lower), over=None)
    refined = refine(sunk)
    found = short.pose["found"]

    def heights(columns):
        return joints_in_keyboard_frame(columns["joints_m"], OVER)[:, :, list(TIPS), 2]

    def sunk_mm(columns):
        return (temporal.MIN_HEIGHT_MM[0] - heights(columns)[found]).clip(min=0.0).max(axis=-1).mean()

    assert sunk_mm(free) > 3.0 and sunk_mm(refined) < 0.3 * sunk_mm(free)


def test_the_same_input_gives_the_same_bytes(short, short_refined):
    again = refine(short)
    assert all(
        again[name].tobytes() == short_refined[name].tobytes() for name in ("rotation_rad", "translation_m", "joints_m", "residual_px")
    )


@pytest.mark.parametrize("wrong", [{"smoothness": 0.0}, {"window_s": float("nan")}, {"window_s": -1.0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TemporalSettings(**wrong)


def test_the_engine_is_selected_by_name(short, short_refined):
    args = short.pose, short.detections, CAMERA, OVER
    got = engine.refine_over_time("landmarks", *args, {"smoothness": 1.0, "window_s": 8.0}, progress=quiet)
    np.testing.assert_array_equal(got["joints_m"], short_refined["joints_m"])


def test_hamers_hand_is_mano(short, monkeypatch):
    from handroll.pose.hamer import engine as hamer

    monkeypatch.setattr(hamer, "read_mano", lambda path: synthetic_mano(0))
    rotation = random_rotations(2)
    got = hamer.skeleton({"mano": "MANO_RIGHT.pkl"}).joints(rotation, torch.zeros(10, dtype=torch.float64), 1.0)
    rotvec = rotvec_from_matrix(rotation.numpy()).reshape(2, 48)
    wanted = hamer.joints({"mano": "MANO_RIGHT.pkl"})(rotvec, np.zeros((2, 3)), np.zeros((2, 10)), 1.0, "right")
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def random_rotations(*shape, seed=0):
    return torch.as_tensor(matrix_from_rotvec(0.5 * np.random.default_rng(seed).normal(size=(*shape, 16, 3))))


def test_skeletons_equal_the_hand_models():
    rotation = random_rotations(4)
    rotvec = rotvec_from_matrix(rotation.numpy()).reshape(4, 48)
    got = TemplateSkeleton().joints(rotation, None, 1.1)
    np.testing.assert_allclose(got, hand_joints(rotvec, np.zeros(3), 1.1, "right"), atol=1e-12)
    model, betas = synthetic_mano(0), np.linspace(-1.0, 1.0, 10)
    got = ManoSkeleton(model).joints(rotation, torch.as_tensor(betas), 1.0)
    np.testing.assert_allclose(got, mano_joints(model, rotvec, np.zeros(3), np.tile(betas, (4, 1)), "right"), atol=1e-6)


def test_the_jacobian_is_the_derivative_of_the_joints():
    rotation = random_rotations(3)
    joints = TemplateSkeleton().joints(rotation, None, 1.0)
    step = 1e-6 * torch.from_numpy(np.random.default_rng(1).normal(size=(3, 51)))
    moved = TemplateSkeleton().joints(rotation @ exponential(step[:, :48].unflatten(1, (16, 3)))[0], None, 1.0) + step[:, None, 48:]
    predicted = (joint_jacobian(rotation, joints) @ step[:, None, :, None]).squeeze(-1)
    np.testing.assert_allclose(moved - joints, predicted, atol=1e-11)


def test_banded_systems_are_solved():
    rng = np.random.default_rng(0)
    frames, n = 8, 3
    matrix = np.zeros((2, frames, n, frames, n))
    for t in range(frames):
        for u in range(max(t - 2, 0), t + 1):
            matrix[:, t, :, u] = rng.normal(size=(2, n, n))
            matrix[:, u, :, t] = np.swapaxes(matrix[:, t, :, u], -1, -2)
        matrix[:, t, :, t] = 30.0 * np.eye(n)
    right = rng.normal(size=(2, frames, n))
    blocks = [torch.from_numpy(np.stack([matrix[:, t + k, :, t] for t in range(frames - k)], 1)) for k in range(3)]
    got, failed = solve_banded(*blocks, torch.from_numpy(right))
    dense = np.linalg.solve(matrix.reshape(2, frames * n, -1), right.reshape(2, -1, 1)).reshape(right.shape)
    np.testing.assert_allclose(got, dense, atol=1e-10)
    assert not failed.any()
    assert solve_banded(-blocks[0], *blocks[1:], torch.from_numpy(right))[1].all()


def problem(device="cpu", frames=6):
    """A small problem in which all terms are active, and a state."""
    rng = np.random.default_rng(2)

    def tensor(values):
        return torch.as_tensor(np.asarray(values, dtype=float)).to(device)

    def noise(size, *shape):
        return size * rng.normal(size=(1, frames, *shape))

    base = random_rotations(1).expand(frames, 16, 3, 3)[None]
    translation = torch.tensor([0.05, 0.02, 0.9], dtype=torch.float64).expand(1, frames, 3)
    joints = (TemplateSkeleton().joints(base, None, 1.0) + translation[..., None, :]).numpy()
    pixels = 1500.0 * joints[..., :2] / joints[..., 2:]
    full = np.ones((1, frames, 21))
    measured = Measurements(
        rotation=(base @ exponential(torch.from_numpy(noise(0.1, 16, 3)))[0]).to(device),
        translation_m=tensor(translation.numpy() + noise(0.01, 3)),
        joints_px=tensor(pixels + noise(4.0, 21, 2)),
        joints_sigma_px=tensor(3.0 * full),
        rotation_sigma_rad=tensor(0.1 * full[..., :16]),
        depth_sigma=tensor(0.01 * full[..., 0]),
        landmarks_px=tensor(pixels + noise(4.0, 21, 2)),
        landmarks_sigma_px=tensor(4.0 * full),
        min_height_m=tensor(0.0 * full[..., :5]),
        min_height_sigma_m=tensor(0.002 * full[..., :5]),
        height_m=tensor(0.01 * full[..., :5]),
        height_sigma_m=tensor(0.003 * full[..., :5]),
    )
    state = base @ exponential(torch.from_numpy(noise(0.02, 16, 3)))[0], translation + torch.from_numpy(noise(0.003, 3))
    plane = tensor([0.0, 0.0, -1.0, 0.9])
    difference = tensor(np.tile(900.0 * np.array([1.0, -2.0, 1.0]), (1, frames - 2, 1)))
    made = VideoProblem(measured, lambda rotation: TemplateSkeleton().joints(rotation, None, 1.0), difference, 1500.0, plane, 0.5, 1.0)
    return made, tuple(part.to(device) for part in state)


def test_the_gradient_is_that_of_the_cost():
    made, state = problem()
    _, gradient, _, _ = made.evaluate(state, 2.0)
    direction = torch.from_numpy(np.random.default_rng(3).normal(size=gradient.shape))

    def cost(size):
        step = size * direction
        return made.cost((state[0] @ exponential(step[..., :48].unflatten(-1, (16, 3)))[0], state[1] + step[..., 48:]), 2.0)

    slope = (cost(1e-6) - cost(-1e-6)) / 2e-6
    assert float(slope) == pytest.approx(float((gradient * direction).sum()), rel=1e-5)


def test_steps_lower_the_cost_to_a_minimum():
    made, state = problem()
    before = made.cost(state, 2.0)
    few, _ = minimise_series(made, state, [2.0] * 8)
    many, after = minimise_series(made, state, [2.0] * 30)
    assert after < 0.7 * before and made.cost(few, 2.0) < 1.02 * after
    gradients = [made.evaluate(s, 2.0)[1].abs().max() for s in (state, many)]
    assert gradients[1] < 0.01 * gradients[0]


def test_all_tensors_are_on_the_same_device():
    """On the meta device of torch every operation that mixes devices fails, as on a GPU."""
    made, state = problem("meta")
    solved, cost = minimise_series(made, state, [3.0, 2.0])
    assert solved[0].device.type == "meta" and cost.shape == (1,)
