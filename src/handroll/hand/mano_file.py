"""Reading MANO_RIGHT.pkl without running anything in it, and without chumpy or SciPy.

The released file (v1.2) is a Python-2 pickle of NumPy arrays, a SciPy CSC matrix and one chumpy object, `shapedirs`. A pickle can
call whatever its reader lets it import, and NumPy's own unpickling can be led to read foreign memory. So every name in the file
stands for an inert box that keeps what it was given; the few arrays that are needed are then built from the boxes' plain bytes,
with their types and sizes checked. Names, types and opcodes that a MANO file has no use for are refused before anything is read.
"""

import hashlib
import io
import pickle
import pickletools
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from handroll.hand.mano import MANO_PARENTS, N_BETAS, N_FACES, N_POSE_FEATURES, N_VERTICES, TIP_VERTICES, ManoError, ManoModel
from handroll.hand.skeleton import N_ROTATIONS

VERSION = 1
"""Raised by hand when the same file gives another hand."""

MAX_FILE_BYTES = 64 * 2**20
"""A released file has 3.8 MB."""

MAX_OPCODES = 50_000
"""A released file has some hundreds, and 24 thousand if its longest index were a list. It also bounds how deep values can nest."""

_LONGEST_MESSAGE = 500  # letters of what was found, which the file may have made long

WHERE = "get MANO_RIGHT.pkl (v1.2) from https://mano.is.tue.mpg.de, under MANO's own licence, and put it at {path}"

# Those that reach outside the file or call by other ways than by a name of `_NAMES`; protocol 5 adds buffers from outside.
_REFUSED = {"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEWOBJ_EX"}
_OPCODES = {opcode.name for opcode in pickletools.opcodes if opcode.proto <= 4} - _REFUSED
_MEMO_WRITES = {"PUT", "BINPUT", "LONG_BINPUT"}
_DTYPES = {"f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}
_AHEAD_M = 0.03
# A left hand's fingertips all lie further along +x than its wrist, by more than this; a right hand's lie some 0.15 m the other way.
_LARGEST_M = 1.0
# Of a coordinate: no hand is that large in metres, and every hand is in millimetres.
_SHARE_ERROR = 1e-3


class _Box:
    """An object that does nothing but keep what the pickle gives it."""

    def __new__(cls, *args):
        box = super().__new__(cls)
        box.args, box.state = args, None
        return box

    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        self.state = state

    @property
    def fields(self):
        """The state as a dict of attributes; empty where it is none."""
        return self.state if isinstance(self.state, dict) else {}


class _Array(_Box):
    """`numpy.core.multiarray._reconstruct` or `numpy.ndarray`: a NumPy array."""


class _Dtype(_Box):
    """`numpy.dtype`."""


class _Encoded(_Box):
    """`_codecs.encode`: bytes, as Python 3 writes them for Python 2."""


class _Sparse(_Box):
    """`scipy.sparse` CSC matrix."""


class _Ch(_Box):
    """`chumpy.ch.Ch`: a value under `x`."""


class _Select(_Box):
    """`chumpy.reordering.Select`: elements `idxs` of `a`, in shape `preferred_shape`."""


class _Set(_Box):
    """A Python set, of chumpy's bookkeeping."""


_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encoded,
    ("scipy.sparse.csc", "csc_matrix"): _Sparse,
    ("scipy.sparse._csc", "csc_matrix"): _Sparse,
    ("chumpy.ch", "Ch"): _Ch,
    ("chumpy.reordering", "Select"): _Select,
    ("__builtin__", "set"): _Set,
    ("builtins", "set"): _Set,
}
"""Every (module, name) that may stand in the file, and the box it becomes. No code of those modules runs."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"the name {module}.{name}, which no MANO file has")
        return _NAMES[module, name]

    def persistent_load(self, pid):
        raise pickle.UnpicklingError("a reference to something outside the file")


def read_mano(path):
    """MANO's right hand from its released file, in the chumpy layout or saved again without chumpy.

    Parameters
    ----------
    path : path
        MANO_RIGHT.pkl.

    Returns
    -------
    ManoModel
        Arrays are read-only; numbers that the file holds as float64 are rounded to float32.

    Raises
    ------
    ManoError
        No file; too large; cut off or no pickle; a name, type or opcode that no MANO file has (nothing of it is run); a key that is
        missing or not of its shape; values that are not finite, no metres or no weights; another tree of joints; the left hand.
    """
    path = Path(path)
    if not path.is_file():
        raise ManoError(f"{path}: expected the MANO hand model, found no file; {WHERE.format(path=path)}")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ManoError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {size}; {WHERE.format(path=path)}")
    data = path.read_bytes()
    try:
        model = _model(_load(data))
    except ManoError as error:
        raise ManoError(f"{path}: {str(error)[:_LONGEST_MESSAGE]}; {WHERE.format(path=path)}") from None
    return replace(model, sha256=hashlib.sha256(data).hexdigest())


def _load(data):
    """The file's dict, of plain values and boxes."""
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if opcode.name not in _OPCODES:
                raise pickle.UnpicklingError(f"the opcode {opcode.name}, which no MANO file has")
            if count > MAX_OPCODES or (opcode.name in _MEMO_WRITES and int(argument) > MAX_OPCODES):
                raise pickle.UnpicklingError(f"more than {MAX_OPCODES} opcodes")
        content = _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:
        # A broken pickle raises whatever it stumbles over: EOFError, ValueError, TypeError, KeyError, AttributeError.
        raise ManoError(f"expected a whole pickle of MANO, found one that can't be read: {error or type(error).__name__}") from None
    if not isinstance(content, dict):
        raise ManoError(f"expected a pickled dict, found {type(content).__name__}")
    return content


