"""Read MANO_RIGHT.pkl without running any code in it, and without chumpy or SciPy.

The released file (v1.2) is a Python 2 pickle of NumPy arrays, a SciPy CSC matrix and one chumpy object, `shapedirs`. Nothing in it is
unpickled by NumPy, since a crafted pickle can make NumPy read memory outside the file. `safe_pickle.load_pickle` returns inert objects.
This module checks their types and sizes and builds the required arrays from their bytes."""

import hashlib
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from handroll.hand.mano import MANO_PARENTS, N_BETAS, N_FACES, N_POSE_FEATURES, N_VERTICES, TIP_VERTICES, ManoError, ManoModel
from handroll.hand.skeleton import N_ROTATIONS
from handroll.safe_pickle import StandIn, UnreadableError, load_pickle

VERSION = 1
"""Version of this reader. Increase it manually when the same file gives a different hand model."""

MAX_FILE_BYTES = 64 * 2**20
"""Maximum size of the model file, bytes. The released file has 3.8 MB."""

WHERE = "get MANO_RIGHT.pkl (v1.2) from https://mano.is.tue.mpg.de, under MANO's own licence, and put it at {path}"
"""Advice in every error message: where to get the file, and where to put it (`path`)."""

# Maximum length of an error message, characters: it may quote text of the file.
_LONGEST_MESSAGE = 500

