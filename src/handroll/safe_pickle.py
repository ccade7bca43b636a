"""Read files that contain pickles without running any code in them: plain pickles and files of `torch.save`.

A pickle can import any function and call it. These readers import nothing that a file names. They replace objects of the named classes by
inert objects, `StandIn`, or reject the file. They do not check the content; `handroll.state_dicts` and the callers do."""

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
"""Maximum number of opcodes of a plain pickle. MANO's file has some hundreds of opcodes, or 24 thousand if its longest index is stored as a
list. The limit also restricts the depth of nesting."""

# Maximum length of an error message, characters: it may quote text of the file.
_LONGEST_MESSAGE = 300

# Rejected opcodes: they refer to objects outside the file, or call a function without `find_class`.
_REJECTED_OPCODES = {"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEWOBJ_EX"}

# Allowed opcodes of a plain pickle. Protocol 5 is excluded, since it adds buffers from outside the file.
_OPCODES = {opcode.name for opcode in pickletools.opcodes if opcode.proto <= 4} - _REJECTED_OPCODES

# Opcodes that store an object under a number. A large number would allocate much memory.
_MEMO_WRITES = {"PUT", "BINPUT", "LONG_BINPUT"}

# First bytes of a file of torch.save before PyTorch 1.6: the pickled magic number (`torch.serialization.MAGIC_NUMBER`).
_LEGACY_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."


class UnreadableError(ValueError):
    """Raised for a file that cannot be read. The message is what was found, such as "an empty file". Callers put it
    after "expected ..., found"."""


class StandIn:
    """An inert replacement for an object of a class that is not imported. It accepts every operation of a pickle and runs no code of the
    file.

    Attributes
    ----------
    name : str
        Full name of the class or function in the file, such as "scipy.sparse.csc.csc_matrix".
    args : tuple
        Arguments with which the pickle creates the object.
    state : object
        State that the pickle gives the object; None without a state.
    """

    name = ""

    def __new__(cls, *args, **kwargs):  # noqa: D102 (stores the arguments)
        stand_in = super().__new__(cls)
        stand_in.args, stand_in.state = args, None
        return stand_in

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args, **kwargs):  # noqa: D102 (for a pickle that calls the result of a call)
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


def _new_stand_in(name):
    """Return a new subclass of `StandIn` for the name of a class or function.

    Each use gets its own class, so that a pickle that changes the class does not affect other files.
    """
    return type("StandIn", (StandIn,), {"name": name})


