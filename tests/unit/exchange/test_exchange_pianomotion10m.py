"""Conventions of PianoMotion10M's annotations: conversion to rows of the shards and back."""

import json

import numpy as np
import pytest

from handroll.camera import Camera
from handroll.exchange.pianomotion10m import (
    FINGERS,
    Annotation,
    ClipError,
    LeftOut,
    adjust_of,
    adjusted,
    annotation_json,
    mirrored_rows,
    parse_annotation,
    with_mean_pose,
)
from handroll.exchange.pianomotion10m_rows import CAMERA, annotation_of, released_shift, shard_row, whole_fps
from handroll.hand.kinematics import hand_joints
from handroll.hand.mano import mano_joints
from handroll.hand.template import WRIST_M
from support.toy_mano import synthetic_mano

MODEL = synthetic_mano()


def stored_rows(frames=6, seed=0):
    """Rows (hand, frame, 62) in the release's camera frame: all visible except the left hand's third frame."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0.0, 0.3, (2, frames, 62)).astype(np.float32)
    rows[..., 0], rows[..., 3] = 1.0, 30.0 + rows[..., 3]
    rows[..., 52:] = rows[:, :1, 52:]
    rows[0, 2] = 0.0
    return rows


def annotation(**changes):
    return Annotation(**({"fps": 30.0, "start_frame": 720, "adjust": (0.5, 0.01, -2.0), "bv": "BV1", "rows": stored_rows()} | changes))


def row_of(annotation, provenance=None, **options):
    facts = {"pianomotion10m": {"adjust": annotation.adjust, "bv": annotation.bv}}
    return shard_row(annotation, **options) | {"video": "BV1", "provenance": json.dumps(facts if provenance is None else provenance)}


def test_json_and_rows_give_the_annotation_back_to_the_bit():
    given = annotation()
    text = annotation_json(given)
    read, unknown = parse_annotation(text)
    assert unknown == [] and json.loads(text)["fps"] == 30 and '"fps":30,' in text
    again = annotation_of(row_of(read))
    assert (again.fps, again.start_frame, again.adjust, again.bv) == (30.0, 720, (0.5, 0.01, -2.0), "BV1")
    np.testing.assert_array_equal(again.rows, given.rows)
    assert annotation_json(again) == annotation_json(annotation_of(row_of(again)))


def test_a_left_hand_is_a_true_one_and_a_hidden_frame_is_nan():
    given = annotation()
    row = row_of(given)
    left, right = given.rows
    np.testing.assert_array_equal(row["right_translation_m"], right[:, 1:4])
    np.testing.assert_array_equal(row["left_translation_m"][[0, 1, 3]], left[[0, 1, 3], 1:4] * np.float32([-1, 1, 1]))
    axis_angle = left[0, 4:52].reshape(16, 3)
    np.testing.assert_array_equal(row["left_rotation_rad"][0], axis_angle * np.float32([1, -1, -1]))
    assert row["left_state"].tolist() == [2, 2, 0, 2, 2, 2] and (row["right_state"] == 2).all()
    assert all(np.isnan(row[f"left_{name}"][2]).all() for name in ("rotation_rad", "translation_m", "joints_m"))
    assert row["visibility"] == pytest.approx(11 / 12) and row["focal_px"] == 37500.0 and row["start_s"] == 24.0
    # As the release draws it: MANO's right hand, its x negated.
    drawn = mano_joints(MODEL, left[0, 4:52], left[0, 1:4], left[0, 52:], "right") * [-1, 1, 1]
    np.testing.assert_allclose(row_of(given, model=MODEL)["left_joints_m"][0], drawn, atol=1e-5)


def test_only_a_flag_of_exactly_one_is_visible():
    rows = stored_rows()
    rows[1, :4, 0] = [0.5, 0.999, 0.0, 2.0]
    row = row_of(annotation(rows=rows))
    assert row["right_state"].tolist() == [0, 0, 0, 0, 2, 2]
    assert annotation_of(row).rows[1, :4].any() == np.False_


def test_a_hand_that_is_never_visible_has_no_shape_and_is_exported_as_zeros():
    rows = stored_rows()
    rows[0] = 0.0
    row = row_of(annotation(rows=rows))
    assert np.isnan(row["left_betas"]).all() and np.isnan(row["left_bone_scale"])
    np.testing.assert_array_equal(annotation_of(row).rows, rows)


def test_a_shape_that_changes_becomes_its_median():
    rows = stored_rows()
    rows[1, :, 52] = [0.0, 1.0, 2.0, 3.0, 4.0, 50.0]
    assert row_of(annotation(rows=rows))["right_betas"][0] == 2.5


def test_the_mean_pose_is_added_before_mirroring_and_subtracted_after():
    given = annotation()
    row = row_of(given, hands_mean=MODEL.hands_mean)
    absolute = given.rows[0, 0, 7:52] + MODEL.hands_mean
    np.testing.assert_allclose(row["left_rotation_rad"][0, 1:], absolute.reshape(15, 3) * [1, -1, -1], atol=1e-6)
    np.testing.assert_array_equal(row["left_rotation_rad"][0, 0], row_of(given)["left_rotation_rad"][0, 0])
    np.testing.assert_allclose(annotation_of(row, hands_mean=MODEL.hands_mean).rows, given.rows, atol=1e-6)
    assert np.abs(annotation_of(row).rows[1, :, FINGERS] - given.rows[1, :, FINGERS]).max() > 0.1
    np.testing.assert_allclose(with_mean_pose(with_mean_pose(given.rows, MODEL.hands_mean, 1), MODEL.hands_mean, -1), given.rows, atol=1e-6)


def test_the_mirror_is_its_own_inverse():
    np.testing.assert_array_equal(mirrored_rows(mirrored_rows(stored_rows())), stored_rows())


def test_adjust_moves_y_and_z_of_both_hands_only_for_readers():
    given = annotation()
    row = row_of(given)
    moved = given.rows[..., 1:4] + np.array([0.0, 0.01, -2.0])
    np.testing.assert_allclose(adjusted(row["right_translation_m"], adjust_of(row)), moved[1], atol=1e-6)
    left = adjusted(row["left_translation_m"], adjust_of(row))
    np.testing.assert_allclose(left[[0, 1]], moved[0, [0, 1]] * [-1, 1, 1], atol=1e-6)
    assert np.isnan(left[2]).all()
    assert adjust_of({"provenance": "{}"}).tolist() == [0.0, 0.0, 0.0]


CAMERAS = {
    "near": Camera(1280, 720, 900.0, "keyboard", -0.04, (14.0, -9.0)),
    "plain": Camera(1920, 1080, 1500.0, "config"),
    "tall": Camera(1000, 1500, 1100.0, "config"),
}


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
@pytest.mark.parametrize("hand", ["left", "right"])
@pytest.mark.parametrize("model", [MODEL, None], ids=["MANO", "open hand"])
def test_the_hand_projects_to_the_same_pixels_in_the_releases_camera(camera, hand, model):
    frames, scale = 5, 1.1
    rng = np.random.default_rng(1)
    # Hands parallel to the picture: then all of a hand is as deep as its wrist.
    rotation = np.zeros((frames, 16, 3))
    rotation[:, 0] = [np.pi / 2.0, 0.0, 0.0]
    translation = np.stack([rng.uniform(-0.25, 0.25, frames), rng.uniform(-0.15, 0.15, frames), rng.uniform(0.7, 1.1, frames)], axis=1)
    joints = hand_joints(rotation.reshape(frames, 48), translation, scale, hand)
    row = row_of(annotation(rows=stored_rows(frames)), provenance={"motion": {"pose_template": "open hand, 186 mm"}})
    row |= {"left_translation_m": np.full((frames, 3), np.nan), "right_translation_m": np.full((frames, 3), np.nan)}
    row |= {f"{hand}_rotation_rad": rotation, f"{hand}_translation_m": translation, f"{hand}_bone_scale": np.float32(scale)}
    row |= {f"{hand}_betas": np.zeros(10, dtype=np.float32)}
    row |= {name: getattr(camera, name) for name in ("width_px", "height_px", "focal_px", "focal_source", "centre_px", "k1")}
    made = annotation_of(row, model)
    side = 0 if hand == "left" else 1
    assert made.visible[side].all() and not made.visible[1 - side].any()
    stored = made.rows[side].astype(np.float64)
    # The release's renderer: MANO's right hand, mirrored for a left one.
    if model:
        drawn = mano_joints(MODEL, stored[:, 4:52], stored[:, 1:4], stored[:, 52:], "right")
    else:
        drawn = hand_joints(stored[:, 4:52], stored[:, 1:4], 1.0, "right")
    drawn = drawn * [-1 if hand == "left" else 1, 1, 1]
    drawn_px = np.stack([960 + 37500 * drawn[..., 0] / drawn[..., 2], 540 + 37500 * drawn[..., 1] / drawn[..., 2]], axis=-1)
    s = 1920 / camera.width_px
    seen_px = s * (camera.project(joints) - [0, camera.height_px / 2]) + [0, 540]
    np.testing.assert_allclose(drawn_px[:, 0], seen_px[:, 0], atol=0.02)
    # MANO's size is its own: hands that are not as large as it differ by their scale about the wrist, and those with relief by perspective.
    size = np.linalg.norm(drawn_px[:, 8] - drawn_px[:, 0], axis=-1) / np.linalg.norm(seen_px[:, 8] - seen_px[:, 0], axis=-1)
    np.testing.assert_allclose(size, 1 / scale, rtol=0.04)


def test_nothing_moves_in_the_releases_own_camera():
    wrists = np.array([[0.3, -0.2, 31.0], [np.nan] * 3, [0.1, 0.1, -5.0]])
    shift = released_shift(CAMERA, wrists)
    assert shift[0].tolist() == [0.0, 0.0, 0.0] and np.isnan(shift[1:]).any(axis=1).all()


def test_wrist_of_mano_rows_is_manos():
    row = row_of(annotation(), provenance={"motion": {"pose_template": "MANO"}})
    np.testing.assert_array_equal(annotation_of(row, MODEL).rows, annotation().rows)
    open_hand = row_of(annotation(), provenance={})
    rest = mano_joints(MODEL, np.zeros(48), np.zeros(3), open_hand["right_betas"], "right")[0]
    moved = annotation_of(open_hand, MODEL).rows[1, :, 1:4] - annotation().rows[1, :, 1:4]
    np.testing.assert_allclose(moved, np.broadcast_to(np.array(WRIST_M) - rest, moved.shape), atol=5e-6)


def test_frame_rates():
    assert whole_fps(np.arange(900) / 30.0, 30.0) == 30
    assert whole_fps(np.arange(59) / 29.97, 29.97) == 30
    assert whole_fps(np.arange(900) / 29.97, 29.97) is None
    assert whole_fps(np.arange(100) / 25.0 + 0.03, 25.0) is None


def test_a_clip_with_a_fractional_rate_is_resampled_to_30_hz_with_its_hidden_frames():
    frames = 900
    rows = stored_rows(frames)
    time_s = np.arange(frames) / 29.97
    rows[:, :, 1] = time_s
    rows[:, :, 4:7] = time_s[:, None] * np.float32([0.1, 0.0, 0.0])
    rows[1, 300:400] = 0.0
    made = annotation_of(row_of(annotation(rows=rows, fps=29.97, start_frame=719)))
    assert made.fps == 30.0 and made.rows.shape == (2, 901, 62) and made.start_frame == round(719 / 29.97 * 30)
    seen = made.visible[1]
    np.testing.assert_allclose(made.rows[1, seen, 1], np.minimum(np.arange(901)[seen] / 30, time_s[-1]), atol=1e-5)
    np.testing.assert_allclose(made.rows[1, seen, 4], 0.1 * np.minimum(np.arange(901)[seen] / 30, time_s[-1]), atol=1e-5)
    hidden_s = np.flatnonzero(~seen) / 30
    assert hidden_s[0] == pytest.approx(time_s[300], abs=1 / 20) and hidden_s[-1] == pytest.approx(time_s[399], abs=1 / 20)
    assert not made.rows[1, ~seen].any()


def good():
    return json.loads(annotation_json(annotation()))


def changed(**changes):
    return json.dumps(good() | changes)


def with_number(value):
    values = good()
    values["right"][1][20] = value
    return json.dumps(values)


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        ("{", LeftOut.UNREADABLE, "expected a JSON object"),
        (b"\xff\xfe\x00", LeftOut.UNREADABLE, "expected a JSON object"),
        ("[" * 100_000, LeftOut.UNREADABLE, "expected a JSON object"),
        ("[]", LeftOut.UNREADABLE, "found a list"),
        ("{}", LeftOut.WRONG_VALUE, "missing: fps, start_frame"),
        (changed(fps=0), LeftOut.WRONG_VALUE, "fps: expected a number above 0, found 0"),
        (changed(fps="30"), LeftOut.WRONG_VALUE, "fps: .*'30'"),
        (changed(start_frame=1.5), LeftOut.WRONG_VALUE, "start_frame"),
        (changed(adjust=[0, 0]), LeftOut.WRONG_VALUE, "adjust"),
        (changed(adjust=[0, float("nan"), 0]), LeftOut.WRONG_VALUE, "adjust"),
        (changed(bv=7), LeftOut.WRONG_VALUE, "bv"),
        (changed(left=[]), LeftOut.NO_FRAMES, "left: expected a list of frames, found an empty list"),
        (changed(right=[[0.0] * 61] * 6), LeftOut.WRONG_WIDTH, "right: expected 62 numbers per frame, found a frame with 61"),
        (changed(right=[[0.0] * 62] * 5), LeftOut.UNEQUAL_HANDS, "found 6 left and 5 right"),
        (changed(right=[[[0.0, 1.0]] * 62] * 6), LeftOut.WRONG_VALUE, "right: expected numbers"),
        (with_number(float("nan")), LeftOut.NOT_FINITE, "right: .* in 1 frames, first in frame 1"),
        (with_number(1e39), LeftOut.NOT_FINITE, "right: .* in 1 frames, first in frame 1"),
        (with_number(10**400), LeftOut.WRONG_VALUE, "right: expected numbers"),
        (with_number("x"), LeftOut.WRONG_VALUE, "right: expected numbers"),
    ],
)
def test_errors_of_a_clip_are_reported(text, reason, message):
    with pytest.raises(ClipError, match=message) as caught:
        parse_annotation(text)
    assert caught.value.reason == reason


def test_unknown_keys_are_named():
    assert parse_annotation(changed(title="x", author=1))[1] == ["author", "title"]