# Names of a NumPy array in a pickle.
_ARRAY = {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"}

# Names of SciPy's CSC matrix in a pickle.
_SPARSE = {"scipy.sparse.csc.csc_matrix", "scipy.sparse._csc.csc_matrix"}

# Name of chumpy's array in a pickle.
_CHUMPY = "chumpy.ch.Ch"

# Name of chumpy's selection of another array's entries in a pickle.
_SELECTION = "chumpy.reordering.Select"

# Function whose call represents bytes in a pickle that Python 3 wrote with a protocol of Python 2.
_ENCODED = "_codecs.encode"

# Names of all functions and classes that the pickle may contain. chumpy uses sets for its internal state.
_NAMES = {*_ARRAY, *_SPARSE, _CHUMPY, _SELECTION, _ENCODED, "numpy.ndarray", "numpy.dtype", "__builtin__.set", "builtins.set"}

# NumPy codes of the supported dtypes.
_DTYPES = {"f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}

# Minimum distance of all fingertips from the wrist along +x, for the model to be a left hand, m. The fingertips of a right hand are about
# 0.15 m from the wrist along -x.
_LEFT_HAND_M = 0.03

# Maximum absolute coordinate of a hand whose unit is the metre. Hands in millimetres have larger coordinates.
_MAX_COORDINATE_M = 1.0

# Tolerance of two checks: a vertex's skinning weights sum to 1, and no skinning weight is negative.
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
        Its arrays are read-only. Numbers that are float64 in the file are rounded to float32.

    Raises
    ------
    ManoError
        The file is missing, too large, truncated or not a pickle. It contains a name, type or opcode that MANO's file does not use. A
        key is missing or has another shape. Values are not finite or not in metres, or weights do not sum to 1. The joints have
        other parents. The file contains the left hand.
    """
    path = Path(path)
    if not path.is_file():
        raise ManoError(f"{path}: expected the MANO hand model, found no file; {WHERE.format(path=path)}")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ManoError(f"{path}: expected a file of at most {MAX_FILE_BYTES} bytes, found {size}; {WHERE.format(path=path)}")
    data = path.read_bytes()
    try:
        model = _build_model(load_pickle(data, _NAMES))
    except UnreadableError as error:
        raise ManoError(f"{path}: expected a complete pickle of MANO, found {error}; {WHERE.format(path=path)}") from None
    except ManoError as error:
        raise ManoError(f"{path}: {str(error)[:_LONGEST_MESSAGE]}; {WHERE.format(path=path)}") from None
    return replace(model, sha256=hashlib.sha256(data).hexdigest())


def _build_model(content):
    """Check the unpickled content of a file, and build the ManoModel from it, with an empty `sha256`. Raise ManoError if a check fails."""
    if not isinstance(content, dict):
        raise ManoError(f"expected a pickled dict, found {type(content).__name__}")
    arrays = {
        "v_template": _float_array(content, "v_template", (N_VERTICES, 3)),
        "shapedirs": _float_array(content, "shapedirs", (N_VERTICES, 3, N_BETAS)),
        "posedirs": _float_array(content, "posedirs", (N_VERTICES, 3, N_POSE_FEATURES)),
        "J_regressor": _float_array(content, "J_regressor", (N_ROTATIONS, N_VERTICES)),
        "weights": _float_array(content, "weights", (N_VERTICES, N_ROTATIONS)),
        "hands_mean": _float_array(content, "hands_mean", (45,)),
    }
    tree, faces = (_read_array(content, key, shape).astype(np.int64) for key, shape in (("kintree_table", (2, 16)), ("f", (N_FACES, 3))))
    parents = tuple(-1 if parent == 2**32 - 1 else int(parent) for parent in tree[0])
    if parents != MANO_PARENTS or tree[1].tolist() != list(range(N_ROTATIONS)):
        raise ManoError(
            f"kintree_table: expected the parents {MANO_PARENTS} of joints 0 to 15, found {parents} for joints {tree[1].tolist()}"
        )
    if faces.min() < 0 or faces.max() >= N_VERTICES:
        raise ManoError(f"f: expected vertex indices 0 to {N_VERTICES - 1}, found {faces.min()} to {faces.max()}")
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


def _float_array(content, key, shape):
    """Return the array of a key as float32. Raise ManoError if a number is not finite, and in the cases of `_read_array`."""
    array = _read_array(content, key, shape).astype(np.float32)
    if not np.isfinite(array).all():
        raise ManoError(f"{key}: expected finite numbers, found {np.count_nonzero(~np.isfinite(array))} that are infinite or NaN")
    return array


def _read_array(content, key, shape):
    """Return the array of a key. Raise ManoError if the key is missing, or its value is not an array of this shape."""
    if key not in content:
        keys = ", ".join(repr(k) for k in sorted(k for k in content if isinstance(k, str))) or "no key with a name"
        raise ManoError(f"expected the key {key}, found {keys}")
    try:
        array = _build_array(content[key])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ManoError(f"{key}: expected an array of shape {shape}, but its value is not readable: {error}") from None
    if array.shape != shape:
        raise ManoError(f"{key}: expected shape {shape}, found {array.shape}")
    return array


def _build_array(value):
    """Build the NumPy array that a `StandIn` of the pickle represents."""
    name = value.name if isinstance(value, StandIn) else type(value).__name__
    if name in _ARRAY:
        return _build_numpy_array(value)
    if name == _CHUMPY:
        return _build_array(value.state["x"])
    if name == _SELECTION:
        return (
            _build_array(value.state["a"]).ravel()[_read_indices(value.state["idxs"])].reshape(_read_shape(value.state["preferred_shape"]))
        )
    if name in _SPARSE:
        return _build_csc_array(value.state)
    raise ValueError(f"it is of the unsupported type {name}")


def _build_numpy_array(value):
    """Build an array from the state that NumPy pickles: (version, shape, dtype, is column-major, bytes)."""
    _, shape, dtype, column_major, raw = value.state
    (code, *_), (_, order, *rest) = dtype.args, dtype.state
    if code not in _DTYPES or order not in ("<", ">", "|") or any(part is not None for part in rest[:3]):
        raise ValueError(f"unsupported dtype {code!r} (byte order {order!r}); supported: {', '.join(sorted(_DTYPES))}")
    shape, raw, dtype = _read_shape(shape), _read_bytes(raw), np.dtype(order + code)
    if prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"expected {prod(shape) * dtype.itemsize} bytes for shape {shape} of dtype {code}, found {len(raw)}")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if column_major else "C")


def _build_csc_array(fields):
    """Build the dense array of a pickled CSC matrix. `indptr` gives the start of each column in `indices` (rows) and `data`."""
    shape = _read_shape(fields.get("_shape", fields.get("shape")))
    if shape != (N_ROTATIONS, N_VERTICES):
        raise ValueError(f"expected a sparse matrix of shape {(N_ROTATIONS, N_VERTICES)}, found {shape}")
    data, rows, starts = _build_array(fields["data"]), _read_indices(fields["indices"]), _read_indices(fields["indptr"])
    counts = np.diff(starts)
    if len(starts) != shape[1] + 1 or starts[0] != 0 or counts.min() < 0 or not len(data) == len(rows) == starts[-1]:
        raise ValueError("the column starts (indptr) of the sparse matrix do not fit its data")
    dense = np.zeros(shape)
    np.add.at(dense, (rows, np.repeat(np.arange(shape[1]), counts)), data)
    return dense


def _read_indices(value):
    """Return indices (n,) from an array or a list. Raise ValueError for negative indices, which would count from the end."""
    array = np.asarray(value) if isinstance(value, list) else _build_array(value)
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min(initial=0) < 0:
        raise ValueError("its indices are not all integers of at least 0")
    return array.astype(np.int64)


def _read_shape(value):
    """Return a shape as a tuple, such as (778, 3). Raise ValueError if a size is negative or not an integer."""
    if not isinstance(value, (tuple, list)) or not all(type(size) is int and size >= 0 for size in value):
        raise ValueError(f"expected a shape of non-negative integers, found {value!r}")
    return tuple(value)


def _read_bytes(value):
    """Return the bytes of a pickled value.

    A pickle contains them in one of three forms: bytes (Python 3), a Latin-1 string (Python 2), or a call of `_codecs.encode` (Python 3
    with a protocol of Python 2).
    """
    if isinstance(value, StandIn) and value.name == _ENCODED and len(value.args) == 2 and value.args[1] == "latin1":
        value = value.args[0]
    if isinstance(value, str):
        return value.encode("latin1")
    if isinstance(value, bytes):
        return value
    raise ValueError(f"expected its numbers as bytes, found the type {type(value).__name__}")
