"""Read MANO_RIGHT.pkl without running any code in it, and without chumpy or SciPy.

The released file (v1.2) is a Python 2 pickle of NumPy arrays, a SciPy CSC matrix and one chumpy object, `shapedirs`. Nothing in it is
unpickled by NumPy, whose unpickling can be made to read foreign memory. `safe_pickle.load_pickle` returns inert objects, and this
module builds the required arrays from their bytes, after checking types and sizes.
"""

import hashlib
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from handroll.hand.mano import MANO_PARENTS, N_BETAS, N_FACES, N_POSE_FEATURES, N_VERTICES, TIP_VERTICES, ManoError, ManoModel
from handroll.hand.skeleton import N_ROTATIONS
from handroll.safe_pickle import StandIn, UnreadableError, load_pickle

VERSION = 1
"""Raised by hand when the same file gives another hand model."""

MAX_FILE_BYTES = 64 * 2**20
"""A released file has 3.8 MB."""

WHERE = "get MANO_RIGHT.pkl (v1.2) from https://mano.is.tue.mpg.de, under MANO's own licence, and put it at {path}"

_LONGEST_MESSAGE = 500  # characters of an error, which the file may have made long

_ARRAY = {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"}
_SPARSE = {"scipy.sparse.csc.csc_matrix", "scipy.sparse._csc.csc_matrix"}
_CHUMPY, _SELECTION = "chumpy.ch.Ch", "chumpy.reordering.Select"
_ENCODED = "_codecs.encode"
"""Bytes, as Python 3 writes them for Python 2."""

_NAMES = {*_ARRAY, *_SPARSE, _CHUMPY, _SELECTION, _ENCODED, "numpy.ndarray", "numpy.dtype", "__builtin__.set", "builtins.set"}
"""Names that may occur in the file. Sets are chumpy's bookkeeping."""

_DTYPES = {"f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}

_LEFT_HAND_M = 0.03
"""The fingertips of a left hand are all at least this much further along +x than its wrist. Those of a right hand are about 0.15 m
along -x."""

_MAX_COORDINATE_M = 1.0
"""Coordinates above this are not in metres: a hand in metres is smaller, and every hand in millimetres is larger."""

_WEIGHT_TOLERANCE = 1e-3


def read_mano(path):
    """Read MANO's right hand from its released file, in the chumpy layout or saved again without chumpy.

    Parameters
    ----------
    path : path
        MANO_RIGHT.pkl.

    Returns
    -------
    ManoModel
        With read-only arrays. Numbers that are float64 in the file are rounded to float32.

    Raises
    ------
    ManoError
        There is no file; it is too large, truncated or no pickle; it contains a name, type or opcode that MANO's file does not use;
        a key is missing or has another shape; values are not finite, not in metres or not weights; the joints have other parents; it
        is the left hand.
    """
    path = Path(path)
    if not path.is_file():
        raise ManoError(f"{path}: expected the MANO hand model, found no file; {WHERE.format(path=path)}")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ManoError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {size}; {WHERE.format(path=path)}")
    data = path.read_bytes()
    try:
        model = _model(load_pickle(data, _NAMES))
    except UnreadableError as error:
        raise ManoError(f"{path}: expected a complete pickle of MANO, found {error}; {WHERE.format(path=path)}") from None
    except ManoError as error:
        raise ManoError(f"{path}: {str(error)[:_LONGEST_MESSAGE]}; {WHERE.format(path=path)}") from None
    return replace(model, sha256=hashlib.sha256(data).hexdigest())


def _model(content):
    """Return the checked model of a file's content, without its hash."""
    if not isinstance(content, dict):
        raise ManoError(f"expected a pickled dict, found {type(content).__name__}")
    arrays = {
        "v_template": _floats(content, "v_template", (N_VERTICES, 3)),
        "shapedirs": _floats(content, "shapedirs", (N_VERTICES, 3, N_BETAS)),
        "posedirs": _floats(content, "posedirs", (N_VERTICES, 3, N_POSE_FEATURES)),
        "J_regressor": _floats(content, "J_regressor", (N_ROTATIONS, N_VERTICES)),
        "weights": _floats(content, "weights", (N_VERTICES, N_ROTATIONS)),
        "hands_mean": _floats(content, "hands_mean", (45,)),
    }
    tree, faces = (_value(content, key, shape).astype(np.int64) for key, shape in (("kintree_table", (2, 16)), ("f", (N_FACES, 3))))
    parents = tuple(-1 if parent == 2**32 - 1 else int(parent) for parent in tree[0])
    if parents != MANO_PARENTS or tree[1].tolist() != list(range(N_ROTATIONS)):
        raise ManoError(f"kintree_table: expected the parents {MANO_PARENTS} of joints 0 to 15, found {parents} of {tree[1].tolist()}")
    if faces.min() < 0 or faces.max() >= N_VERTICES:
        raise ManoError(f"f: expected vertices 0 to {N_VERTICES - 1}, found {faces.min()} to {faces.max()}")
    sums = arrays["weights"].sum(axis=1)
    if np.abs(sums - 1.0).max() > _WEIGHT_TOLERANCE or arrays["weights"].min() < -_WEIGHT_TOLERANCE:
        found = f"sums of {sums.min():.4g} to {sums.max():.4g}, minimum weight {arrays['weights'].min():.4g}"
        raise ManoError(f"weights: expected rows that sum to 1, found {found}")
    _check_hand(arrays["v_template"], arrays["J_regressor"])
    faces = faces.astype(np.int32)
    for array in (*arrays.values(), faces):
        array.setflags(write=False)
    *first, hands_mean = arrays.values()
    return ManoModel(*first, parents, faces, hands_mean, "")


def _check_hand(template_m, joint_regressor):
    """Raise ManoError for a left hand, whose fingers point along +x, and for a template that is not in metres."""
    if np.abs(template_m).max() > _MAX_COORDINATE_M:
        raise ManoError(f"v_template: expected a hand in metres, found coordinates up to {np.abs(template_m).max():.4g}")
    from_wrist = template_m[list(TIP_VERTICES), 0] - joint_regressor[0] @ template_m[:, 0]
    if from_wrist.min() > _LEFT_HAND_M:
        raise ManoError("v_template: expected the right hand, fingers along -x, found its mirror image, the left hand (MANO_LEFT.pkl)")


def _floats(content, key, shape):
    """Return the finite float32 array of a key."""
    array = _value(content, key, shape).astype(np.float32)
    if not np.isfinite(array).all():
        raise ManoError(f"{key}: expected finite numbers, found {np.count_nonzero(~np.isfinite(array))} that are not")
    return array


def _value(content, key, shape):
    """Return the array of a key, which must be present and of the given shape."""
    if key not in content:
        raise ManoError(f"expected the key {key}, found only {sorted(k for k in content if isinstance(k, str))}")
    try:
        array = _dense(content[key])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ManoError(f"{key}: expected an array of shape {shape}, found one that cannot be read: {error}") from None
    if array.shape != shape:
        raise ManoError(f"{key}: expected shape {shape}, found {array.shape}")
    return array


def _dense(value):
    """Return the NumPy array that a stand-in represents."""
    name = value.name if isinstance(value, StandIn) else type(value).__name__
    if name in _ARRAY:
        return _array(value)
    if name == _CHUMPY:
        return _dense(value.state["x"])
    if name == _SELECTION:
        return _dense(value.state["a"]).ravel()[_indices(value.state["idxs"])].reshape(_shape(value.state["preferred_shape"]))
    if name in _SPARSE:
        return _dense_columns(value.state)
    raise ValueError(f"a {name}")


def _array(value):
    """Return the array of NumPy's pickled state: version, shape, dtype, column-major, bytes."""
    _, shape, dtype, column_major, raw = value.state
    (code, *_), (_, order, *rest) = dtype.args, dtype.state
    if code not in _DTYPES or order not in ("<", ">", "|") or any(part is not None for part in rest[:3]):
        raise ValueError(f"the type {code!r}, {order!r}")
    shape, raw, dtype = _shape(shape), _bytes(raw), np.dtype(order + code)
    if prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"{len(raw)} bytes for shape {shape} of {code}")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if column_major else "C")


