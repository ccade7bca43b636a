"""Mesh of a hand and forearm for rendering, built around the open-hand template, with skinning weights and colours.

The shape is a smooth union of cones along the bones of the template (`sdf`). It is meshed once. Linear blend skinning with the joint
frames of `kinematics.posed_frames` then deforms the mesh, so the rendered hand has exactly the true pose. The right hand is built in the
player's frame of `template`: mm; x to the player's right, y distal, z dorsal, wrist at the origin. The left hand is its mirror image.
Radii and blend widths were chosen by eye and with a hand detector. The detector finds a hand only if its skin colour is warm and there is
a gap between thumb and fingers.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit
from scipy.interpolate import PchipInterpolator

from handroll.hand.kinematics import MIRROR
from handroll.hand.rotations import matrix_from_rotvec, rotvec_from_matrix
from handroll.hand.skeleton import CHAINS, FINGERS, N_ROTATIONS
from handroll.hand.template import open_hand
from handroll.keyboard.geometry import LEVEL_HAND
from handroll.rendering.sdf import cone_distance, gradient, smooth_union, surface_nets

FOREARM = N_ROTATIONS
"""Index of the forearm's frame, after the frames of MANO's 16 joints."""

# Rotation from MANO's frame to the player's frame, for the right hand.
_PLAYER_FROM_MANO = LEVEL_HAND[1]

FINGER_RADII_MM = {
    "thumb": (14.0, 11.5, 9.6, 8.0),
    "index": (10.5, 8.8, 7.6, 6.4),
    "middle": (10.5, 9.0, 7.8, 6.6),
    "ring": (10.0, 8.6, 7.4, 6.3),
    "pinky": (8.8, 7.3, 6.4, 5.5),
}
"""Radius of each finger at its base joint, second joint, third joint and tip (mm)."""

PALM_CONES_MM = {
    "index": ((-11.0, 3.0, 0.0), 15.0, 12.5),
    "middle": ((-4.0, 2.0, 0.0), 16.0, 13.0),
    "ring": ((5.0, 2.0, 0.0), 15.5, 12.5),
    "pinky": ((12.0, 4.0, -1.0), 14.0, 11.5),
}
"""Cone of the palm for each finger (mm): start near the wrist, radius at the start, radius at the knuckle."""

FLESH_CONES_MM = (
    ((-10.0, 10.0, -6.0), (-31.0, 42.0, -12.0), 15.0, 12.0),
    ((14.0, 12.0, -6.0), (27.0, 60.0, -7.0), 14.0, 11.0),
    ((-22.0, 66.0, -5.0), (-36.0, 50.0, -12.0), 7.5, 8.0),
)
"""Cones of the ball of the thumb, the edge of the hand and the web of the thumb (mm): start, end, start radius, end radius."""

FOREARM_CONES_MM = (((0.0, 0.0, -1.5), (0.0, -120.0, -1.5), 21.0, 28.0),)
"""Cones that approximate the part of the forearm next to the wrist (mm): start, end, start radius, end radius."""

# `stretch` of the palm's cones (`sdf.cone_distance`): the palm is thinner than it is wide.
_PALM_SQUEEZE = (1.0, 1.0, 1.15)

# Radius of the tendons, which are ridges on the back of the hand.
_TENDON_RADIUS_MM = 2.4

# Radius of the bumps over the knuckles.
_KNUCKLE_RADIUS_MM = 8.6

# Blend widths of the smooth unions: bones of one finger, finger and palm, parts of the palm, palm and forearm.
_FINGER_BLEND_MM, _JOIN_BLEND_MM, _PALM_BLEND_MM, _WRIST_BLEND_MM = 2.5, 7.5, 9.0, 22.0

# Elliptic sections of the forearm: (y, half width, half thickness). The forearm narrows towards the hand and ends inside the palm, which
# hides its end.
_ARM_MM = np.array(
    [
        (36.0, 8.0, 4.0),
        (18.0, 21.0, 13.5),
        (0.0, 25.0, 17.0),
        (-35.0, 26.0, 18.5),
        (-120.0, 31.0, 25.0),
        (-230.0, 39.0, 34.0),
        (-400.0, 42.0, 38.0),
    ]
)

# y at which the meshed shape ends for a sleeved arm and for a bare arm, and y of the end of the arm. A tube connects the two.
_SLEEVED_MESH_END_MM, _BARE_MESH_END_MM, _ARM_END_MM = -75.0, -112.0, -470.0

# z of the axis of the forearm.
_ARM_Z_MM = -1.5

# y of the edge of the sleeve.
_CUFF_MM = -52.0

# Distance from the arm to the sleeve.
_SLEEVE_MARGIN_MM = 4.5

# Half width of the bend at each joint of a finger, as a multiple of the finger's radius there. The skinning weights change over this width.
_BEND_RADII = (1.25, 1.0, 1.0)

# Half widths of the bends at the base of the thumb and at the wrist.
_THUMB_BASE_BEND_MM = 14.0
_WRIST_BEND_MM = 18.0

# Distance over which the skinning weights of neighbouring fingers are blended.
_FINGER_SOFTNESS_MM = 2.0

# The skinning weights of a finger's joints fade to 0 between these two distances from the surface of the finger.
_FADE_MM = (3.0, 17.0)


@dataclass(frozen=True)
class HandMesh:
    """Mesh of a hand and forearm in the rest pose, with skinning weights and colours.

    Attributes
    ----------
    vertices_m : array (vertex, 3), float32
        Rest positions relative to the wrist in MANO's frame, metres, at bone scale 1.
    normals : array (vertex, 3), float32
        Unit outward normals at rest.
    triangles : array (triangle, 3), int32
        Vertex indices, counter-clockwise viewed from outside.
    weights : array (vertex, 17), float32
        Skinning weights of MANO's 16 joints and of the forearm; they sum to 1.
    anchors_m : array (joint 17, xyz 3)
        Rest positions of MANO's 16 joints and of the forearm relative to the wrist.
    tint : array (vertex, 3), float32
        Factor of the skin colour (RGB), for creases, knuckles and mottling.
    nail, sleeve : array (vertex,), float32
        Share of the nail colour, and share of the sleeve colour, in the colour of a vertex, 0..1.
    """

    vertices_m: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray
    weights: np.ndarray
    anchors_m: np.ndarray
    tint: np.ndarray
    nail: np.ndarray
    sleeve: np.ndarray


@cache
def _joints_mm():
    """Return the rest joints (joint 21, xyz 3) of the right hand in the player's frame, mm."""
    joints = open_hand().joints_m
    return ((joints - joints[0]) @ _PLAYER_FROM_MANO.T * 1e3).astype(np.float32)