def load_pickle(data, names):
    """Load a plain pickle that may contain only the given names of classes and functions.

    Parameters
    ----------
    data : bytes
    names : collection of str
        Allowed full names of classes and functions, such as "numpy.ndarray". None of them is imported.

    Returns
    -------
    object
        Plain Python values, and a `StandIn` in place of each object of an allowed name. Strings of Python 2 are decoded as Latin-1.

    Raises
    ------
    UnreadableError
        The pickle is damaged or too long, or it contains a name or an opcode that is not allowed.
    """

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if f"{module}.{name}" not in names:
                raise pickle.UnpicklingError(f"found the name {module}.{name}, which this format does not use")
            return _new_stand_in(f"{module}.{name}")

    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if opcode.name not in _OPCODES:
                raise pickle.UnpicklingError(f"found the opcode {opcode.name}, which this format does not use")
            if count > MAX_OPCODES or (opcode.name in _MEMO_WRITES and int(argument) > MAX_OPCODES):
                raise pickle.UnpicklingError(f"expected at most {MAX_OPCODES} opcodes, found more")
        return Unpickler(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:
        # A damaged pickle may raise many kinds of exceptions: EOFError, ValueError, TypeError, KeyError, AttributeError.
        raise UnreadableError(f"a pickle that cannot be read: {_first_line(error)}") from None


def load_torch(path, mapped=False, checksums=True):
    """Load a file of `torch.save` with `torch.load(weights_only=True)`.

    torch.load rejects a file that contains objects of other classes than tensors and plain values, such as the configuration of a training.
    If such a file is a zip archive, it is loaded again with a `StandIn` in place of each of these objects.

    Parameters
    ----------
    path : path
    mapped : bool
        Whether to map the tensors of a zip archive into memory instead of reading them. The file must not change while the tensors are
        used.
    checksums : bool
        Whether to verify the checksums of a zip archive, which reads the whole file.

    Returns
    -------
    object
        Content of the file, with tensors in CPU memory.

    Raises
    ------
    UnreadableError
        The file is missing, empty, truncated, damaged, or of another kind, such as a web page. Or it has the format before PyTorch 1.6
        and contains objects of other classes.
    """
    import torch

    path = Path(path)
    try:
        zipped = _is_zip(path)
        if zipped and checksums:
            _check_checksums(path)
        with warnings.catch_warnings():
            # These warnings are about formats and pickles that are rejected or loaded again below.
            warnings.filterwarnings("ignore", module=r"torch\.|handroll\.safe_pickle")
            try:
                return torch.load(path, map_location="cpu", mmap=mapped and zipped, weights_only=True)
            except pickle.UnpicklingError:
                # torch.load rejects a TorchScript archive with another exception, so it is not loaded again.
                if not zipped:
                    raise
                return torch.load(path, map_location="cpu", mmap=mapped, weights_only=False, pickle_module=_TENSORS_ONLY)
    except UnreadableError:
        raise
    except OSError as error:
        raise UnreadableError(f"a file that cannot be read ({error})") from error
    # A damaged or hostile pickle can make the unpickler fail in any way.
    except Exception as error:
        raise UnreadableError(_describe_rejection(error)) from error


class _TensorUnpickler(pickle.Unpickler):
    """Unpickler for `torch.load` that allows ordered dictionaries and plain tensors. Every other name becomes a `StandIn`.

    It returns new functions for each use, so that a pickle that changes a function does not affect other files. torch.load handles the
    names of storages itself.
    """

    def find_class(self, module, name):
        from torch import _utils

        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *args: _utils._rebuild_tensor_v2(*args)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda *args: _utils._rebuild_parameter(*args)
        return _new_stand_in(f"{module}.{name}")


def _reject_legacy(*args, **kwargs):
    """Reject a file in the format before PyTorch 1.6: torch.load calls this replacement of `pickle.load` only for that format."""
    raise pickle.UnpicklingError("the legacy torch.save format (before PyTorch 1.6); save the weights again with a newer PyTorch")


# Argument `pickle_module` of torch.load.
_TENSORS_ONLY = SimpleNamespace(
    __name__="tensors_only", Unpickler=_TensorUnpickler, load=_reject_legacy, UnpicklingError=pickle.UnpicklingError
)


def _is_zip(path):
    """Return whether a torch file is a zip archive, the format since PyTorch 1.6. Raise UnreadableError for any other kind of file."""
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
        found = "a gzip archive; unpack it with `tar xf`"
    elif head.startswith(b"version https://git-lfs"):
        found = "a Git LFS pointer instead of the file; run `git lfs pull`"
    elif head.startswith(b"PK"):
        found = f"a truncated file: its end is missing ({size:,} bytes)"
    else:
        found = f"a file that torch.save has not written ({size:,} bytes, its first bytes are {head[:8]!r})"
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


def _describe_rejection(error):
    """Describe a file that torch.load rejects with `error`. PyTorch's own message is not used: it recommends an unsafe way to load."""
    if code := re.search(r"GLOBAL (\S+)", str(error)):
        return f"a file that refers to the Python code {code[1][:100]}, which was not run"
    if "weights_only" in str(error):
        return "a file that torch.save has not written"
    return f"a damaged file, or one that torch cannot read ({_first_line(error)})"


def _first_line(error):
    """Return the first line of an exception's message; its class name if the message is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:_LONGEST_MESSAGE]
