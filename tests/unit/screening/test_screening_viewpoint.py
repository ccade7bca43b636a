from types import SimpleNamespace

import numpy as np
import pytest

from handroll.camera import Extrinsics
from handroll.hand.kinematics import hand_joints, mirrored_pose
from handroll.hand.rotations import matrix_from_rotvec, rotvec_from_matrix
from handroll.hand.skeleton import CHAINS, HANDS, JOINT_OF_LANDMARK
from handroll.hand.template import open_hand
from handroll.keyboard.geometry import LEVEL_HAND
from handroll.reasons import Reason
from handroll.screening.criteria import CRITERIA
from handroll.screening.viewpoint import measure_viewpoint
from handroll.simulator.scenarios import SIDES_RAD, view_from

WIDTH, HEIGHT = 960, 540
MAX_TILT_DEG = 26.0


def decide(scores):
    return CRITERIA["viewpoint"].decide(scores, {"max_tilt_deg": MAX_TILT_DEG, "side_view_deg": 55.0})


def playing_hands():
    """World landmarks (left and right, 21, 3), metres, of two hands that play with bent fingers."""
    pose = np.zeros((16, 3))
    pose[0] = rotvec_from_matrix(matrix_from_rotvec(np.array([np.radians(6.0), 0.0, 0.0])) @ LEVEL_HAND[1])
    for finger in ("index", "middle", "ring", "pinky"):
        for joint, angle in zip(CHAINS[finger], np.radians((18, 26, 14)), strict=False):
            pose[joint] = angle * open_hand().axes[joint][0]
    hands = []
    for hand, x in zip(HANDS, (0.45, 0.75), strict=True):
        turned = pose.reshape(48) if hand == "right" else mirrored_pose(pose.reshape(48))
        joints = hand_joints(turned[None], np.zeros((1, 3)), 1.0, hand)[0][list(JOINT_OF_LANDMARK)]
        hands.append(joints - joints[0] + (x, -0.09, 0.06))
    return np.array(hands)


def registered(view):
    """The camera of a registered keyboard with the pose of `view`, whose world frame is the keyboard frame."""
    extrinsics = Extrinsics(rotvec_from_matrix(view.rotation), np.zeros(3))
    return SimpleNamespace(extrinsics=extrinsics)


def seen_from(side, tilt_deg, samples=6, which=slice(None), roll_rad=0.0):
    """The hands as an error-free detector reports them in frames of a camera at that side."""
    view = view_from((0.6, 0.0, 0.03), 1.0, np.radians(tilt_deg), SIDES_RAD[side], roll_rad)
    world = playing_hands()[which]
    flat, _ = view.project(world, WIDTH, HEIGHT)
    solid = view.to_camera(world)
    solid = solid - solid.mean(axis=1, keepdims=True)
    right = np.array([0.05, 0.95])[which]
    return view, SimpleNamespace(
        width_px=WIDTH,
        height_px=HEIGHT,
        right=np.tile(right, samples),
        landmarks_px=np.tile(flat, (samples, 1, 1)),
        landmarks_m=np.tile(solid, (samples, 1, 1)),
    )


@pytest.mark.parametrize(("side", "tilt_deg"), [("player", 0.3), ("player", 20), ("front", 45), ("left", 45), ("right", 80)])
def test_a_registered_keyboard_gives_the_angle_and_the_side(side, tilt_deg):
    view, _ = seen_from(side, tilt_deg, roll_rad=0.3)
    scores = measure_viewpoint(registered(view))
    assert scores["tilt_deg"] == pytest.approx(tilt_deg, abs=1e-4)
    assert scores["tilt_source"] == "keyboard" and scores["tilt_side"] == side and scores["hands_tilt_deg"] is None
    assert tuple(scores) == CRITERIA["viewpoint"].scores


@pytest.mark.parametrize("side", ["player", "front", "left", "right"])
def test_hands_distinguish_an_overhead_camera_from_a_tilted_one(side):
    above = measure_viewpoint(hands=seen_from(side, 10)[1])
    tilted = measure_viewpoint(hands=seen_from(side, 45)[1])
    assert above["tilt_source"] == tilted["tilt_source"] == "hands"
    assert decide(above) == ()
    assert decide(tilted) != ()
    assert tilted["tilt_side"] == side and tilted["tilt_deg"] == pytest.approx(45, abs=22)


@pytest.mark.parametrize("side", ["left", "right", "player"])
def test_hands_show_a_camera_at_the_side(side):
    scores = measure_viewpoint(hands=seen_from(side, 78)[1])
    assert decide(scores) == (Reason.SIDE_VIEW,) and scores["tilt_side"] == side


def test_a_rotation_of_the_frame_by_180_degrees_does_not_matter():
    upright, turned = (measure_viewpoint(hands=seen_from("player", 0.1, roll_rad=roll)[1])["tilt_deg"] for roll in (0.0, np.pi))
    assert upright == pytest.approx(turned, abs=2.0) and upright < MAX_TILT_DEG


def test_one_hand_is_enough():
    for which in (slice(0, 1), slice(1, 2)):
        above, tilted = (measure_viewpoint(hands=seen_from("left", tilt, 8, which)[1]) for tilt in (5, 50))
        assert decide(above) == () and decide(tilted) != ()


def test_mirrored_roll_angles_are_no_tilt():
    _, hands = seen_from("player", 0.1)
    roll = np.where(hands.right > 0.5, 0.6, -0.6)
    turns = matrix_from_rotvec(np.stack([0 * roll, roll, 0 * roll], axis=-1))
    hands.landmarks_m = np.einsum("hij,hkj->hki", turns, hands.landmarks_m)
    assert measure_viewpoint(hands=hands)["tilt_deg"] < MAX_TILT_DEG


def test_a_registration_without_a_problem_is_trusted():
    """The registration has already compared the keys with the hands."""
    down, _ = seen_from("player", 0.0)
    scores = measure_viewpoint(registered(down), seen_from("front", 55)[1])
    assert scores["tilt_source"] == "keyboard" and scores["tilt_deg"] < MAX_TILT_DEG < scores["hands_tilt_deg"]


def test_the_tilt_is_unknown_without_keyboard_and_hands():
    _, few = seen_from("left", 80, samples=3)
    for scores in (measure_viewpoint(), measure_viewpoint(hands=few)):
        assert scores == {"tilt_deg": None, "tilt_source": "none", "tilt_side": None, "hands_tilt_deg": None}
        assert decide(scores) == ()