def _finger_distance(points, finger):
    """Return the signed distance (point,) to one finger."""
    joints = _joints_mm()[list(CHAINS[finger])]
    radii = FINGER_RADII_MM[finger]
    distance = cone_distance(points, joints[0], joints[1], radii[0], radii[1])
    for bone in (1, 2):
        part = cone_distance(points, joints[bone], joints[bone + 1], radii[bone], radii[bone + 1])
        distance = smooth_union(distance, part, _FINGER_BLEND_MM)
    return distance


def _palm_distance(points):
    """Return the signed distance (point,) to the palm."""
    distance = None
    for finger, (start, near, far) in PALM_CONES_MM.items():
        knuckle = _joints_mm()[CHAINS[finger][0]]
        part = cone_distance(points, start, knuckle, near, far, _PALM_SQUEEZE)
        distance = part if distance is None else smooth_union(distance, part, _PALM_BLEND_MM)
    for start, end, near, far in FLESH_CONES_MM:
        distance = smooth_union(distance, cone_distance(points, start, end, near, far), _PALM_BLEND_MM)
    for finger, (start, _, far) in PALM_CONES_MM.items():
        knuckle = _joints_mm()[CHAINS[finger][0]]
        ridge_start = (0.55 * start[0], 8.0, 13.0)
        ridge_end = knuckle + np.array([0.0, -4.0, far / _PALM_SQUEEZE[2] - 0.6])
        tendon = cone_distance(points, ridge_start, ridge_end, _TENDON_RADIUS_MM, _TENDON_RADIUS_MM)
        distance = smooth_union(distance, tendon, 3.5)
        bump = cone_distance(points, knuckle + (0.0, -2.0, 3.6), knuckle + (0.0, 3.0, 3.6), _KNUCKLE_RADIUS_MM, _KNUCKLE_RADIUS_MM - 0.4)
        distance = smooth_union(distance, bump, 5.0)
    return distance


