"""The hamer engine without its network: crops, mirroring, cameras, shapes, batches and resumption, with an oracle for the network."""

import numpy as np
import pytest
import torch

from handroll import tables
from handroll.camera import Camera, hamer_camera
from handroll.hand.mano import ManoError, mano_joints
from handroll.hand.rotations import compose, matrix_from_rotvec, rotvec_from_matrix
from handroll.hand.skeleton import JOINT_OF_LANDMARK
from handroll.hand.skinning import Skinning
from handroll.media.write import VideoWriter
from handroll.pose import fit_problem
from handroll.pose.engine import fit_pose
from handroll.pose.hamer import engine, resumable_results
from handroll.pose.hamer.cameras import full_frame_translation, mirrored_rotations
from handroll.pose.hamer.crop_stream import crop_batches
from handroll.pose.hamer.crops import square_of_box
from handroll.pose.hamer.head import HandParameters
from handroll.pose.hamer.inference import run_inference
from handroll.pose.hamer.settings import HamerError
from handroll.pose.hamer.shape import refit, robust_mean
from support.rotation_angle import angle_between
from support.toy_mano import synthetic_mano, write_mano_pickle
from toy_hamer import write_toy_checkpoint

WIDTH, HEIGHT, FRAMES = 1280, 720, 24
SIDES = ("left", "right")
MARKED = range(21)
MARK_PX = 2.0
MODEL = synthetic_mano()
PX_PER_M = 1100.0
CAMERAS = {"hamer": hamer_camera(WIDTH, HEIGHT), "real": Camera(WIDTH, HEIGHT, 9000.0, "keyboard", 0.5, (9.0, -6.0))}
"""The second is a telephoto lens: from nearby, a hand has a perspective that HaMeR's crop camera does not model."""


def plain_progress(items, total, unit):
    return iter(items)


def playing(camera, seed=0):
    """Both hands' rotation (frame, hand, 16, 3), translation, betas and joints (frame, hand, 21, 3); they wander to the borders."""
    rng = np.random.default_rng(seed)
    rotation = np.zeros((FRAMES, 2, 16, 3))
    rotation[:, :, 1:] = 0.15 * rng.standard_normal((FRAMES, 2, 15, 3))
    level = rotvec_from_matrix(np.array(fit_problem.LEVEL_HAND))
    rotation[:, 1, 0] = compose(0.25 * rng.standard_normal((FRAMES, 3)), np.broadcast_to(level, (FRAMES, 3)))
    rotation[:, 0, 0] = compose(0.25 * rng.standard_normal((FRAMES, 3)), np.broadcast_to(level * [1, -1, -1], (FRAMES, 3)))
    betas = np.broadcast_to(0.7 * rng.standard_normal((2, 10)), (FRAMES, 2, 10)).astype(np.float32)
    depth = camera.focal_px / PX_PER_M
    way = np.linspace(0.0, 1.0, FRAMES)
    centre_px = np.stack([np.stack([320 - 270 * way, 200 + 330 * way], -1), np.stack([900 + 320 * way, 520 - 420 * way], -1)], axis=1)
    translation = np.zeros((FRAMES, 2, 3))
    joints = np.zeros((FRAMES, 2, 21, 3))
    for side, hand in enumerate(SIDES):
        still = mano_joints(MODEL, rotation[:, side].reshape(FRAMES, 48), np.zeros(3), betas[:, side], hand)
        translation[:, side] = depth * camera.rays(centre_px[:, side]) - still[:, 4]
        joints[:, side] = still + translation[:, side, None]
    return rotation, translation, betas, joints


