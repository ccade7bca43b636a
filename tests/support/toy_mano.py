"""Generate a hand model with MANO's layout but without MANO's licence, and write it like MANO's released file.

The mesh consists of tubes along the open hand's bones. Its joints at betas 0 are those of `hand.template.open_hand`. The sizes of the
tubes and of the directions are chosen by eye. It is for tests and toy runs: it works wherever MANO does, but no figure from it is
valid for MANO.
"""

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np

from handroll.hand.mano import MANO_PARENTS, N_BETAS, N_POSE_FEATURES, N_VERTICES, TIP_VERTICES, ManoModel
from handroll.hand.skeleton import CHAINS, FINGERS, N_ROTATIONS
from handroll.hand.template import open_hand
from support.python2_pickle import Instance, python2_dumps

_AROUND, _RINGS = 10, 11
"""Vertices of a finger's ring and its rings: four on each of the first two bones, three on the last; with two ends, 112 vertices."""

_PALM_AROUND, _PALM_RINGS = 24, 9
_RADII_M = {  # finger: at its base joint, second joint, third joint and tip
    "thumb": (0.0130, 0.0110, 0.0095, 0.0080),
    "index": (0.0105, 0.0090, 0.0078, 0.0066),
    "middle": (0.0105, 0.0090, 0.0078, 0.0066),
    "ring": (0.0100, 0.0086, 0.0074, 0.0063),
    "pinky": (0.0088, 0.0074, 0.0064, 0.0055),
}
_PALM_LENGTH_M = 0.092
_PALM_HALF_WIDTH_M, _PALM_HALF_THICKNESS_M = (0.027, 0.039), (0.018, 0.012)  # at the wrist and at the knuckles
_BEND_M = 0.008
"""Half length of a bend: its skinning weight goes from 0 to 1 over this distance on both sides of a joint."""

_POSE_REACH_M, _POSE_M = 0.025, 4e-4
_SHAPE_M = 1.5e-3
_CURL_RAD = 0.2


def synthetic_mano(seed=0):
    """Return a right hand in MANO's layout.

    Parameters
    ----------
    seed : int
        Of the regressor, the smaller shape directions and the pose directions. Template, weights and faces are always the same.

    Returns
    -------
    ManoModel
        At betas 0 its 16 joints and 5 tip vertices are the open hand's joints, to float32. Beta 0 scales the hand by 3 % a unit,
        beta 1 lengthens it by 3 %, the others bend and widen it smoothly by 1.5 mm. A turned joint moves its skin by up to a millimetre.
    """
    rng = np.random.default_rng(seed)
    joints = open_hand().joints_m
    parts = [_palm()] + [_finger(finger) for finger in FINGERS]
    template, weights = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    firsts = np.cumsum([0] + [len(part[0]) for part in parts])[:-1]
    faces = np.concatenate([part[2] + first for part, first in zip(parts, firsts, strict=True)] + [_webs(firsts)])

    regressor = np.zeros((N_ROTATIONS, N_VERTICES))
    regressor[0, :_PALM_AROUND] = _balanced(rng, _PALM_AROUND)
    for finger, first in zip(FINGERS, firsts[1:], strict=True):
        for joint, ring in zip(CHAINS[finger][:3], (0, 4, 8), strict=True):
            start = first + ring * _AROUND
            regressor[joint, start : start + _AROUND] = _balanced(rng, _AROUND)

    order = np.arange(N_VERTICES)
    for vertex, first in zip(TIP_VERTICES, firsts[1:], strict=True):
        # The tip is the last vertex of its finger. It is swapped with the vertex that has MANO's index for it.
        last, tip = np.flatnonzero(order == first + _AROUND * _RINGS + 1)[0], order[vertex]
        order[vertex], order[last] = order[last], tip
    template, weights, regressor = template[order], weights[order], regressor[:, order]
    directions = _shape_directions(rng, template), _pose_directions(rng, template, joints)
    curl = np.zeros((N_ROTATIONS, 3))
    for finger in FINGERS[1:]:
        bends = list(CHAINS[finger][:3])
        curl[bends] = _CURL_RAD * open_hand().axes[bends, 0]
    floats = [a.astype(np.float32) for a in (template, *directions, regressor, weights)]
    return ManoModel(*floats, MANO_PARENTS, np.argsort(order)[faces].astype(np.int32), curl[1:].reshape(45).astype(np.float32), "")


