"""Check a synthetic performance: fingers on their keys, keys down only under a finger, joints within their limits."""

import numpy as np

from handroll.generation.wrist_trajectory import TIP_HEIGHT_MM
from handroll.hand.kinematics import mirrored_pose
from handroll.hand.skeleton import N_ROTATIONS, TIPS
from handroll.hand.template import open_hand
from handroll.keyboard.geometry import STANDARD, is_black, key_centres_x_mm, key_of_pitch
from handroll.rendering.scene import world_joints

FINGER_ON_WHITE_MM, FINGER_ON_BLACK_MM = 11.75, 5.5
"""Maximum distance of a fingertip from the middle of its key, along the keys: half a key."""


def reach_report(performance):
    """Measure how well the hands of a performance play its notes.

    Parameters
    ----------
    performance : Performance

    Returns
    -------
    dict of str to float
        notes : how many.
        on_key : share of notes whose fingertip, in the middle of the note, is within half a key of the key's middle.
        mean_dx_mm, max_dx_mm : distance along the keys from the fingertip to the key's middle, then.
        mean_gap_mm, p99_gap_mm : distance, up or down, between the fingertip's pad and the top of its key, then.
        unheld : share of the (frame, key) pairs with the key more than half down without a fingertip on the key and within 6 mm of it.
        least_spacing_mm : least distance of neighbouring fingertips from index to pinky, in frames with the hand present.
        crossed : share of frames and hands with index to pinky out of order along the keys.
        limit_excess_rad : the most that an angle is outside its limits.
        most_turn_rad : the most that a joint but the wrist turns from a frame to the next, as a change of its axis-angle.
    """
    joints = 1e3 * world_joints(performance)
    tips = joints[:, :, list(TIPS)]
    pads = tips[..., 2] - TIP_HEIGHT_MM * performance.bone_scale[:, None]
    key_x, black = key_centres_x_mm(), is_black(np.arange(len(key_centres_x_mm())))
    surface = np.where(black, STANDARD.black_height_mm, 0.0) - performance.key_depth_mm
    half = np.where(black, FINGER_ON_BLACK_MM, FINGER_ON_WHITE_MM)

    notes, hand, finger = performance.notes, performance.note_hand, performance.note_finger
    key = key_of_pitch(notes["pitch"].astype(int))
    middle = np.abs(performance.time_s[:, None] - 0.5 * (notes["onset_s"] + notes["key_offset_s"])).argmin(0)
    dx = np.abs(tips[middle, hand, finger, 0] - key_x[key])
    gap = np.abs(pads[middle, hand, finger] - surface[middle, key])

    frame, down = np.nonzero(performance.key_depth_mm > 0.5 * STANDARD.dip_mm)
    near = np.abs(tips[frame, ..., 0] - key_x[down, None, None]) <= half[down, None, None]
    near &= np.abs(pads[frame] - surface[frame, down, None, None]) <= 6.0
    held = (near & performance.present[frame, :, None]).any((1, 2))

    across = np.diff(tips[:, :, 1:], axis=2)[performance.present]
    angles = [
        np.einsum("jai,tji->tja", open_hand().axes, (mirrored_pose(pose) if side == 0 else pose).reshape(-1, N_ROTATIONS, 3))
        for side, pose in enumerate(np.moveaxis(performance.rotation_rad.reshape(len(joints), 2, -1), 1, 0))
    ]
    limits = open_hand().limits_rad
    excess = max(np.maximum(limits[..., 0] - a, a - limits[..., 1]).max() for a in angles)
    order = np.where(np.arange(2) == 0, -1.0, 1.0)[None, :, None]
    crossed = (np.diff(tips[:, :, 1:, 0], axis=2) * order < 0.0).any(2)[performance.present]
    turn = np.abs(np.diff(performance.rotation_rad[:, :, 1:], axis=0)).max(initial=0.0)
    return {
        "notes": float(len(key)),
        "on_key": float(np.mean(dx <= half[key])),
        "mean_dx_mm": float(dx.mean()),
        "max_dx_mm": float(dx.max()),
        "mean_gap_mm": float(gap.mean()),
        "p99_gap_mm": float(np.percentile(gap, 99)),
        "unheld": float(np.mean(~held)),
        "least_spacing_mm": float(np.linalg.norm(across, axis=-1).min()),
        "crossed": float(crossed.mean()),
        "limit_excess_rad": float(max(excess, 0.0)),
        "most_turn_rad": float(turn),
    }
