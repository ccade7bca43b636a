"""Cookies for sites that ask for a login: from a file that the environment names, held in memory, and never shown."""

import os
from dataclasses import dataclass, field
from pathlib import Path

ENVIRONMENT_VARIABLE = "HANDROLL_COOKIES"
"""Names the file of cookies (Netscape format). An environment variable, so that neither params nor logs nor metadata hold it."""

_FIELDS = 7
"""Tab-separated fields of a cookie: domain, subdomains too, path, https only, expiry, name, value (curl.se/docs/http-cookies.html)."""

_HTTP_ONLY = "#HttpOnly_"
_SHORTEST_SECRET = 4
"""Shorter values, such as `1`, tell nothing, and striking them out would spoil the rest of a message."""


class CookieFileError(ValueError):
    """The file that the environment names cannot be used; the message holds nothing of what is in it."""


@dataclass(frozen=True)
class Cookies:
    """Cookies of a file.

    Attributes
    ----------
    text : str
        The file's cookies; empty where there are none. Not in the `repr`.
    secrets : tuple of str
        Their values, the longest first; not in the `repr`.
    """

    text: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def redact(self, text):
        """A text with every cookie's value struck out."""
        for secret in self.secrets:
            text = text.replace(secret, "[cookie]")
        return text


def read_cookies(environment=os.environ):
    """The cookies of the file that `HANDROLL_COOKIES` names; none where it names none.

    The file is only read: yt-dlp writes what sites answer back to a text in memory instead.

    Raises
    ------
    CookieFileError
        There is no such file, or not a line of it is a cookie.
    """
    name = environment.get(ENVIRONMENT_VARIABLE)
    if not name:
        return Cookies()
    try:
        lines = Path(name).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "not UTF-8 text"
        raise CookieFileError(
            f"{ENVIRONMENT_VARIABLE}: expected the name of a file of cookies, found: {problem}; export the cookies again or unset it"
        ) from None
    entries = [line for line in lines if line.strip() and (not line.startswith("#") or line.startswith(_HTTP_ONLY))]
    # Only whole entries go on: yt-dlp would print the others.
    whole = [line for line in entries if len(line.split("\t")) == _FIELDS and _is_expiry(line.split("\t")[4])]
    if not whole:
        raise CookieFileError(
            f"{ENVIRONMENT_VARIABLE}: expected a file of cookies in Netscape format (seven tab-separated fields a line), "
            f"found {len(entries)} lines that are none"
        )
    values = {line.split("\t")[6].strip() for line in whole}
    secrets = sorted((value for value in values if len(value) >= _SHORTEST_SECRET), key=lambda value: (-len(value), value))
    return Cookies("# Netscape HTTP Cookie File\n" + "\n".join(whole) + "\n", tuple(secrets))


def _is_expiry(text):
    return not text or text.replace(".", "", 1).isdecimal()
