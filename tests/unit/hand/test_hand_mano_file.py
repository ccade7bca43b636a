"""Reading MANO_RIGHT.pkl: both layouts, clear errors, and no code in the file is run (see also test_safe_pickle.py)."""

import os
import pickle
import pickletools
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from handroll.hand import mano_file
from handroll.hand.kinematics import MIRROR
from handroll.hand.mano import ManoError
from handroll.hand.mano_file import read_mano
from handroll.provenance import file_sha256
from support.python2_pickle import Instance, python2_dumps
from support.toy_mano import synthetic_mano, write_mano_pickle

OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "hamer" / "tiny" / "data" / "mano"


@pytest.fixture(scope="module")
def model():
    return synthetic_mano(5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "MANO_RIGHT.pkl"


def same(first, second):
    return all(
        np.array_equal(a, b) and getattr(a, "dtype", None) == getattr(b, "dtype", None)
        for a, b in ((getattr(first, f.name), getattr(second, f.name)) for f in fields(first) if f.name != "sha256")
    )


@pytest.mark.parametrize("layout", ["plain", "chumpy"])
def test_what_was_written_is_read(model, path, layout):
    write_mano_pickle(path, model, layout)
    found = read_mano(path)
    assert same(found, model) and found.sha256 == file_sha256(path)
    assert not any(getattr(found, f.name).flags.writeable for f in fields(found) if f.name not in ("parents", "sha256"))


def test_the_written_layout_has_the_released_names(model, path):
    write_mano_pickle(path, model, "chumpy")
    names = {tuple(arg.split(" ")) for op, arg, _ in pickletools.genops(path.read_bytes()) if op.name == "GLOBAL"}
    assert names == {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("__builtin__", "set"),
        ("scipy.sparse.csc", "csc_matrix"),
        ("chumpy.ch", "Ch"),
        ("chumpy.reordering", "Select"),
    }


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="files of the released layout are not in the repository")
def test_files_of_both_layouts_made_elsewhere_are_the_same():
    assert same(read_mano(OFFICIAL / "MANO_RIGHT.pkl"), read_mano(OFFICIAL / "chumpy_like" / "MANO_RIGHT.pkl"))


def test_a_missing_file_says_where_to_get_it(path):
    with pytest.raises(ManoError, match=r"found no file.*https://mano\.is\.tue\.mpg\.de.*MANO_RIGHT\.pkl$"):
        read_mano(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9999])
def test_a_file_cut_off(model, path, share):
    write_mano_pickle(path, model)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ManoError, match=r"MANO_RIGHT\.pkl: expected a complete pickle.*get MANO_RIGHT"):
        read_mano(path)


def test_another_kind_of_file(path):
    path.write_bytes(b"<html>Please log in</html>")
    with pytest.raises(ManoError, match="expected a complete pickle"):
        read_mano(path)
    path.write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(ManoError, match="expected a pickled dict, found list"):
        read_mano(path)


def test_a_file_that_is_too_large_is_not_read(model, path, monkeypatch):
    write_mano_pickle(path, model)
    monkeypatch.setattr(mano_file, "MAX_FILE_BYTES", 1_000_000)
    with pytest.raises(ManoError, match="at most 1000000 bytes, found 38"):
        read_mano(path)


def content(model):
    """The plain layout's dict, to be spoilt."""
    tree = np.array([[parent % 2**32 for parent in model.parents], range(16)], dtype=np.uint32)
    return {
        "v_template": model.template_m,
        "shapedirs": model.shape_directions,
        "posedirs": model.pose_directions,
        "J_regressor": model.joint_regressor,
        "weights": model.weights,
        "hands_mean": model.hands_mean,
        "kintree_table": tree,
        "f": model.faces,
    }


def test_a_dense_regressor_and_float32_are_read(model, path):
    path.write_bytes(pickle.dumps(content(model), protocol=4))
    assert same(read_mano(path), model)


