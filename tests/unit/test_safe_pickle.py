"""Untrusted pickles and torch files: read without running code; damaged and hostile ones give one kind of error."""

import copyreg
import io
import os
import pickle
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import torch

from handroll.safe_pickle import StandIn, UnreadableError, load_pickle, load_torch
from support.python2_pickle import Instance, python2_dumps


@pytest.fixture
def trace(tmp_path, monkeypatch):
    """A file that hostile pickles create when something of them runs. The test fails if it exists."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "trace"
    assert not (tmp_path / "trace").exists()


class Call:
    """An object whose pickle calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_the_hostile_object_of_these_tests_works(tmp_path):
    pickle.loads(pickle.dumps(Call(os.system, f"touch {tmp_path / 'trace'}")))
    assert (tmp_path / "trace").exists()


# Plain pickles.


def test_allowed_names_become_inert_objects():
    data = python2_dumps({"a": Instance("no.such", "Thing", {"x": 1}), "b": [1, "text", None]})
    content = load_pickle(data, {"no.such.Thing"})
    assert (content["a"].name, content["a"].args, content["a"].state) == ("no.such.Thing", (), {"x": 1})
    assert content["b"] == [1, "text", None]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("function", ["system", "eval", "getattr", "memmap"])
def test_functions_are_not_run(trace, protocol, function):
    call = {
        "system": Call(os.system, f"touch {trace}"),
        "eval": Call(eval, f"open({str(trace)!r}, 'w')"),
        "getattr": Call(getattr, np.ndarray, "tofile"),
        "memmap": Call(np.memmap, str(trace), "u1", "w+", 0, 8),
    }[function]
    with pytest.raises(UnreadableError, match="the name .*, which this format does not use"):
        load_pickle(pickle.dumps({"more": call, "array": 1.5}, protocol=protocol), {"numpy.ndarray"})


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        (b"\x80\x02U\x03outQ.", "BINPERSID"),
        (b"Pout\n.", "PERSID"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02\x83\x01\x00.", "EXT2"),
        (b"\x80\x02\x84\x01\x00\x00\x00.", "EXT4"),
        (b"(TOUCHiposix\nsystem\n.", "INST"),
        (b"(cposix\nsystem\nTOUCHo.", "OBJ"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (pickle.dumps(bytearray(9), protocol=5), "BYTEARRAY8"),
        (b"\x80\x02}r\xff\xff\xff\xff.", "opcodes"),  # a memo of 4 billion entries
        (b"N0" * 30_000 + b"}.", "at most 50000 opcodes, found more"),
        (b"\x80\x02X\x00\x00\x20\x00" + b"A" * 2**21 + b"h\x07.", "cannot be read"),
        (b"\x80\x02cchumpy.ch\nCh\n}(U\x04nameK\x01ub.", "cannot be read"),  # the state of a class, not of an object
        (b"<html>Please log in</html>", "cannot be read"),
        (pickle.dumps([1, 2, 3])[:-3], "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_hostile_and_damaged_pickles_are_one_short_error(trace, opcodes, message):
    copyreg.add_extension("posix", "system", 1)
    try:
        with pytest.raises(UnreadableError, match=message) as caught:
            load_pickle(opcodes.replace(b"TOUCH", python2_dumps(f"touch {trace}")[2:-1]), {"chumpy.ch.Ch"})
    finally:
        copyreg.remove_extension("posix", "system", 1)
    assert len(str(caught.value)) < 500
    assert StandIn.name == ""


# Torch files.


@pytest.fixture
def saved(tmp_path):
    """A function that writes a torch file, of the current or the older format, and returns its path."""

    def save(content, zipped=True):
        torch.save(content, tmp_path / "file.pt", _use_new_zipfile_serialization=zipped)
        return tmp_path / "file.pt"

    return save


def error_of(path):
    with pytest.raises(UnreadableError) as raised:
        load_torch(path)
    assert "weights_only" not in str(raised.value), "PyTorch's advice to load the file unsafely"
    return str(raised.value)


TENSOR = torch.arange(1000.0)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("mapped", [True, False])
def test_both_formats_are_read(saved, zipped, mapped):
    content = load_torch(saved({"a": {"b": TENSOR}, "epoch": 3}, zipped), mapped)
    assert torch.equal(content["a"]["b"], TENSOR) and content["epoch"] == 3


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no file"),
        (b"", "an empty file"),
        (b"\n<!DOCTYPE html><title>Google Drive - Virus scan warning</title>", "a web page"),
        (b"\x1f\x8b\x08" + bytes(100), "a gzip archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS"),
        (b"hello" * 100, "that torch.save has not written"),
        (pickle.dumps({"state_dict": {}}), "that torch.save has not written"),
    ],
)
def test_files_of_another_kind(tmp_path, content, found):
    if content is not None:
        (tmp_path / "file.pt").write_bytes(content)
    assert found in error_of(tmp_path / "file.pt")


def test_a_folder(tmp_path):
    assert "a folder" in error_of(tmp_path)


@pytest.mark.parametrize(("zipped", "found"), [(True, "truncated"), (False, "damaged")])
@pytest.mark.parametrize("share", [0.2, 0.9, 0.999])
def test_a_truncated_file(saved, zipped, found, share):
    path = saved({"a": TENSOR}, zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert found in error_of(path)


def test_a_flipped_bit(saved):
    path = saved({"a": TENSOR})
    data = bytearray(path.read_bytes())
    data[data.find(TENSOR.numpy().tobytes()) + 100] ^= 1
    path.write_bytes(data)
    assert "a damaged file" in error_of(path)


def test_a_zip_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "file.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "torch cannot read" in error_of(tmp_path / "file.pt")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_torchscript_archive(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "file.pt"))
    assert "torch.save has not written" in error_of(tmp_path / "file.pt")


class Config(dict):
    """A dictionary with attributes, as configurations of trainings are pickled."""

    def __init__(self, **entries):
        super().__init__(entries)
        self.frozen = True


class Listed(list):
    """A list of a class of its own."""


def test_foreign_objects_beside_the_tensors_are_neither_created_nor_run(saved, trace):
    hook = Call(os.system, f"touch {trace}")
    # Classes of this test, which a reader that imports would find.
    config = {"cfg": Config(lr=1e-4, sizes=Listed([1, 2])), "hook": hook, "when": np.datetime64("2024-01-01")}
    path = saved({"state_dict": {"a": TENSOR}, "hyper_parameters": config, "callbacks": {Call: 1, "set": {hook}}})
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    content = load_torch(path)
    assert torch.equal(content["state_dict"]["a"], TENSOR)
    assert isinstance(content["hyper_parameters"]["cfg"], StandIn) and content["hyper_parameters"]["hook"].name == "posix.system"


def test_foreign_code_in_a_file_of_the_older_format_is_named(saved, trace):
    path = saved({"a": TENSOR, "b": Call(os.system, f"touch {trace}")}, zipped=False)
    assert "refers to the Python code posix.system, which was not run" in error_of(path)


def with_pickle(path, pickled):
    """Put other pickled bytes into a torch file."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    pickle_name = next(name for name in entries if name.endswith("data.pkl"))
    entries[pickle_name] = pickled
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, value in entries.items():
            archive.writestr(name, value)
    path.write_bytes(content.getvalue())


@pytest.mark.parametrize(
    "pickled",
    [
        # os.system by the oldest opcode, and by the newest.
        b"(S'touch trace'\nios\nsystem\n.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0btouch trace\x85R.",
        # A name with dots, which Python follows: torch's own module of os.
        b"\x80\x04\x8c\x13torch.serialization\x8c\x09os.system\x93\x8c\x0btouch trace\x85R.",
        # torch functions that load or run further files.
        b"\x80\x02ctorch\nload\nX\x05\x00\x00\x00trace\x85R.",
        # A call of what a call returned.
        b"\x80\x02c__builtin__\ngetattr\ncos\nos\nX\x06\x00\x00\x00system\x86RX\x0b\x00\x00\x00touch trace\x85R.",
        # A foreign object in place of a storage, and no end.
        b"\x80\x02(X\x07\x00\x00\x00storageccollections\nOrderedDict\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x05tQ.",
        b"\x80\x02}",
        b"",
    ],
)
def test_hostile_pickles_run_nothing(saved, pickled, trace):
    path = saved({"a": TENSOR})
    with_pickle(path, pickled)
    with suppress(UnreadableError):
        assert isinstance(load_torch(path), StandIn)
    assert not trace.exists()


def test_a_pickle_cannot_change_the_functions_that_it_uses(saved):
    # Sets the defaults of the function that rebuilds tensors, by the opcode that restores an object's state.
    pickled = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__K\x01\x85s\x86b."
    defaults = torch._utils._rebuild_tensor_v2.__defaults__
    path = saved({"a": TENSOR})
    with_pickle(path, pickled)
    load_torch(path)
    assert torch._utils._rebuild_tensor_v2.__defaults__ == defaults
