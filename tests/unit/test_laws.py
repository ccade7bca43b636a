"""Laws that hold for any input: what goes there and back arrives where it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handroll.camera import Camera, Extrinsics, camera_from_metadata, extrinsics_from_metadata
from handroll.dataset.splits import split_videos
from handroll.exchange.fingering_files import read_pig, write_pig
from handroll.exchange.pianomotion10m import Annotation, annotation_json, mirrored_rows, parse_annotation
from handroll.hand.kinematics import MIRROR, hand_joints, mirrored_pose
from handroll.hand.rotations import (
    compose,
    matrix_from_rotvec,
    quaternion_from_rotvec,
    rotvec_from_matrix,
    rotvec_from_quaternion,
    slerp,
    unwrap_rotvec,
)
from handroll.keyboard.geometry import N_KEYS, STANDARD, key_at_point, key_of_pitch, pitch_of_key, playing_points_mm
from handroll.keyboard.projection import KeyboardView
from handroll.mask_runs import in_runs, runs
from handroll.metrics.alignment import procrustes
from handroll.motion.resampling import resample
from handroll.music.alignment.time_map import TimeMap
from handroll.music.midi import read_midi, write_midi
from handroll.music.notes import note_table, pedal_table
from handroll.storage import read_table, write_table
from handroll.tables import MOTION
from support.rotation_angle import angle_between

settings.register_profile("laws", max_examples=40, deadline=None, derandomize=True, database=None)
settings.load_profile("laws")


def numbers(low, high, *shape):
    return arrays(np.float64, shape, elements=st.floats(low, high, allow_subnormal=False))


rotvecs = numbers(-1.7, 1.7, 5, 3)
focal_px = st.floats(500.0, 5000.0)
k1 = st.floats(-0.1, 0.1)
off_centre_px = st.tuples(st.floats(-20.0, 20.0), st.floats(-20.0, 20.0))
seeds = st.integers(0, 2**32 - 1)


def same_rotation(first, second):
    return np.abs(angle_between(first, second)).max() < 1e-6


# Rotations


@given(rotvecs)
def test_a_rotation_survives_its_matrix_and_its_quaternion(rotvec):
    assert same_rotation(rotvec_from_matrix(matrix_from_rotvec(rotvec)), rotvec)
    assert same_rotation(rotvec_from_quaternion(quaternion_from_rotvec(rotvec)), rotvec)


@given(rotvecs)
def test_a_rotation_and_its_inverse_cancel(rotvec):
    assert same_rotation(compose(rotvec, -rotvec), np.zeros_like(rotvec))


@given(numbers(-3.0, 3.0, 12, 3))
def test_continuous_rotations_are_the_same_rotations(rotvec):
    assert same_rotation(unwrap_rotvec(rotvec), rotvec)


@given(rotvecs, rotvecs)
def test_interpolation_starts_at_the_start_and_ends_at_the_end(start, end):
    assert same_rotation(slerp(start, end, 0.0), start) and same_rotation(slerp(start, end, 1.0), end)


# Hands


@given(numbers(-1.5, 1.5, 3, 48))
def test_a_pose_mirrored_twice_is_the_pose(pose):
    assert np.array_equal(mirrored_pose(mirrored_pose(pose)), pose)


@given(numbers(-1.5, 1.5, 3, 48), numbers(-1.0, 1.0, 3, 3), st.floats(0.7, 1.3))
def test_the_mirrored_pose_gives_the_mirrored_joints(pose, translation_m, bone_scale):
    right = hand_joints(pose, translation_m, bone_scale, "right")
    left = hand_joints(mirrored_pose(pose), translation_m * MIRROR, bone_scale, "left")
    assert left == pytest.approx(right * MIRROR, abs=1e-9)


@given(rotvecs, numbers(-1.0, 1.0, 3), st.floats(0.5, 2.0), seeds)
def test_alignment_undoes_any_motion(rotvec, shift, scale, seed):
    points = np.random.default_rng(seed).normal(size=(21, 3))
    moved = scale * points @ matrix_from_rotvec(rotvec[0]).T + shift
    found = procrustes(points, moved, with_scale=True)
    assert found.points == pytest.approx(moved, abs=1e-6)


# Cameras


@given(focal_px, k1, off_centre_px, numbers(-0.4, 0.4, 7, 2), numbers(0.3, 2.0, 7))
def test_a_projected_point_is_on_the_ray_of_its_pixel(focal_px, k1, off_centre_px, direction, depth):
    camera = Camera(1920, 1080, focal_px, "truth", k1, off_centre_px)
    points = np.concatenate([direction, np.ones((7, 1))], axis=1) * depth[:, None]
    assert camera.rays(camera.project(points)) * depth[:, None] == pytest.approx(points, abs=1e-6)


@given(focal_px, k1, off_centre_px, rotvecs, numbers(-500.0, 500.0, 3))
def test_cameras_survive_the_metadata_of_a_table(focal_px, k1, off_centre_px, rotvec, translation_mm):
    camera = Camera(1920, 1080, float(f"{focal_px:.6g}"), "sheet", float(f"{k1:.6g}"), tuple(float(f"{v:.6g}") for v in off_centre_px))
    assert camera_from_metadata(camera.to_metadata()) == camera
    extrinsics = Extrinsics(rotvec[0], translation_mm)
    read = extrinsics_from_metadata(extrinsics.to_metadata())
    assert np.array_equal(read.rotation_rad, extrinsics.rotation_rad) and np.array_equal(read.translation_mm, translation_mm)


@given(rotvecs, numbers(-1000.0, 1000.0, 3), numbers(-1000.0, 1000.0, 9, 3))
def test_points_go_to_the_camera_frame_and_back(rotvec, translation_mm, points_mm):
    extrinsics = Extrinsics(rotvec[0], translation_mm)
    assert extrinsics.to_keyboard(extrinsics.to_camera(points_mm)) == pytest.approx(points_mm, abs=1e-6)


@given(focal_px, k1, off_centre_px, numbers(-0.3, 0.3, 3), numbers(0.0, 1220.0, 9), numbers(0.0, 150.0, 9), st.floats(0.0, 20.0))
def test_points_of_the_keyboard_come_back_from_their_pixels(focal_px, k1, off_centre_px, tilt, x_mm, y_mm, z_mm):
    above = compose(np.array([np.pi, 0.0, 0.0]), tilt)
    middle = np.array([610.0, 75.0, 0.0])
    translation_mm = np.array([0.0, 0.0, 1500.0]) - matrix_from_rotvec(above) @ middle
    view = KeyboardView(1920, 1080, focal_px, above, translation_mm, k1, off_centre_px)
    points_mm = np.stack([x_mm, y_mm, np.full(9, z_mm)], axis=1)
    assert view.on_plane(view.project(points_mm), z_mm) == pytest.approx(points_mm[:, :2], abs=1e-3)


# Keys


@given(st.integers(0, N_KEYS - 1))
def test_a_key_is_found_by_its_pitch_and_by_the_point_where_it_is_played(key):
    assert key_of_pitch(pitch_of_key(key)) == key
    x_mm, y_mm = playing_points_mm(STANDARD)[key][:2]
    assert key_at_point(x_mm, y_mm) == key


# Motion and time


@given(seeds, st.integers(2, 30))
def test_resampling_at_the_same_times_changes_nothing(seed, frames):
    rng = np.random.default_rng(seed)
    time_s = np.cumsum(rng.uniform(0.01, 0.1, frames))
    rotation, translation_m = rng.normal(0.0, 0.5, (frames, 16, 3)), rng.normal(size=(frames, 3))
    hidden = rng.random(frames) < 0.2
    rotation[hidden], translation_m[hidden] = np.nan, np.nan
    turned, moved = resample(time_s, rotation, translation_m, time_s)
    assert np.array_equal(moved, translation_m, equal_nan=True)
    assert (np.array_equal(np.isnan(turned), np.isnan(rotation)) and same_rotation(turned[~hidden], rotation[~hidden])) or hidden.all()


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_runs_are_the_frames_they_came_from(mask):
    assert in_runs(*runs(mask), len(mask)).tolist() == mask


@given(st.floats(-5.0, 5.0), st.floats(-0.01, 0.01), numbers(0.0, 3600.0, 8))
def test_a_time_map_and_its_inverse_cancel(offset_s, drift, time_s):
    there = TimeMap(offset_s, drift)
    back = TimeMap(-offset_s / (1.0 + drift), 1.0 / (1.0 + drift) - 1.0)
    assert back(there(time_s)) == pytest.approx(time_s, abs=1e-6) and there.then(back)(time_s) == pytest.approx(time_s, abs=1e-6)


# Files


@st.composite
def note_lists(draw):
    """Notes that do not overlap on a key, and presses of the pedal."""
    count = draw(st.integers(1, 20))
    rng = np.random.default_rng(draw(seeds))
    onset_s = np.cumsum(rng.uniform(0.15, 0.5, count))
    pitch, velocity = rng.integers(21, 109, count), rng.integers(1, 128, count)
    pedal = pedal_table(np.array([0.3, 4.0]), np.array([1.2, 6.0]))
    return note_table(onset_s, onset_s + rng.uniform(0.05, 0.14, count), pitch, velocity, pedal), pedal


@given(note_lists())
def test_notes_survive_a_midi_file(tmp_path_factory, made):
    notes, pedal = made
    path = tmp_path_factory.mktemp("midi") / "notes.mid"
    write_midi(path, notes, pedal)
    read, read_pedal = read_midi(path)
    assert np.array_equal(read["pitch"], notes["pitch"]) and np.array_equal(read["velocity"], notes["velocity"])
    for name in ("onset_s", "key_offset_s"):
        assert read[name] == pytest.approx(notes[name], abs=2e-3)
    # A tick of the file decides whether a key that is released as the pedal goes down is held by it.
    clear = np.abs(notes["key_offset_s"][:, None] - pedal["onset_s"]).min(axis=1) > 2e-3
    assert read["sounding_offset_s"][clear] == pytest.approx(notes["sounding_offset_s"][clear], abs=2e-3)
    for name in ("onset_s", "offset_s"):
        assert read_pedal[name] == pytest.approx(pedal[name], abs=2e-3)


@given(note_lists(), seeds)
def test_fingering_survives_a_pig_file(tmp_path_factory, made, seed):
    rng = np.random.default_rng(seed)
    notes, count = made[0], len(made[0]["pitch"])
    labels = {"hand": rng.choice(["left", "right"], count).astype(object), "finger": rng.integers(1, 6, count).astype(np.int8)}
    path = tmp_path_factory.mktemp("pig") / "fingering.txt"
    write_pig(path, notes | labels)
    read = read_pig(path)
    assert all(np.array_equal(read[name], (notes | labels)[name]) for name in ("pitch", "velocity", "hand", "finger"))
    assert read["onset_s"] == pytest.approx(notes["onset_s"], abs=1e-6)


@given(seeds, st.integers(1, 4))
def test_an_annotation_of_pianomotion10m_survives_its_file(seed, frames):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2, frames, 62)).astype(np.float32)
    rows[..., -1] = 1.0
    annotation = Annotation(25.0, 100, (0.0, 0.1, 0.2), "BV1", rows)
    read, _ = parse_annotation(annotation_json(annotation))
    assert (read.bv, read.fps, read.start_frame, read.adjust) == ("BV1", 25.0, 100, annotation.adjust) and np.array_equal(read.rows, rows)
    assert np.array_equal(mirrored_rows(mirrored_rows(rows)), rows)


@given(seeds, st.integers(0, 6))
def test_a_table_survives_its_file(tmp_path_factory, seed, rows):
    rng = np.random.default_rng(seed)
    table = {name: np.repeat(values, rows, axis=0) for name, values in one_row(rng).items()}
    path = tmp_path_factory.mktemp("tables") / "motion.parquet"
    write_table(path, MOTION, table, {"made": "here"})
    read, metadata = read_table(path, MOTION)
    assert all(np.array_equal(read[name], table[name]) for name in table) and metadata["made"] == "here"


def one_row(rng):
    """A row of a motion table."""
    row = {}
    for column in MOTION.columns:
        values = np.empty((1, *column.shape), dtype=object) if column.is_object else rng.integers(0, 3, (1, *column.shape))
        row[column.name] = np.array(["left"], dtype=object) if column.is_object else values.astype(MOTION.empty()[column.name].dtype)
    return row


# Splits


@given(st.sets(st.tuples(st.sampled_from("abc"), st.text("xyz", min_size=1, max_size=4)), min_size=2, max_size=12), st.integers(0, 99))
def test_a_video_keeps_its_split_whatever_others_there_are(videos, seed):
    ratios = {"train": 0.8, "valid": 0.1, "test": 0.1}

    def split(chosen):
        table = split_videos([(*name, None) for name in chosen], ratios, seed)
        return dict(zip(zip(table["subject"], table["video"], strict=True), table["split"], strict=True))

    everything, some = split(videos), split(sorted(videos)[:-1])
    assert some == {name: everything[name] for name in some}