def marks_video(path, camera, joints):
    """A dark video with a soft white mark on every joint, drawn to a fraction of a pixel; returns the joints' pixels."""
    joints_px = camera.project(joints)
    with VideoWriter(path, WIDTH, HEIGHT, 30, crf=0) as writer:
        for frame, points in enumerate(joints_px[:, :, list(MARKED)]):
            image = np.zeros((HEIGHT, WIDTH))
            for x, y in points.reshape(-1, 2):
                columns, rows = (np.arange(size)[max(0, int(at) - 12) : max(0, int(at) + 13)] for size, at in ((WIDTH, x), (HEIGHT, y)))
                across, down = (np.exp(-0.5 * ((pixels - at) / MARK_PX) ** 2) for pixels, at in ((columns, x), (rows, y)))
                image[rows[:, None], columns] += 255.0 * down[:, None] * across
            writer.write(np.repeat(np.rint(image.clip(0, 255)).astype(np.uint8)[..., None], 3, axis=-1), frame / 30)
    return joints_px


class Oracle(torch.nn.Module):
    """Replaces the network: it has each hand's pose, and fits the crop's camera to the marks in the crop.

    Marks are searched where they must be in a crop of the right position, size and side.
    """

    def __init__(self, rotations, betas, expected):
        super().__init__()
        self.register_buffer("nothing", torch.zeros(1))
        self.rotations, self.betas, self.expected, self.place = rotations, betas, expected, 0
        self.skinning, self.marks, self.sizes = Skinning(MODEL), [], []

    def forward(self, crops):
        self.sizes.append(len(crops))
        count = min(len(crops), len(self.rotations) - self.place)
        now = slice(self.place, self.place + count)
        self.place += count
        joints = self.skinning.joints(torch.from_numpy(self.rotations[now]), torch.from_numpy(self.betas[now])).numpy()
        crops = crops.float().numpy()
        cams = np.array([self._camera(*hand) for hand in zip(crops, joints, self.expected[now], strict=False)])
        known = self.rotations[now], self.betas[now], cams
        padded = [np.concatenate([array, np.zeros((len(crops) - count, *array.shape[1:]))]) for array in known]
        return HandParameters(*(torch.from_numpy(array.astype(np.float32)) for array in padded))

    def _camera(self, crop, joints, expected):
        """Return (s, tx, ty) that project the marked joints closest to their marks in the crop."""
        rows, columns = np.mgrid[:256, 32:224]
        seen, marked = [], []
        for joint, (u, v) in zip(MARKED, expected, strict=True):
            near = (np.abs(columns - u) < 6) & (np.abs(rows - v) < 6)
            if near.sum() >= 11 * 11:  # the crop's border does not cut it
                weight = np.where(near, crop.mean(-1), 0.0)
                assert weight.max() > 100.0, "no mark at the expected position"
                seen.append([(weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()])
                marked.append(joints[joint])
        self.marks.append(len(seen))
        flat, points = (np.array(seen) - 128.0) / 256.0, np.array(marked)
        cam = np.array([5.0, 0.0, 0.0])
        for _ in range(20):
            cam = cam - np.linalg.lstsq(*_linear(cam, points, flat), rcond=None)[0]
        return cam


def _linear(cam, points, flat):
    """Jacobian and residuals of a crop's camera, by finite differences."""

    def off(cam):
        depth = 2 * 5000.0 / (256.0 * cam[0])
        return ((5000.0 / 256.0) * (points[:, :2] + cam[1:]) / (points[:, 2:] + depth) - flat).ravel()

    return np.stack([(off(cam + step) - off(cam - step)) / 2e-5 for step in 1e-5 * np.eye(3)], axis=1), off(cam)


def found(joints_px):
    """`tables.DETECTIONS` columns of hands whose landmarks are the joints' pixels."""
    columns = tables.by_frame(tables.DETECTIONS.empty())
    columns = {name: np.zeros((FRAMES, *values.shape[1:]), values.dtype) for name, values in columns.items()}
    landmarks = joints_px[:, :, list(JOINT_OF_LANDMARK)].astype(np.float32)
    columns.update(tables.frame_keys(np.arange(FRAMES) / 30.0), landmarks_px=landmarks)
    columns["box_px"] = np.concatenate([landmarks.min(2), landmarks.max(2)], axis=-1)
    columns["found"] = np.ones((FRAMES, 2), bool)
    return columns


@pytest.fixture(scope="module", params=CAMERAS)
def scene(request, tmp_path_factory):
    """A camera, the true poses in its frame, detections of its video, and an oracle's predictions through the engine's crop stream."""
    camera = CAMERAS[request.param]
    rotation, translation, betas, joints = playing(camera)
    video = tmp_path_factory.mktemp("marks") / f"{request.param}.mp4"
    pixels = marks_video(video, camera, joints)
    detections = found(pixels)
    matrices = matrix_from_rotvec(rotation)
    if request.param == "real":
        # The crop is viewed along the ray of its middle.
        centre, _ = square_of_box(detections["box_px"].astype(float), 2.0)
        matrices[:, :, 0] = np.swapaxes(engine.rotations_to(camera.rays(centre)), -1, -2) @ matrices[:, :, 0]
    matrices[:, 0] = mirrored_rotations(matrices[:, 0])
    centre, size = square_of_box(detections["box_px"].astype(float), 2.0)
    marks = (camera.project(joints)[:, :, list(MARKED)] - centre[:, :, None]) * [[[[-1.0, 1.0]], [[1.0, 1.0]]]]
    marks = 128.0 + 256.0 * marks / size[..., None, None]
    # Marks that the border of the frame cuts are not searched.
    cut = ~((pixels > 3 * MARK_PX) & (pixels < np.array([WIDTH, HEIGHT]) - 3 * MARK_PX)).all(-1)[:, :, list(MARKED)]
    # Nor are marks with a neighbour.
    apart = np.linalg.norm(marks[:, :, :, None] - marks[:, :, None], axis=-1)
    marks[cut | ((apart < 12.0).sum(-1) > 1)] = np.nan
    oracle = Oracle(matrices.reshape(-1, 16, 3, 3).astype(np.float32), betas.reshape(-1, 10), marks.reshape(-1, len(MARKED), 2))
    predictions = run_inference(oracle, video, detections["box_px"], engine.detected_hands(detections), 7, 2.0, 2, plain_progress)
    return camera, (rotation, translation, betas, joints), detections, predictions, oracle


def test_recovered_joints_project_where_the_hands_are(scene):
    camera, (rotation, _, _, joints), detections, predictions, oracle = scene
    assert oracle.sizes == [7] * 7 and oracle.place == 2 * FRAMES
    # Hands leave the frame on both sides.
    assert 5 <= min(oracle.marks) < 10 and max(oracle.marks) > 16
    columns = engine.poses(predictions, detections, camera, MODEL, 2.0, "video", refitted=False)
    off = np.linalg.norm(camera.project(columns["joints_m"]) - camera.project(joints), axis=-1)
    assert off.max() < 0.5 and off.mean() < 0.2
    assert np.degrees(angle_between(columns["rotation_rad"], rotation)).max() < 0.1
    assert np.nanmax(columns["residual_px"]) < 0.5
    assert columns["found"].all() and (columns["bone_scale"] == 1.0).all()


def test_under_hamers_own_camera_the_numbers_are_its_own(scene):
    camera, _, detections, predictions, _ = scene
    columns = engine.poses(predictions, detections, camera, MODEL, 2.0, "frame", refitted=True)
    square = square_of_box(detections["box_px"], 2.0)
    own = full_frame_translation(predictions.camera, *square, WIDTH, HEIGHT, np.array([True, False]))
    same = np.isclose(columns["translation_m"], own, rtol=1e-6, atol=1e-6).all()
    assert same == (camera.focal_source == "hamer")
    np.testing.assert_array_equal(columns["betas"], predictions.betas)


def test_robust_mean_ignores_bad_frames():
    rng = np.random.default_rng(1)
    values = rng.normal(0.5, 0.1, (400, 10))
    good = values.mean(0)
    values[:60] += 30.0
    assert np.abs(robust_mean(values) - good).max() < 0.05
    assert np.abs(values.mean(0) - good).min() > 1.0
    np.testing.assert_allclose(robust_mean(np.full((5, 3), 0.25)), 0.25)
    assert np.isnan(robust_mean(np.empty((0, 10)))).all()


def test_poses_are_fitted_to_another_shape():
    rng = np.random.default_rng(2)
    rotations = matrix_from_rotvec(0.3 * rng.standard_normal((6, 16, 3))).astype(np.float32)
    seen = (0.8 * rng.standard_normal((6, 10))).astype(np.float32)
    mean, skinning = robust_mean(seen), Skinning(MODEL)

    def off_mm(turned):
        there, here = (
            skinning.joints(torch.from_numpy(r), torch.as_tensor(b, dtype=torch.float32)) for r, b in ((rotations, seen), (turned, mean))
        )
        return 1e3 * ((there - there[:, :1]) - (here - here[:, :1])).norm(dim=-1).mean(-1)

    turned = refit(skinning, rotations, seen, mean)
    assert (off_mm(turned) < 0.8 * off_mm(rotations)).all()
    np.testing.assert_allclose(turned @ np.swapaxes(turned, -1, -2), np.broadcast_to(np.eye(3), turned.shape), atol=1e-5)
    # The same shape changes nothing.
    np.testing.assert_allclose(refit(skinning, rotations[:1], mean[None], mean), rotations[:1], atol=1e-5)


def test_the_smallest_rotation_to_a_ray():
    rays = np.array([[0.0, 0.0, 1.0], [0.3, -0.2, 1.0], [-2.0, 1.0, 1.0]])
    turns = engine.rotations_to(rays)
    np.testing.assert_allclose(turns @ np.swapaxes(turns, -1, -2), np.broadcast_to(np.eye(3), (3, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(turns @ [0.0, 0.0, 1.0], rays / np.linalg.norm(rays, axis=1)[:, None], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rotvec_from_matrix(turns), axis=1), np.arccos(turns[:, 2, 2]), atol=1e-9)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Options of an engine with toy weights, laid out as the released archive, and a small video with its detections."""
    folder = tmp_path_factory.mktemp("toy")
    files = write_toy_checkpoint(folder / "hamer_ckpts", mano=MODEL)
    (folder / "hamer_ckpts/checkpoints").mkdir()
    checkpoint = files.checkpoint.rename(folder / "hamer_ckpts/checkpoints/hamer.ckpt")
    write_mano_pickle(folder / "MANO_RIGHT.pkl", MODEL)
    camera = hamer_camera(WIDTH, HEIGHT)
    video = folder / "video.mp4"
    detections = found(marks_video(video, camera, playing(camera)[3]))
    detections["found"][5:9, 0] = False
    options = {"checkpoint": checkpoint, "mano": folder / "MANO_RIGHT.pkl", "precision": "fp32", "batch": 8}
    return options, video, detections, camera


def test_a_video_is_posed_with_weights_of_the_released_layout(toy):
    options, video, detections, camera = toy
    columns, info = fit_pose("hamer", video, detections, camera, options=options, progress=plain_progress)
    assert (columns["found"] == detections["found"]).all()
    seen = columns["found"]
    assert np.isfinite(columns["joints_m"][seen]).all() and np.isnan(columns["joints_m"][~seen]).all()
    for side, hand in enumerate(SIDES):
        there = seen[:, side]
        betas = columns["betas"][there, side]
        assert (betas == betas[0]).all()
        pose = columns["rotation_rad"][there, side].reshape(-1, 48), columns["translation_m"][there, side], betas, hand
        np.testing.assert_allclose(columns["joints_m"][there, side], mano_joints(MODEL, *pose), rtol=1e-5)
    assert info["engine"] == "hamer" and info["template"] == "MANO" and len(info["weights_sha256"]) == len(info["mano_sha256"]) == 64
    other = fit_pose("hamer", video, detections, camera, options={**options, "batch": 5, "threads": 2}, progress=plain_progress)[0]
    np.testing.assert_allclose(other["joints_m"], columns["joints_m"], rtol=1e-4)


class Broken(Exception):
    pass


class Counting(torch.nn.Module):
    """Replaces the network: its output is the mean of each crop. It raises Broken after some batches."""

    def __init__(self, last=None):
        super().__init__()
        self.register_buffer("nothing", torch.zeros(1))
        self.hands, self.last = 0, last

    def forward(self, crops):
        if self.last is not None and self.hands >= self.last:
            raise Broken
        self.hands += len(crops)
        value = crops.float().mean((1, 2, 3))
        return HandParameters(value[:, None, None, None].expand(-1, 16, 3, 3), value[:, None].expand(-1, 10), value[:, None].expand(-1, 3))


def test_a_killed_job_resumes_where_it_stopped(toy, tmp_path, monkeypatch):
    _, video, detections, _ = toy
    monkeypatch.setattr(resumable_results, "CHUNK_FRAMES", 4)
    wanted = engine.detected_hands(detections)

    def run(network, boxes=detections["box_px"], scratch=tmp_path / "scratch"):
        return run_inference(network, video, boxes, wanted, 2, 2.0, 1, plain_progress, scratch, {"weights": "a"})

    whole = run(Counting(), scratch=None)
    with pytest.raises(Broken):
        run(Counting(last=20))
    assert len(list((tmp_path / "scratch").glob("*.npz"))) == 2
    again = Counting()
    np.testing.assert_array_equal(run(again).camera, whole.camera)
    assert again.hands == wanted[8:].sum() + wanted[8:].sum() % 2
    # A damaged chunk is computed again; with other boxes everything is computed again.
    (tmp_path / "scratch/000001.npz").write_bytes(b"PK\x03\x04")
    third = Counting()
    np.testing.assert_array_equal(run(third).camera, whole.camera)
    assert third.hands == wanted[4:8].sum() + wanted[4:8].sum() % 2
    fourth = Counting()
    run(fourth, detections["box_px"] + 1.0)
    assert fourth.hands == wanted.sum() + wanted.sum() % 2


def test_batches_have_one_size_and_are_in_order(toy):
    _, video, detections, _ = toy
    wanted = engine.detected_hands(detections)
    made = list(crop_batches(video, detections["box_px"], wanted, 10, 2.0, 2))
    assert [batch.crops.shape for batch in made] == [(10, 256, 192, 3)] * 5
    np.testing.assert_array_equal(np.concatenate([batch.hands for batch in made]), np.argwhere(wanted))
    assert made[0].crops.dtype == np.uint8 and not made[-1].crops[len(made[-1].hands) :].any()
    # A box above 4K's usual size is blurred: float crops.
    large = detections["box_px"].copy()
    large[..., :2] -= 300.0
    large[..., 2:] += 300.0
    assert next(crop_batches(video, large, wanted, 4, 2.0, 1)).crops.dtype == np.float32


def test_errors_of_the_crop_stream_are_raised(toy, tmp_path):
    _, video, detections, _ = toy
    longer = np.concatenate([engine.detected_hands(detections)] * 2)
    boxes = np.concatenate([detections["box_px"]] * 2)
    with pytest.raises(ValueError, match="expected 48 frames"):
        list(crop_batches(video, boxes, longer, 8, 2.0, 1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"nonsense": 1}, ValueError, "unknown options nonsense;"),
        ({"checkpoint": None}, ValueError, "expected the paths of checkpoint"),
        ({"precision": "fp8"}, ValueError, "precision: expected one of bf16, fp32, found 'fp8'"),
        ({"mano": "/nowhere/MANO_RIGHT.pkl"}, ManoError, "mano.is.tue.mpg.de"),
        ({"checkpoint": "/nowhere/a/hamer.ckpt"}, HamerError, "expected HaMeR's checkpoint"),
    ],
)
def test_wrong_options_and_files_are_named(toy, options, error, message):
    own, video, detections, camera = toy
    with pytest.raises(error, match=message.replace("\\\\", "\\")):
        fit_pose("hamer", video, detections, camera, options={**own, **options}, progress=plain_progress)