@pytest.mark.parametrize("key", ["v_template", "shapedirs", "posedirs", "J_regressor", "weights", "hands_mean", "kintree_table", "f"])
def test_missing_keys_and_wrong_shapes_are_named(model, path, key):
    spoilt = content(model)
    whole = spoilt.pop(key)
    for change, message in (
        ({}, f"expected the key {key}"),
        ({key: whole[:-1]}, f"{key}: expected shape"),
        ({key: "text"}, f"{key}: .*str"),
    ):
        path.write_bytes(pickle.dumps({**spoilt, **change}, protocol=4))
        with pytest.raises(ManoError, match=message):
            read_mano(path)


@pytest.mark.parametrize(
    ("key", "index", "value", "message"),
    [
        ("v_template", (3, 1), np.nan, "v_template: expected finite numbers, found 1"),
        ("posedirs", (3, 1, 2), np.inf, "posedirs: expected finite"),
        ("v_template", (3, 1), 120.0, "v_template: expected a hand in metres, found coordinates up to 120"),
        ("weights", (7, 0), 3.0, "weights: expected rows that sum to 1"),
        ("f", (5, 2), 778, "f: expected vertex indices 0 to 777, found 0 to 778"),
        ("kintree_table", (0, 4), 3, "kintree_table: expected the parents"),
        ("kintree_table", (1, 4), 3, "kintree_table: expected the parents"),
    ],
)
def test_values_that_are_no_hand_are_named(model, path, key, index, value, message):
    spoilt = content(model)
    spoilt[key] = spoilt[key].copy()
    spoilt[key][index] = value
    path.write_bytes(pickle.dumps(spoilt, protocol=4))
    with pytest.raises(ManoError, match=message):
        read_mano(path)


def test_the_left_hand_is_refused(model, path):
    write_mano_pickle(path, replace(model, template_m=model.template_m * MIRROR.astype(np.float32)))
    with pytest.raises(ManoError, match=r"expected the right hand.*found its mirror image, the left hand"):
        read_mano(path)


class Run:
    """An object whose pickle creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_functions_beside_the_arrays_are_not_run(model, path, tmp_path):
    path.write_bytes(pickle.dumps({"more": Run(tmp_path / "trace"), **content(model)}, protocol=2))
    with pytest.raises(ManoError, match=r"posix\.system, which this format does not use"):
        read_mano(path)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("place", ["x", "a", "idxs", "_dirty_vars"])
def test_functions_inside_chumpy_are_not_run(model, path, tmp_path, place):
    call = Instance("posix", "system", {"command": f"touch {tmp_path / 'trace'}"})
    inner = Instance("chumpy.ch", "Ch", {"x": call if place == "x" else np.zeros((778, 3, 20))})
    state = {"a": inner, "idxs": np.arange(23340), "preferred_shape": (778, 3, 10), "_dirty_vars": set()}
    if place != "x":
        state[place] = call
    path.write_bytes(python2_dumps({**content(model), "shapedirs": Instance("chumpy.reordering", "Select", state)}))
    with pytest.raises(ManoError, match=r"posix\.system, which this format does not use"):
        read_mano(path)
    assert not (tmp_path / "trace").exists()


def test_objects_inside_arrays_are_refused(model, path, tmp_path):
    objects = np.empty((778, 3), dtype=object)
    for fill, message in ((0, r"v_template: .*unsupported dtype 'O8'"), (Run(tmp_path / "trace"), r"posix\.system")):
        objects[:] = fill
        path.write_bytes(pickle.dumps({**content(model), "v_template": objects}, protocol=2))
        with pytest.raises(ManoError, match=message):
            read_mano(path)
    assert not (tmp_path / "trace").exists()


def box(module, name, arguments, state):
    """Opcodes of a call of a name with a state, in Python 2's way."""
    call = f"c{module}\n{name}\n".encode() + python2_dumps(arguments)[2:-1] + b"R"
    return call + python2_dumps(state)[2:-1] + b"b"