def _model(content):
    """The checked model of a file's content, without its hash."""
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
    if np.abs(sums - 1.0).max() > _SHARE_ERROR or arrays["weights"].min() < -_SHARE_ERROR:
        found = f"sums of {sums.min():.4g} to {sums.max():.4g}, least weight {arrays['weights'].min():.4g}"
        raise ManoError(f"weights: expected rows of shares that sum to 1, found {found}")
    _check_hand(arrays["v_template"], arrays["J_regressor"])
    faces = faces.astype(np.int32)
    for array in (*arrays.values(), faces):
        array.setflags(write=False)
    *first, hands_mean = arrays.values()
    return ManoModel(*first, parents, faces, hands_mean, "")


def _check_hand(template_m, joint_regressor):
    """Raise ManoError for a left hand, whose fingers point along +x, and for a template that is not in metres."""
    if np.abs(template_m).max() > _LARGEST_M:
        raise ManoError(f"v_template: expected a hand in metres, found coordinates up to {np.abs(template_m).max():.4g}")
    ahead = template_m[list(TIP_VERTICES), 0] - joint_regressor[0] @ template_m[:, 0]
    if ahead.min() > _AHEAD_M:
        raise ManoError("v_template: expected the right hand, fingers along -x, found its mirror image, the left hand (MANO_LEFT.pkl)")


def _floats(content, key, shape):
    """The finite float32 array of a key."""
    array = _value(content, key, shape).astype(np.float32)
    if not np.isfinite(array).all():
        raise ManoError(f"{key}: expected finite numbers, found {np.count_nonzero(~np.isfinite(array))} that are not")
    return array


def _value(content, key, shape):
    """The array of a key, if it is there and of its shape."""
    if key not in content:
        raise ManoError(f"expected the key {key}, found only {sorted(k for k in content if isinstance(k, str))}")
    try:
        array = _dense(content[key])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ManoError(f"{key}: expected an array of shape {shape}, found one that can't be read: {error}") from None
    if array.shape != shape:
        raise ManoError(f"{key}: expected shape {shape}, found {array.shape}")
    return array


def _dense(value):
    """The NumPy array that a box stands for."""
    if isinstance(value, _Array):
        return _array(value)
    if isinstance(value, _Ch):
        return _dense(value.fields["x"])
    if isinstance(value, _Select):
        return _dense(value.fields["a"]).ravel()[_whole(value.fields["idxs"])].reshape(_shape(value.fields["preferred_shape"]))
    if isinstance(value, _Sparse):
        return _dense_columns(value.fields)
    raise ValueError(f"a {type(value).__name__.lstrip('_')}")


def _array(box):
    """The array of NumPy's pickled state: version, shape, dtype, column-major, bytes."""
    _, shape, dtype, column_major, raw = box.state
    (code, *_), (_, order, *rest) = dtype.args, dtype.state
    if code not in _DTYPES or order not in ("<", ">", "|") or any(part is not None for part in rest[:3]):
        raise ValueError(f"the type {code!r}, {order!r}")
    shape, raw, dtype = _shape(shape), _bytes(raw), np.dtype(order + code)
    if prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"{len(raw)} bytes for shape {shape} of {code}")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if column_major else "C")


def _dense_columns(fields):
    """A CSC matrix written out; `indptr` tells where in `indices` (rows) and `data` each column begins."""
    shape = _shape(fields.get("_shape", fields.get("shape")))
    if shape != (N_ROTATIONS, N_VERTICES):
        raise ValueError(f"a matrix of shape {shape}")
    data, rows, starts = _dense(fields["data"]), _whole(fields["indices"]), _whole(fields["indptr"])
    counts = np.diff(starts)
    if len(starts) != shape[1] + 1 or starts[0] != 0 or counts.min() < 0 or not len(data) == len(rows) == starts[-1]:
        raise ValueError("a matrix whose columns don't add up")
    dense = np.zeros(shape)
    np.add.at(dense, (rows, np.repeat(np.arange(shape[1]), counts)), data)
    return dense


def _whole(value):
    """Indices (n,) from an array or a list; none below 0, so that none counts from the end."""
    array = np.asarray(value) if isinstance(value, list) else _dense(value)
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min(initial=0) < 0:
        raise ValueError("indices that are not whole numbers from 0")
    return array.astype(np.int64)


def _shape(value):
    """A tuple of sizes; (778,) and the like, never negative."""
    if not isinstance(value, (tuple, list)) or not all(type(size) is int and size >= 0 for size in value):
        raise ValueError(f"the shape {value!r}")
    return tuple(value)


def _bytes(value):
    """Bytes as Python 3 stores them, as Python 2 did (a string of Latin-1), or as Python 3 does for Python 2 (encoded)."""
    if isinstance(value, _Encoded) and len(value.args) == 2 and value.args[1] == "latin1":
        value = value.args[0]
    if isinstance(value, str):
        return value.encode("latin1")
    if isinstance(value, bytes):
        return value
    raise ValueError(f"numbers in a {type(value).__name__.lstrip('_')}")
