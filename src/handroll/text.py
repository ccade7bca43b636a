"""Text from outside (file names, cells, answers of servers) as messages and logs show it: short, without control characters."""

import re
import reprlib

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Control characters (C0, DEL and C1 of ISO/IEC 6429): terminals take sequences of them as commands."""

LONGEST = 200
"""Longest value that a message quotes, in characters; the middle of a longer one is left out."""

_BOUNDED = reprlib.Repr()
_BOUNDED.maxstring = _BOUNDED.maxother = _BOUNDED.maxlong = LONGEST
# Values of YAML may be nested without bounds, by a few lines with aliases.
_BOUNDED.maxlevel = 3


def shown(value):
    """A value as Python writes it, in at most about `LONGEST` characters for a text or number; of long or deep lists the beginning."""
    return _BOUNDED.repr(value)


def plain(text):
    """A text with its control characters as escapes, such as `\\x1b`; line breaks and tabs stay."""
    return CONTROL.sub(lambda match: match[0] if match[0] in "\n\t" else f"\\x{ord(match[0]):02x}", str(text))