def write_mano_pickle(path, model, layout="chumpy"):
    """Write a model as a MANO_RIGHT.pkl.

    Parameters
    ----------
    path : path
    model : ManoModel
    layout : {"chumpy", "plain"}
        As released: Python 2, with `shapedirs` a chumpy object; or as Python 3 saves it again without chumpy.

    Raises
    ------
    ValueError
        Another layout.
    """
    if layout not in ("chumpy", "plain"):
        raise ValueError(f"expected the layout chumpy or plain, found {layout!r}")
    tree = np.array([[parent % 2**32 for parent in model.parents], range(N_ROTATIONS)], dtype=np.uint32)
    shape_directions = model.shape_directions.astype(np.float64)
    content = {
        "hands_components": np.eye(45),
        "f": model.faces.astype(np.uint32),
        "J_regressor": model.joint_regressor.astype(np.float64),
        "kintree_table": tree,
        "J": (model.joint_regressor @ model.template_m).astype(np.float64),
        "hands_coeffs": np.zeros((1554, 45)),
        "bs_style": "lbs",
        "hands_mean": model.hands_mean.astype(np.float64),
        "v_template": model.template_m.astype(np.float64),
        "shapedirs": shape_directions,
        "posedirs": model.pose_directions.astype(np.float64),
        "weights": model.weights.astype(np.float64),
        "bs_type": "lrotmin",
    }
    if layout == "plain":
        import scipy.sparse

        content["J_regressor"] = scipy.sparse.csc_matrix(content["J_regressor"])
        data = pickle.dumps(content, protocol=2)
    else:
        content["J_regressor"] = _csc(content["J_regressor"])
        content["shapedirs"] = _selection(shape_directions)
        data = python2_dumps(content)
    Path(path).write_bytes(data)


def _csc(matrix):
    """Return a matrix (row, column) as SciPy's compressed columns."""
    columns, rows = np.nonzero(matrix.T)
    starts = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=matrix.shape[1]))])
    state = {"_shape": matrix.shape, "maxprint": 50, "indptr": starts.astype(np.int32), "indices": rows.astype(np.int32)}
    return Instance("scipy.sparse.csc", "csc_matrix", {**state, "data": matrix[rows, columns]})


def _selection(directions):
    """Return shape directions (vertex, xyz, beta 10) as in the released file: chumpy's selection of the first ten of twenty."""
    twenty = np.concatenate([directions, np.zeros_like(directions)], axis=-1)
    picked = np.arange(twenty.size).reshape(twenty.shape)[..., :N_BETAS].ravel()
    bookkeeping = {"_dirty_vars": set(), "_itr": None, "_depends_on_deps": {}}
    values = Instance("chumpy.ch", "Ch", {"x": twenty, **bookkeeping})
    return Instance("chumpy.reordering", "Select", {"a": values, "idxs": picked, "preferred_shape": directions.shape, **bookkeeping})