def _arm_section(y_mm):
    """Return half width and half thickness (point,) of the forearm at positions `y_mm` (point,)."""
    return np.moveaxis(PchipInterpolator(_ARM_MM[::-1, 0], _ARM_MM[::-1, 1:])(np.clip(y_mm, *_ARM_MM[[-1, 0], 0])), -1, 0)


def _arm_distance(points, end_mm):
    """Return the signed distance (point,) to the forearm, which extends from the palm to y = `end_mm`."""
    width, thickness = _arm_section(points[:, 1])
    radial = np.hypot(points[:, 0] / width, (points[:, 2] - _ARM_Z_MM) / thickness)
    around = (radial - 1.0) * np.minimum(width, thickness)
    return np.maximum(around, np.maximum(points[:, 1] - _ARM_MM[0, 0], end_mm - points[:, 1])).astype(points.dtype)


def _distance(points, end_mm):
    """Return the signed distance (point,) to hand and forearm. Each finger joins the palm separately, so fingers do not merge."""
    rest = smooth_union(_palm_distance(points), _arm_distance(points, end_mm), _WRIST_BLEND_MM)
    distance = rest
    for finger in FINGERS:
        distance = np.minimum(distance, smooth_union(rest, _finger_distance(points, finger), _JOIN_BLEND_MM))
    return distance


def _smoothstep(x, low, high):
    """Return a smooth step of x: 0 up to `low`, 1 from `high`."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _skin_weights(points):
    """Return skinning weights (point, joint 17).

    A point near a finger follows the joints of this finger. Away from the fingers it follows the wrist joint, and behind the wrist the
    forearm. The weights change smoothly between these regions.
    """
    joints = _joints_mm()
    near = np.stack([_finger_distance(points, finger) for finger in FINGERS], axis=1)
    share = np.exp(-(near - near.min(axis=1, keepdims=True)) / _FINGER_SOFTNESS_MM)
    share /= share.sum(axis=1, keepdims=True)
    share *= 1.0 - _smoothstep(near, *_FADE_MM)
    weights = np.zeros((len(points), FOREARM + 1))
    for k, finger in enumerate(FINGERS):
        chain = CHAINS[finger]
        bones = np.diff(joints[list(chain)], axis=0)
        bones /= np.linalg.norm(bones, axis=1, keepdims=True)
        passed = share[:, k]
        for level in range(3):
            direction = bones[level] + (bones[level - 1] if level else 0.0)
            direction /= np.linalg.norm(direction)
            width = _THUMB_BASE_BEND_MM if finger == "thumb" and level == 0 else _BEND_RADII[level] * FINGER_RADII_MM[finger][level]
            beyond = passed * _smoothstep((points - joints[chain[level]]) @ direction, -width, width)
            if level:
                weights[:, chain[level - 1]] -= beyond
            weights[:, chain[level]] += beyond
            passed = beyond
    weights[:, 0] = 1.0 - weights.sum(axis=1)
    arm = _smoothstep(-points[:, 1], -_WRIST_BEND_MM, _WRIST_BEND_MM)
    weights *= 1.0 - arm[:, None]
    weights[:, FOREARM] += arm
    return weights


def _bone_axes(finger, level):
    """Return the unit vectors (along the bone, dorsal) of bone `level` of a finger in the player's frame."""
    axes = open_hand().axes[CHAINS[finger][level]] @ _PLAYER_FROM_MANO.T
    return axes[2], axes[1]


