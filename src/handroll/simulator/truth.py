"""Ground truth of a synthetic video: poses, camera, pressed keys, notes, fingering, and visible joints.

The file is a compressed NumPy archive, `<video>.truth.npz`, without pickled objects. Joint positions in space and in the image are not
stored, but computed from poses and camera, so that they are always consistent.
"""

import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property

import numpy as np

from handroll.camera import Camera
from handroll.hand.kinematics import hand_joints
from handroll.hand.skeleton import HANDS, N_JOINTS, N_ROTATIONS
from handroll.keyboard.geometry import STANDARD
from handroll.provenance import atomic_path
from handroll.rendering.scene import View, to_camera
from handroll.simulator.scenarios import TurnedView
from handroll.tables import NOTES, PEDAL

TRUTH_VERSION = 1
"""Version of the file format. Increase it when a field of the file changes its meaning."""

PRESSED_MM = 0.5 * STANDARD.dip_mm
"""A key counts as pressed if its front edge is down by more than this depth."""


@dataclass(frozen=True)
class Truth:
    """Ground truth of a synthetic video. Hands are in the order of `skeleton.HANDS`.

    Attributes
    ----------
    time_s : array (frame,)
        Presentation times of the frames, s.
    rotation_rad : array (frame, hand 2, joint 16, xyz 3), float32
        MANO pose in the camera frame; zero is the flat open hand. Continuous in time. NaN if the hand is not present.
    translation_m : array (frame, hand 2, xyz 3), float32
        MANO translation in the camera frame; NaN if the hand is not present.
    bone_scale : array (hand 2,)
        Size of each hand relative to `template.open_hand`.
    present : array (frame, hand 2), bool
        Whether the hand is in the scene. A hand in the scene may be covered, or outside the image.
    visible : array (frame, hand 2, joint 21), bool
        Whether the joint is inside the image and no other object occludes it. Occlusion by the joint's own hand does not count.
    press_key, press_start_frame, press_end_frame : array (press,), int
        Key 0..87, first frame in which the key is deeper than `PRESSED_MM`, and first frame in which it no longer is. Sorted by start
        frame, then key.
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`.
    pedal : dict of str to array (press,)
        Columns of `tables.PEDAL`.
    note_hand, note_finger : array (note,), int
        Hand and finger of each note: indices into `skeleton.HANDS` and `skeleton.FINGERS`.
    view : scene.View
        Pose of the camera in the world frame, focal length and distortion.
    width_px, height_px : int
    about : dict
        Other facts, such as title and seed; JSON values.
    """

    time_s: np.ndarray
    rotation_rad: np.ndarray
    translation_m: np.ndarray
    bone_scale: np.ndarray
    present: np.ndarray
    visible: np.ndarray
    press_key: np.ndarray
    press_start_frame: np.ndarray
    press_end_frame: np.ndarray
    notes: dict[str, np.ndarray]
    pedal: dict[str, np.ndarray]
    note_hand: np.ndarray
    note_finger: np.ndarray
    view: View
    width_px: int
    height_px: int
    about: dict

    @property
    def camera(self):
        """Pinhole `Camera` of the video, without the distortion `view.k1`."""
        return Camera(self.width_px, self.height_px, self.view.focal_widths * self.width_px, "truth")

    @cached_property
    def joints_m(self):
        """Joints (frame, hand 2, joint 21, xyz 3) in the camera frame, metres; NaN if the hand is not present."""
        poses = self.rotation_rad.reshape(len(self.time_s), 2, 3 * N_ROTATIONS)
        return np.stack([hand_joints(poses[:, k], self.translation_m[:, k], self.bone_scale[k], hand) for k, hand in enumerate(HANDS)], 1)

    @cached_property
    def joints_px(self):
        """Joints (frame, hand 2, joint 21, xy 2) in the image, with distortion; NaN for absent hands and joints behind the camera."""
        world = self.joints_m @ self.view.rotation + np.array(self.view.position_m)
        pixels, inverse_depth = self.view.project(world, self.width_px, self.height_px)
        return np.where(inverse_depth[..., None] > 0.0, pixels, np.nan)


