"""Read files that contain pickles without running any code in them: plain pickles and files of `torch.save`.

A pickle can import any function and call it. Here no name of a file is imported. A name stands for an inert object, a `StandIn`, or
the file is rejected. The readers say nothing about the content: `handroll.state_dicts` and the callers check it.
"""

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

MAX_OPCODES = 50_000
"""Limit of a plain pickle. MANO's file has some hundreds, or 24 thousand if its longest index is a list. It also limits nesting."""

_LONGEST_MESSAGE = 300  # characters of an error that the file may have made long

_CALLS_BY_OTHER_WAYS = {"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEWOBJ_EX"}
"""Opcodes that refer to something outside the file, or that call a function without `find_class`."""

_OPCODES = {opcode.name for opcode in pickletools.opcodes if opcode.proto <= 4} - _CALLS_BY_OTHER_WAYS
"""Allowed opcodes of a plain pickle. Protocol 5 adds buffers from outside the file."""

_MEMO_WRITES = {"PUT", "BINPUT", "LONG_BINPUT"}

_LEGACY_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""First bytes of a file of torch.save before PyTorch 1.6: its pickled magic number (`torch.serialization.MAGIC_NUMBER`)."""


class UnreadableError(ValueError):
    """A file cannot be read. The message says what was found, as the end of a sentence: "an empty file"."""


class StandIn:
    """An inert object in place of a foreign one. It accepts everything that a pickle does to an object and runs nothing.

    Attributes
    ----------
    name : str
        Full name of the foreign class or function, such as "scipy.sparse.csc.csc_matrix".
    args : tuple
        Arguments of the call that made it.
    state : object
        What the pickle restores it from; None without a state.
    """

    name = ""

    def __new__(cls, *args, **kwargs):  # noqa: D102 (keeps the arguments)
        stand_in = super().__new__(cls)
        stand_in.args, stand_in.state = args, None
        return stand_in

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args, **kwargs):  # noqa: D102 (for a call of what a call returned)
        return type(self)(*args)

    def __setstate__(self, state):
        self.state = state

    def __setitem__(self, key, value):
        pass

    def append(self, item):
        """Accept an item of a list and discard it."""

    def extend(self, items):
        """Accept items of a list and discard them."""

    def add(self, item):
        """Accept an item of a set and discard it."""


def _stand_in(name):
    """Return a new class of stand-ins. One for each use: a pickle that changes a class changes no other file's."""
    return type("StandIn", (StandIn,), {"name": name})