def _nail_and_tint(points, normals):
    """Return `nail` (point,) and `tint` (point, rgb 3) of a `HandMesh`: nails, creases over the joints, red knuckles and tips, mottling."""
    joints = _joints_mm()
    nail = np.zeros(len(points))
    dark, red = np.zeros(len(points)), np.zeros(len(points))
    for finger in FINGERS:
        chain, radii = CHAINS[finger], FINGER_RADII_MM[finger]
        along, dorsal = _bone_axes(finger, 2)
        side = np.cross(along, dorsal)
        tip = joints[chain[3]]
        offset = points - tip
        radius = radii[3]
        own = np.linalg.norm(offset, axis=1) < 3.2 * radius
        u, v = (offset @ along + 0.35 * radius) / (1.05 * radius), offset @ side / (0.80 * radius)
        edge = np.abs(u) ** 3 + np.abs(v) ** 3
        nail = np.maximum(nail, own * (normals @ dorsal > 0.25) * (1.0 - _smoothstep(edge, 0.75, 1.25)))
        red = np.maximum(red, np.exp(-((np.linalg.norm(offset, axis=1) / (1.6 * radius)) ** 2)))
        for level in (1, 2):
            along, dorsal = _bone_axes(finger, level)
            offset = points - joints[chain[level]]
            position, near = offset @ along, np.linalg.norm(offset, axis=1) < 1.7 * radii[level]
            back = _smoothstep(normals @ dorsal, 0.1, 0.7)
            folds = sum(np.exp(-(((position - shift) / 1.3) ** 2)) for shift in (-3.4, 0.4, 4.0))
            dark = np.maximum(dark, near * back * folds * (1.0 if level == 1 else 0.7))
            red = np.maximum(red, 0.6 * near * back * np.exp(-((position / (0.9 * radii[level])) ** 2)))
        knuckle = joints[chain[0]] if finger != "thumb" else joints[chain[1]]
        red = np.maximum(red, 0.7 * np.exp(-((np.linalg.norm(points - knuckle - (0.0, 0.0, 9.0), axis=1) / 10.0) ** 2)))
    waves = sum(
        np.sin(points @ np.array(wave) + phase)
        for wave, phase in (((0.11, 0.07, 0.05), 0.3), ((-0.06, 0.13, 0.09), 1.9), ((0.19, -0.16, 0.1), 4.0), ((-0.27, -0.21, 0.2), 2.2))
    )
    tint = np.ones((len(points), 3)) * (1.0 + 0.012 * waves)[:, None]
    tint *= 1.0 - dark[:, None] * np.array([0.13, 0.17, 0.19])
    tint *= 1.0 - red[:, None] * np.array([0.01, 0.075, 0.08])
    return nail, tint