def _dense_columns(fields):
    """Return a CSC matrix as an array. `indptr` gives the start of each column in `indices` (rows) and `data`."""
    shape = _shape(fields.get("_shape", fields.get("shape")))
    if shape != (N_ROTATIONS, N_VERTICES):
        raise ValueError(f"a matrix of shape {shape}")
    data, rows, starts = _dense(fields["data"]), _indices(fields["indices"]), _indices(fields["indptr"])
    counts = np.diff(starts)
    if len(starts) != shape[1] + 1 or starts[0] != 0 or counts.min() < 0 or not len(data) == len(rows) == starts[-1]:
        raise ValueError("a matrix with inconsistent columns")
    dense = np.zeros(shape)
    np.add.at(dense, (rows, np.repeat(np.arange(shape[1]), counts)), data)
    return dense


def _indices(value):
    """Return indices (n,) from an array or a list. Negative ones, which would count from the end, are rejected."""
    array = np.asarray(value) if isinstance(value, list) else _dense(value)
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min(initial=0) < 0:
        raise ValueError("indices that are not integers from 0")
    return array.astype(np.int64)


def _shape(value):
    """Return a shape as a tuple, such as (778, 3). No size may be negative."""
    if not isinstance(value, (tuple, list)) or not all(type(size) is int and size >= 0 for size in value):
        raise ValueError(f"the shape {value!r}")
    return tuple(value)


def _bytes(value):
    """Return bytes as Python 3 stores them, as Python 2 did (a Latin-1 string), or as Python 3 does for Python 2 (encoded)."""
    if isinstance(value, StandIn) and value.name == _ENCODED and len(value.args) == 2 and value.args[1] == "latin1":
        value = value.args[0]
    if isinstance(value, str):
        return value.encode("latin1")
    if isinstance(value, bytes):
        return value
    raise ValueError(f"numbers in a {type(value).__name__}")
