"""Distance between the surfaces of the two hands of a performance, from cones along the bones as in the hand mesh."""

from functools import cache

import numpy as np
from numba import njit

from handroll.hand.kinematics import MIRROR, posed_frames
from handroll.hand.skeleton import CHAINS, FINGERS, HANDS, N_ROTATIONS
from handroll.hand.template import WRIST_M, open_hand
from handroll.keyboard.geometry import LEVEL_HAND
from handroll.rendering.hand_mesh import FINGER_RADII_MM, FLESH_CONES_MM, FOREARM_CONES_MM, PALM_CONES_MM, forearm_rotation

MAX_DISTANCE_MM = 400.0
"""Distances of hands whose wrists are farther apart than this value are not computed (mm)."""

# Number of frames whose distances are computed at once.
_FRAMES_AT_ONCE = 4096


def surface_distance_mm(performance):
    """Compute the distance between the surfaces of both hands and forearms.

    Parameters
    ----------
    performance : Performance

    Returns
    -------
    array (frame,)
        Minimum distance (mm); negative if the hands intersect, by the depth of the intersection. inf if a hand is absent or the wrists are
        farther apart than `MAX_DISTANCE_MM`.
    """
    distance = np.full(len(performance.time_s), np.inf)
    rest = np.stack([WRIST_M * (MIRROR if hand == "left" else np.ones(3)) for hand in HANDS])
    wrist = performance.translation_m + np.asarray(performance.bone_scale)[:, None] * rest
    apart = np.linalg.norm(wrist[:, 0] - wrist[:, 1], axis=-1) * 1e3
    rows = np.flatnonzero(performance.present.all(axis=1) & (apart <= MAX_DISTANCE_MM))
    for part in np.array_split(rows, max(1, -(-len(rows) // _FRAMES_AT_ONCE))):
        if len(part):
            left, right = (_cones_mm(performance, part, side) for side in range(len(HANDS)))
            distance[part] = _closest(*left, *right)
    return distance


@cache
def _rest_cones():
    """Return the cones of a right hand in MANO's frame at bone scale 1, relative to the wrist.

    Returns
    -------
    frame : array (cone, 2), int
        Joint frame of each end; `N_ROTATIONS` is the forearm.
    ends_mm : array (cone, 2, xyz 3)
    radii_mm : array (cone, 2)
    """
    joints = open_hand().joints_m
    joints = (joints - joints[0]) * 1e3
    to_mano = LEVEL_HAND[1]  # rows: player's frame in MANO's frame
    frames, ends, radii = [], [], []
    for finger in FINGERS:
        chain = CHAINS[finger]
        for bone in range(3):
            frames.append((chain[bone], chain[bone]))
            ends.append((joints[chain[bone]], joints[chain[bone + 1]]))
            radii.append(FINGER_RADII_MM[finger][bone : bone + 2])
    for finger, (start, near, far) in PALM_CONES_MM.items():
        frames.append((0, 0))
        ends.append((np.array(start) @ to_mano, joints[CHAINS[finger][0]]))
        radii.append((near, far))
    for cones, frame in ((FLESH_CONES_MM, 0), (FOREARM_CONES_MM, N_ROTATIONS)):
        for start, end, near, far in cones:
            frames.append((frame, frame))
            ends.append((np.array(start) @ to_mano, np.array(end) @ to_mano))
            radii.append((near, far))
    return np.array(frames), np.array(ends), np.array(radii, dtype=np.float64)


def _cones_mm(performance, frames, side):
    """Return the ends (frame, cone, 2, xyz 3) and radii (cone, 2) of the cones of one hand, mm, in the world frame."""
    scale = performance.bone_scale[side]
    rotation = performance.rotation_rad[frames, side].reshape(len(frames), -1)
    joints, turn = posed_frames(rotation, performance.translation_m[frames, side], scale, HANDS[side])
    arms = np.stack([forearm_rotation(palm, side) for palm in turn[:, 0]])
    turn = np.concatenate([turn, arms[:, None]], axis=1)
    origin = np.concatenate([joints[:, :N_ROTATIONS], joints[:, :1]], axis=1) * 1e3
    frame, ends, radii = _rest_cones()
    mirror = MIRROR if HANDS[side] == "left" else np.ones(3)
    rest = open_hand().joints_m
    anchors = np.concatenate([(rest[:N_ROTATIONS] - rest[0]) * 1e3, np.zeros((1, 3))])
    offset = scale * (ends - anchors[frame]) * mirror
    points = origin[:, frame] + np.einsum("tceij,cej->tcei", turn[:, frame], offset)
    return points, radii * scale


@njit(cache=True, fastmath=True)
def _closest(first, first_radii, second, second_radii):
    """Return the minimum distance (frame,) between two sets of cones: ends (frame, cone, 2, xyz 3) and radii (cone, 2)."""
    out = np.empty(len(first))
    for t in range(len(first)):
        least = 1e9
        for a in range(first.shape[1]):
            p, d = first[t, a, 0], first[t, a, 1] - first[t, a, 0]
            for b in range(second.shape[1]):
                q, e = second[t, b, 0], second[t, b, 1] - second[t, b, 0]
                dd, ee, de, dr, er, rr = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                for k in range(3):
                    r = p[k] - q[k]
                    dd += d[k] * d[k]
                    ee += e[k] * e[k]
                    de += d[k] * e[k]
                    dr += d[k] * r
                    er += e[k] * r
                    rr += r * r
                # Closest points of two segments: Ericson 2005, "Real-Time Collision Detection", section 5.1.9.
                det = dd * ee - de * de
                u = min(max((de * er - dr * ee) / det, 0.0), 1.0) if det > 1e-9 else 0.0
                v = (de * u + er) / ee
                if v < 0.0:
                    v = 0.0
                    u = min(max(-dr / dd, 0.0), 1.0)
                elif v > 1.0:
                    v = 1.0
                    u = min(max((de - dr) / dd, 0.0), 1.0)
                square = rr + u * u * dd + v * v * ee - 2.0 * u * v * de + 2.0 * u * dr - 2.0 * v * er
                radius = first_radii[a, 0] + u * (first_radii[a, 1] - first_radii[a, 0])
                radius += second_radii[b, 0] + v * (second_radii[b, 1] - second_radii[b, 0])
                least = min(least, np.sqrt(max(square, 0.0)) - radius)
        out[t] = least
    return out