def _tube(sleeved):
    """Build the tube that continues the meshed arm, as a sleeve or as a bare arm: vertices, normals, triangles; player's frame, mm.

    The cuff is folded inwards, so that its edge is not visible. The tube of a bare arm overlaps the meshed arm and is 0.15 mm wider.
    """
    around = np.linspace(0.0, 2.0 * np.pi, 49)[:-1]
    if sleeved:
        # Rings of the tube: y and margin around the arm, for the inside of the cuff, its rim and the sleeve.
        y = np.concatenate([[_CUFF_MM - 14.0, _CUFF_MM - 1.0], np.arange(_CUFF_MM, _ARM_END_MM - 8.0, -8.0)])
        margin = np.concatenate([[0.3, 2.6], np.full(len(y) - 2, _SLEEVE_MARGIN_MM)]) + np.clip((_CUFF_MM - y) * 0.02, 0.0, 4.0)
    else:
        y = np.arange(_BARE_MESH_END_MM + 12.0, _ARM_END_MM - 8.0, -8.0)
        margin = np.full(len(y), 0.15)
    width, thickness = (section + margin for section in _arm_section(y))
    down = y[:, None]
    # Diagonal folds around the arm.
    depth = np.clip((_CUFF_MM - 12.0 - down) / 60.0, 0.0, 1.0) * (0.55 if sleeved else 0.0)
    waves = np.sin(0.11 * down + 2.3 * np.sin(around)) + 0.8 * np.sin(0.073 * down - 3.1 * np.cos(around))
    ripple = depth * (waves + 0.6 * np.sin(0.19 * down + 3 * around))
    x, z = (width[:, None] + ripple) * np.cos(around), (thickness[:, None] + ripple) * np.sin(around) + _ARM_Z_MM
    vertices = np.stack([x, np.broadcast_to(down, ripple.shape), z], axis=-1)
    rings, sectors = ripple.shape
    here = np.arange(rings - 1)[:, None] * sectors + np.arange(sectors)
    right = np.arange(rings - 1)[:, None] * sectors + (np.arange(sectors) + 1) % sectors
    triangles = np.stack([np.stack([here, right, right + sectors], -1), np.stack([here, right + sectors, here + sectors], -1)], axis=2)
    normals = np.cross(np.roll(vertices, -1, axis=1) - np.roll(vertices, 1, axis=1), np.gradient(vertices, axis=0))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return vertices.reshape(-1, 3), normals.reshape(-1, 3), triangles.reshape(-1, 3)


@cache
def build_hand_mesh(hand, sleeved=True, grid_mm=3.0):
    """Build the mesh of a hand and forearm; cached.

    Parameters
    ----------
    hand : {"left", "right"}
    sleeved : bool
        True: a sleeve begins behind the wrist. False: the arm is bare.
    grid_mm : float
        Spacing of the grid for meshing: 3 is faster, 2.2 gives a smoother outline.

    Returns
    -------
    HandMesh
        Its arrays are read-only.
    """
    if hand == "left":
        right = build_hand_mesh("right", sleeved, grid_mm)
        flip = MIRROR.astype(np.float32)
        parts = (right.vertices_m * flip, right.normals * flip, np.ascontiguousarray(right.triangles[:, ::-1]), right.weights)
        mesh = HandMesh(*parts, right.anchors_m * MIRROR, right.tint, right.nail, right.sleeve)
    else:
        end = _SLEEVED_MESH_END_MM if sleeved else _BARE_MESH_END_MM

        def field(points):
            return _distance(points, end)

        low = np.array([-92.0, end - 6.0, -48.0])
        vertices, triangles = surface_nets(field, low, np.array([62.0, 196.0, 40.0]), grid_mm)
        normals = gradient(field, vertices, 0.4)
        tube, tube_normals, tube_triangles = _tube(sleeved)
        sleeve = np.repeat([0.0, float(sleeved)], [len(vertices), len(tube)])
        triangles = np.concatenate([triangles, tube_triangles + len(vertices)]).astype(np.int32)
        vertices, normals = np.concatenate([vertices, tube]), np.concatenate([normals, tube_normals])
        weights = _skin_weights(vertices)
        nail, tint = _nail_and_tint(vertices, normals)
        joints = open_hand().joints_m
        anchors = np.concatenate([joints[:N_ROTATIONS] - joints[0], np.zeros((1, 3))])
        floats = (vertices * 1e-3 @ _PLAYER_FROM_MANO, normals @ _PLAYER_FROM_MANO, weights, tint, nail, sleeve)
        vertices_m, normals, weights, tint, nail, sleeve = (np.ascontiguousarray(a, dtype=np.float32) for a in floats)
        mesh = HandMesh(vertices_m, normals, triangles, weights, anchors, tint, nail, sleeve)
    for array in vars(mesh).values():
        array.setflags(write=False)
    return mesh


