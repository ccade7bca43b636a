"""Display untrusted text safely, such as file names, table cells and server responses: shorten long values, escape control characters."""

import re
import reprlib

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Control characters (C0, DEL and C1 of ISO/IEC 6429). Terminals execute sequences of them as commands."""

MAX_LENGTH = 200
"""Maximum length of a quoted value, in characters; the middle of a longer value is left out."""

# `repr` with limited length and depth.
_BOUNDED = reprlib.Repr()
_BOUNDED.maxstring = _BOUNDED.maxother = _BOUNDED.maxlong = MAX_LENGTH

# Limit the depth, since a few lines of YAML with aliases can describe a value of unlimited depth.
_BOUNDED.maxlevel = 3


def short_repr(value):
    """Return a shortened `repr(value)`: texts and numbers have at most about `MAX_LENGTH` characters; long or deep lists are shortened."""
    return _BOUNDED.repr(value)


def printable(text):
    """Return a text with control characters escaped, such as `\\x1b`. Line breaks and tabs are not escaped."""
    return CONTROL.sub(lambda match: match[0] if match[0] in "\n\t" else f"\\x{ord(match[0]):02x}", str(text))
