"""Safe display of foreign text, such as file names, cells and server responses: short, without control characters."""

import re
import reprlib

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Control characters (C0, DEL and C1 of ISO/IEC 6429); terminals execute sequences of them as commands."""

MAX_LENGTH = 200
"""Maximum length of a quoted value, in characters; the middle of a longer value is left out."""

_BOUNDED = reprlib.Repr()
_BOUNDED.maxstring = _BOUNDED.maxother = _BOUNDED.maxlong = MAX_LENGTH

# A few lines of YAML with aliases can describe a value of unlimited depth.
_BOUNDED.maxlevel = 3


def short_repr(value):
    """Return `repr(value)`, with texts and numbers cut to about `MAX_LENGTH` characters and long or deep lists cut short."""
    return _BOUNDED.repr(value)


def printable(text):
    """Return a text with its control characters as escapes, such as `\\x1b`; line breaks and tabs stay."""
    return CONTROL.sub(lambda match: match[0] if match[0] in "\n\t" else f"\\x{ord(match[0]):02x}", str(text))