def skin(mesh, joints_m, orientation, forearm, bone_scale):
    """Deform a mesh to a pose by linear blend skinning.

    Parameters
    ----------
    mesh : HandMesh
    joints_m : array (joint 21, xyz 3)
        Joints at one time, from `kinematics.posed_frames` of the mesh's hand.
    orientation : array (joint 16, 3, 3)
        Rotations of the joints at the same time, from `kinematics.posed_frames`.
    forearm : array (3, 3)
        Rotation of the forearm from its rest pose, in the world frame (`forearm_rotation`).
    bone_scale : float
        Size of the hand relative to the template.

    Returns
    -------
    vertices_m, normals : array (vertex, 3), float32
        In the frame of `joints_m`; normals have unit length.
    """
    turn = np.concatenate([orientation, forearm[None]])
    origin = np.concatenate([joints_m[:N_ROTATIONS], joints_m[:1]])
    shift = origin - np.einsum("kij,kj->ki", turn, bone_scale * mesh.anchors_m)
    blended = mesh.weights @ np.concatenate([turn.reshape(-1, 9), shift], axis=1).astype(np.float32)
    return _transform(blended, mesh.vertices_m, mesh.normals, np.float32(bone_scale))


@njit(cache=True, nogil=True, error_model="numpy")
def _transform(transforms, vertices, normals, scale):
    """Apply transforms (vertex, 12: 3 x 3 matrix by rows, shift) to scaled vertices and to normals (vertex, 3), all float32."""
    moved, turned = np.empty_like(vertices), np.empty_like(normals)
    for v in range(len(vertices)):
        x, y, z = vertices[v, 0] * scale, vertices[v, 1] * scale, vertices[v, 2] * scale
        nx, ny, nz = normals[v, 0], normals[v, 1], normals[v, 2]
        for i in range(3):
            a, b, c = transforms[v, 3 * i], transforms[v, 3 * i + 1], transforms[v, 3 * i + 2]
            moved[v, i] = a * x + b * y + c * z + transforms[v, 9 + i]
            turned[v, i] = a * nx + b * ny + c * nz
        norm = np.sqrt(turned[v, 0] * turned[v, 0] + turned[v, 1] * turned[v, 1] + turned[v, 2] * turned[v, 2])
        for i in range(3):
            turned[v, i] /= norm
    return moved, turned


def forearm_rotation(palm, hand):
    """Return the rotation of the forearm in the world frame: half of the palm's rotation from a level hand.

    A real arm follows the rotation of the hand only in part. The factor one half imitates this.

    Parameters
    ----------
    palm : array (3, 3)
        Rotation of the wrist joint in the world frame.
    hand : int
        Index into `skeleton.HANDS`.

    Returns
    -------
    array (3, 3)
    """
    level = LEVEL_HAND[hand]
    return matrix_from_rotvec(0.5 * rotvec_from_matrix(palm @ level.T)) @ level


def vertex_colours(mesh, skin_rgb, sleeve_rgb):
    """Return the colours (vertex, rgb 3), 0..1, of a mesh for a skin tone and a sleeve colour (both RGB, 0..1)."""
    skin_rgb = np.asarray(skin_rgb, dtype=np.float32)
    # Nails are lighter and pinker than the skin.
    nail_rgb = np.clip(0.62 * skin_rgb + 0.38 * np.array([1.0, 0.93, 0.90]) * (0.35 + 0.65 * skin_rgb.max()), 0.0, 1.0)
    colour = skin_rgb * mesh.tint
    colour = colour + mesh.nail[:, None] * (nail_rgb - colour)
    return (colour + mesh.sleeve[:, None] * (np.asarray(sleeve_rgb) - colour)).astype(np.float32)