def forged_array(dtype_arguments, dtype_state, shape, raw):
    """A file whose v_template is an array of a made-up type."""
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + python2_dumps((0,))[2:-1] + b"U\x01btR"
    dtype = box("numpy", "dtype", dtype_arguments, dtype_state)
    state = b"(" + b"K\x01" + python2_dumps(shape)[2:-1] + dtype + b"\x89" + python2_dumps(raw)[2:-1] + b"t"
    return b"\x80\x02}(U\nv_template" + reconstruct + state + b"bu."


@pytest.mark.parametrize(
    ("arguments", "state", "shape", "raw"),
    [
        (("O8", 0, 1), (3, "|", None, None, None, -1, -1, 0), (778, 3), b"A" * 18672),  # object pointers from bytes, without the flag
        (("V8", 0, 1), (3, "|", None, ("a",), {"a": 1}, 8, 1, 0), (778, 3), b"A" * 18672),
        (("f8", 0, 1), (3, "<", (1, 2), None, None, -1, -1, 0), (778, 3), b"A" * 18672),
        (("f8", 0, 1), (3, "<", None, None, None, -1, -1, 0), (2**40,), b""),  # a type that is known, but a size of terabytes
        (("f8", 0, 1), (3, "<", None, None, None, -1, -1, 0), (-1, 3), b""),
        (("f8", 0, 1), (3, "<", None, None, None, -1, -1, 0), (778, 3), b"A" * 8),
        (("f8", 0, 1), None, (778, 3), b"A" * 18672),
    ],
)
def test_forged_arrays_are_refused(path, arguments, state, shape, raw):
    path.write_bytes(forged_array(arguments, state, shape, raw))
    with pytest.raises(ManoError, match="v_template: expected an array of shape"):
        read_mano(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_shape": (16, 2**40)}, "expected a sparse matrix of shape"),
        ({"indices": np.full(16, 16)}, "out of bounds"),
        ({"indices": np.full(16, -1)}, "indices"),
        ({"indptr": np.full(779, 99)}, r"the column starts \(indptr\) of the sparse matrix do not fit its data"),
        ({"indptr": np.zeros((778, 2), int)}, "indices"),
    ],
)
def test_forged_sparse_matrices_are_refused(model, path, change, message):
    state = {"_shape": (16, 778), "indptr": np.minimum(np.arange(779), 16), "indices": np.arange(16), "data": np.ones(16), **change}
    path.write_bytes(python2_dumps({**content(model), "J_regressor": Instance("scipy.sparse.csc", "csc_matrix", state)}))
    with pytest.raises(ManoError, match=f"J_regressor: .*{message}"):
        read_mano(path)


def test_a_value_that_holds_itself_is_refused(path):
    """chumpy.Ch whose x is itself, by way of the memo."""
    path.write_bytes(b"\x80\x02}(U\nv_templatecchumpy.ch\nCh\n)\x81q\x00}(U\x01xh\x00ubu.")
    with pytest.raises(ManoError, match="v_template: .*recursion"):
        read_mano(path)


def test_deep_files_are_refused(path):
    for opcodes, message in (
        (b"\x80\x02})" + b"\x85" * 49_000 + b"Ns.", "expected the key"),  # tuples in tuples, as a key
        (b"\x80\x02}U\nv_template)" + b"\x85" * 49_000 + b"s.", "v_template: .*tuple"),
    ):
        path.write_bytes(opcodes)
        with pytest.raises(ManoError, match=message) as caught:
            read_mano(path)
        assert len(str(caught.value)) < 1500


def test_a_hostile_file_does_not_change_how_the_next_one_is_read(model, path):
    """It sets the state of a name itself, not of an object made from it."""
    path.write_bytes(b"\x80\x02cchumpy.ch\nCh\n}(U\x04nameK\x01ub.")
    with pytest.raises(ManoError, match="cannot be read"):
        read_mano(path)
    write_mano_pickle(path, model)
    assert same(read_mano(path), model)
