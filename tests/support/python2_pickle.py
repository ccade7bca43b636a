"""Write pickles as Python 2 did (protocol 2, byte strings, text names), of objects whose classes need not be installed.

Python 3 cannot write this layout: it does not write byte strings that Python 2 reads as `str`, and it imports every class that it
names. `pickletools` documents the opcodes.
"""

import struct
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Instance:
    """An object to write: its class by name, and the dict of its attributes."""

    module: str
    name: str
    state: dict


def python2_dumps(value):
    """Pickle None, bools, ints, texts, bytes, tuples, lists, dicts, sets, NumPy arrays and `Instance`s, nested in any way.

    Returns
    -------
    bytes
    """
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value):
    """Return opcodes that push the value on the stack."""
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        if -(2**31) <= value < 2**31:
            return b"J" + struct.pack("<i", value)
        raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw
    if isinstance(value, (str, bytes)):
        raw = value.encode("latin1") if isinstance(value, str) else value
        return (b"U" + bytes([len(raw)]) if len(raw) < 256 else b"T" + struct.pack("<i", len(raw))) + raw
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_opcodes, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(_opcodes, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(_opcodes(key) + _opcodes(item) for key, item in value.items()) + b"u"
    if isinstance(value, set):
        return _name("__builtin__", "set") + _opcodes((sorted(value),)) + b"R"
    if isinstance(value, np.ndarray):
        empty = _name("numpy.core.multiarray", "_reconstruct") + b"(" + _name("numpy", "ndarray") + _opcodes((0,)) + _opcodes("b") + b"tR"
        code, order = value.dtype.str[1:], value.dtype.str[0]
        dtype = _name("numpy", "dtype") + _opcodes((code, 0, 1)) + b"R" + _opcodes((3, order, None, None, None, -1, -1, 0)) + b"b"
        return empty + b"(" + _opcodes(1) + _opcodes(value.shape) + dtype + _opcodes(False) + _opcodes(value.tobytes()) + b"tb"
    if isinstance(value, Instance):
        return _name(value.module, value.name) + b")\x81" + _opcodes(value.state) + b"b"
    raise TypeError(f"expected a value that Python 2 can read, found {type(value).__name__}")


def _name(module, name):
    """Return the opcode of a name."""
    return f"c{module}\n{name}\n".encode("ascii")