def _balanced(rng, around):
    """Return weights (around,) of a ring's vertices that sum to 1. Opposite ones are equal, so that the mean is the centre."""
    half = rng.uniform(0.5, 1.5, around // 2)
    return np.tile(half / half.sum() / 2.0, 2)


def _tube(centres, across, up, ends, around):
    """A closed tube: rings of `around` vertices about `centres` (ring, 3), half axes `across` and `up` (ring, 3), two `ends` (2, 3).

    Returns vertices (ring x around + 2, 3), the ends last, and faces (2 x ring x around, 3).
    """
    angle = 2.0 * np.pi * np.arange(around) / around
    rings = centres[:, None] + np.cos(angle)[:, None] * across[:, None] + np.sin(angle)[:, None] * up[:, None]
    here = np.arange(len(centres))[:, None] * around + np.arange(around)
    beside = np.roll(here, -1, axis=1)
    corners = (here[:-1], beside[:-1], beside[1:]), (here[:-1], beside[1:], here[1:])
    low, high = (np.stack(three, axis=-1).reshape(-1, 3) for three in corners)
    first, last = np.full(around, here.size), np.full(around, here.size + 1)
    caps = np.stack([first, beside[0], here[0]], axis=-1), np.stack([last, here[-1], beside[-1]], axis=-1)
    return np.concatenate([rings.reshape(-1, 3), ends]), np.concatenate([low, high, *caps])


def _palm():
    """Vertices, weights and faces of the palm: elliptic rings from the wrist, where they are centred on the joint, to the knuckles."""
    joints = open_hand().joints_m
    part = np.linspace(0.0, 1.0, _PALM_RINGS)[:, None]
    knuckles = joints[[CHAINS["index"][0], CHAINS["pinky"][0]]].mean(axis=0)
    centres = joints[0] + part * [-_PALM_LENGTH_M, 0.0, knuckles[2] - joints[0, 2]]
    across, up = (wrist + part * (far - wrist) for wrist, far in (_PALM_HALF_WIDTH_M, _PALM_HALF_THICKNESS_M))
    ends = np.stack([centres[0] + [0.008, 0.0, 0.0], centres[-1] - [0.006, 0.0, 0.0]])
    vertices, faces = _tube(centres, across * [0.0, 0.0, 1.0], up * [0.0, 1.0, 0.0], ends, _PALM_AROUND)
    weights = np.zeros((len(vertices), N_ROTATIONS))
    weights[:, 0] = 1.0
    return vertices, weights, faces


def _finger(finger):
    """Vertices, weights and faces of a finger: round rings from the base joint, centred on the joints, and the tip as the last vertex."""
    chain, axes = CHAINS[finger], open_hand().axes
    points = open_hand().joints_m[list(chain)]
    at = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.4, 2.8])
    bone = np.minimum(at.astype(int), 2)
    part = (at - bone)[:, None]
    centres = (1.0 - part) * points[bone] + part * points[bone + 1]
    radius = np.interp(at, [0.0, 1.0, 2.0, 3.0], _RADII_M[finger])[:, None]
    turned = axes[np.array(chain)[bone]]
    back = points[0] - _RADII_M[finger][0] * axes[chain[0], 2]
    vertices, faces = _tube(centres, radius * turned[:, 0], radius * turned[:, 1], np.stack([back, points[3]]), _AROUND)

    passed, weights = np.ones(len(vertices)), np.zeros((len(vertices), N_ROTATIONS))
    weights[:, 0] = 1.0
    for level, parent in enumerate((0, *chain[:2])):
        along = axes[chain[level], 2] + (axes[chain[level - 1], 2] if level else 0.0)
        beyond = np.clip((vertices - points[level]) @ along / np.linalg.norm(along) / (2.0 * _BEND_M) + 0.5, 0.0, 1.0)
        passed = passed * beyond**2 * (3.0 - 2.0 * beyond)
        weights[:, parent] -= passed
        weights[:, chain[level]] += passed
    return vertices, weights, faces


def _webs(firsts):
    """Skin between neighbouring fingers' bases: the six faces (6, 3) that six closed tubes lack of MANO's 1538."""
    faces = []
    for here, there in pairwise(firsts[2:]):
        near, far = here + _AROUND // 2, there  # the facing sides of the two first rings
        faces += [(near, far, far + _AROUND), (near, far + _AROUND, near + _AROUND)]
    return np.array(faces)


def _waves(rng, points, number):
    """Smooth random fields (point, xyz 3, number) between -1 and 1, with waves about as long as the hand."""
    frequency, phase = rng.normal(0.0, 15.0, (3, 3 * number)), rng.uniform(0.0, 2.0 * np.pi, 3 * number)
    return np.sin(points @ frequency + phase).reshape(len(points), 3, number)


def _shape_directions(rng, template):
    """Directions (vertex, xyz 3, beta 10): size, length, then smooth waves."""
    directions = _SHAPE_M * _waves(rng, template, N_BETAS)
    offset = template - open_hand().joints_m[0]
    directions[:, :, 0] = 0.03 * offset
    directions[:, :, 1] = 0.03 * offset * [1.0, 0.0, 0.0]
    return directions


def _pose_directions(rng, template, joints):
    """Directions (vertex, xyz 3, feature 135): smooth waves about the joint whose rotation they follow."""
    distance = np.linalg.norm(template[:, None] - joints[1:N_ROTATIONS], axis=-1)
    near = np.repeat(np.exp(-((distance / _POSE_REACH_M) ** 2)), 9, axis=1)
    return _POSE_M * near[:, None, :] * _waves(rng, template, N_POSE_FEATURES)