def build_truth(performance, scene, visible, width_px, height_px, pedal, about):
    """Build the `Truth` of a performance in a scene.

    Parameters
    ----------
    performance : Performance
    scene : Scene
    visible : array (frame, hand 2, joint 21), bool
        Result of `render.render_video`.
    width_px, height_px : int
    pedal : dict of str to array (press,)
        Columns of `tables.PEDAL`, such as those of the score.
    about : dict
        Other facts, such as title and seed; JSON values.

    Raises
    ------
    ValueError
        `visible` and the performance have different numbers of frames.
    """
    frames = len(performance.time_s)
    if np.shape(visible) != (frames, len(HANDS), N_JOINTS):
        raise ValueError(
            f"visible: expected shape {(frames, len(HANDS), N_JOINTS)} for a performance of {frames} frames, found {np.shape(visible)}"
        )
    rotation, translation = to_camera(performance, scene)
    absent = ~performance.present
    rotation[absent], translation[absent] = np.nan, np.nan
    key, start, end = _intervals(performance.key_depth_mm > PRESSED_MM)
    return Truth(
        time_s=performance.time_s,
        rotation_rad=rotation.astype(np.float32),
        translation_m=translation.astype(np.float32),
        bone_scale=np.asarray(performance.bone_scale, dtype=np.float64),
        present=performance.present,
        visible=np.asarray(visible, dtype=bool),
        press_key=key,
        press_start_frame=start,
        press_end_frame=end,
        notes=performance.notes,
        pedal=pedal,
        note_hand=performance.note_hand.astype(np.int8),
        note_finger=performance.note_finger.astype(np.int8),
        view=scene.view,
        width_px=width_px,
        height_px=height_px,
        about=about,
    )


def _intervals(down):
    """Find the runs of True of each key in an array (frame, key).

    Returns
    -------
    key, start, end : int array (run,)
        Key, first frame, and frame after the last one; sorted by first frame, then key.
    """
    edges = np.diff(down.astype(np.int8), axis=0, prepend=0, append=0)
    # Transposed, so that `nonzero` lists starts and ends key by key, and their order corresponds.
    key, start = np.nonzero(edges.T == 1)
    _, end = np.nonzero(edges.T == -1)
    order = np.lexsort((key, start))
    return key[order].astype(np.int8), start[order].astype(np.int32), end[order].astype(np.int32)


# Fields of `Truth` that are tables, and fields that are stored as JSON.
_TABLES = {"notes": NOTES, "pedal": PEDAL}
_SCALARS = ("view", "width_px", "height_px", "about")


def write_truth(path, truth):
    """Write a truth as a compressed archive, atomically. Equal truths give equal bytes.

    Parameters
    ----------
    path : path ending in .npz
    truth : Truth
    """
    arrays = {field.name: getattr(truth, field.name) for field in fields(Truth) if field.name not in (*_TABLES, *_SCALARS)}
    for name, table in _TABLES.items():
        arrays |= {f"{name}/{column.name}": getattr(truth, name)[column.name] for column in table.columns}
    facts = {
        "version": TRUTH_VERSION,
        "view": asdict(truth.view),
        "width_px": truth.width_px,
        "height_px": truth.height_px,
        "about": truth.about,
    }
    arrays["json"] = np.array(json.dumps(facts, sort_keys=True, allow_nan=False))
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def read_truth(path):
    """Read an archive that `write_truth` wrote.

    Raises
    ------
    ValueError
        The file is not the truth of a synthetic video, or its version differs from `TRUTH_VERSION`.
    """
    with np.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    if "json" not in arrays:
        raise ValueError(f"{path}: expected the truth of a synthetic video, found an archive with the arrays {sorted(arrays)}")
    facts = json.loads(str(arrays.pop("json")))
    if (version := facts.pop("version")) != TRUTH_VERSION:
        raise ValueError(f"{path}: expected a truth of version {TRUTH_VERSION}, found version {version}; render the video again")
    tables = {name: {column.name: arrays.pop(f"{name}/{column.name}") for column in table.columns} for name, table in _TABLES.items()}
    view = facts.pop("view")
    view["position_m"] = tuple(view["position_m"])
    view_type = TurnedView if "turn_rad" in view else View
    return Truth(**arrays, **tables, **facts, view=view_type(**view))