def load_pickle(data, names):
    """Load a plain pickle in which only the given names may occur.

    Parameters
    ----------
    data : bytes
    names : collection of str
        Allowed full names of classes and functions, such as "numpy.ndarray". None of them is imported.

    Returns
    -------
    object
        Plain Python values, and a `StandIn` for each object of an allowed name. Strings of Python 2 are decoded as Latin-1.

    Raises
    ------
    UnreadableError
        The pickle is damaged or too long, or it contains a name or an opcode that is not allowed.
    """

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if f"{module}.{name}" not in names:
                raise pickle.UnpicklingError(f"the name {module}.{name}, which this format does not use")
            return _stand_in(f"{module}.{name}")

    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if opcode.name not in _OPCODES:
                raise pickle.UnpicklingError(f"the opcode {opcode.name}, which this format does not use")
            if count > MAX_OPCODES or (opcode.name in _MEMO_WRITES and int(argument) > MAX_OPCODES):
                raise pickle.UnpicklingError(f"more than {MAX_OPCODES} opcodes")
        return Unpickler(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:
        # A damaged pickle raises many kinds of errors: EOFError, ValueError, TypeError, KeyError, AttributeError.
        raise UnreadableError(f"a pickle that cannot be read: {_text(error)}") from None


def load_torch(path, mapped=False, checksums=True):
    """Load a file of `torch.save` by `torch.load(weights_only=True)`.

    Where that rejects a zip archive because its pickle names foreign classes, such as the configuration of a training, each foreign
    name becomes a `StandIn`.

    Parameters
    ----------
    path : path
    mapped : bool
        Map the tensors of a zip archive into memory instead of reading them. The file must not change while they are used.
    checksums : bool
        Compare the bytes of a zip archive with its checksums. This reads the whole file.

    Returns
    -------
    object

    Raises
    ------
    UnreadableError
        There is no file; it is empty, truncated, damaged, or of another kind, such as a web page; or it is of the format before
        PyTorch 1.6 and names foreign classes.
    """
    import torch

    path = Path(path)
    try:
        zipped = _is_zip(path)
        if zipped and checksums:
            _check_checksums(path)
        with warnings.catch_warnings():
            # About formats and pickles that are rejected or read again below.
            warnings.filterwarnings("ignore", module=r"torch\.|handroll\.safe_pickle")
            try:
                return torch.load(path, map_location="cpu", mmap=mapped and zipped, weights_only=True)
            except pickle.UnpicklingError:
                # A TorchScript archive never comes here: torch.load rejects it by another error.
                if not zipped:
                    raise
                return torch.load(path, map_location="cpu", mmap=mapped, weights_only=False, pickle_module=_TENSORS_ONLY)
    except UnreadableError:
        raise
    except OSError as error:
        raise UnreadableError(f"a file that cannot be read ({error})") from error
    # A damaged or hostile pickle can make the unpickler fail in any way.
    except Exception as error:
        raise UnreadableError(_problem(error)) from error


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler for `torch.load` that knows ordered dictionaries and plain tensors. Every other name becomes a stand-in.

    It returns new functions for each file, so that a pickle that changes what it received changes nothing else. torch.load replaces
    the names of storages before they reach this class.
    """

    def find_class(self, module, name):
        from torch import _utils

        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *args: _utils._rebuild_tensor_v2(*args)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda *args: _utils._rebuild_parameter(*args)
        return _stand_in(f"{module}.{name}")


def _reject_legacy(*args, **kwargs):
    """Replace `pickle.load`, which torch.load calls only for files from before PyTorch 1.6."""
    raise pickle.UnpicklingError("a file from before PyTorch 1.6")


_TENSORS_ONLY = SimpleNamespace(
    __name__="tensors_only", Unpickler=_TensorUnpickler, load=_reject_legacy, UnpicklingError=pickle.UnpicklingError
)
"""The `pickle_module` of torch.load."""


def _is_zip(path):
    """Return whether a torch file is a zip archive (since PyTorch 1.6); raise UnreadableError if it is no torch file."""
    if not path.exists():
        raise UnreadableError("no file")
    if not path.is_file():
        raise UnreadableError("a folder instead of a file")
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(512)
        if zipfile.is_zipfile(file):
            return True
    if head.startswith(_LEGACY_TORCH):
        return False
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        found = "an empty file"
    elif text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        found = "a web page, which a download returns when it fails or asks for confirmation"
    elif head.startswith(b"\x1f\x8b"):
        found = "a gzip archive; unpack it (tar xf)"
    elif head.startswith(b"version https://git-lfs"):
        found = "a Git LFS pointer instead of the file (git lfs pull)"
    elif head.startswith(b"PK"):
        found = f"a truncated file: its end is missing ({size:,} bytes)"
    else:
        found = f"no torch file ({size:,} bytes, beginning with {head[:8]!r})"
    raise UnreadableError(found)


def _check_checksums(path):
    """Raise UnreadableError if an entry of a zip archive does not match its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        damaged = str(error)
    if damaged is not None:
        raise UnreadableError(f"a damaged file ({damaged})")


def _problem(error):
    """Describe a file that torch.load rejects, without PyTorch's advice to load it unsafely."""
    if code := re.search(r"GLOBAL (\S+)", str(error)):
        return f"a file that names the Python code {code[1][:100]}; none of it was run"
    if "weights_only" in str(error):
        return "a file that torch.save has not written"
    return f"a damaged file, or one that torch cannot read ({_text(error)})"


def _text(error):
    """Return the first line of an error's message, or its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:_LONGEST_MESSAGE]
