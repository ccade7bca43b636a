"""Read cookies for sites that ask for a login, from a file that the environment names. They stay in memory and out of all messages."""

import os
from dataclasses import dataclass, field
from pathlib import Path

ENVIRONMENT_VARIABLE = "HANDROLL_COOKIES"
"""Path of the cookie file (Netscape format). It is an environment variable so that no params, logs or metadata contain it."""

_FIELDS = 7
"""Tab-separated fields of a cookie: domain, include subdomains, path, https only, expiry, name, value
(curl.se/docs/http-cookies.html)."""

_HTTP_ONLY = "#HttpOnly_"
_MIN_SECRET_LENGTH = 4
"""Shorter values, such as `1`, are no secrets, and removing them would damage messages."""


class CookieFileError(ValueError):
    """The cookie file cannot be used; the message contains nothing of its content."""


@dataclass(frozen=True)
class Cookies:
    """Cookies of a file.

    Attributes
    ----------
    text : str
        Cookies in Netscape format; empty if there are none. Not in the `repr`.
    secrets : tuple of str
        Values of the cookies, the longest first. Not in the `repr`.
    """

    text: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def redact(self, text):
        """Replace every cookie's value in a text."""
        for secret in self.secrets:
            text = text.replace(secret, "[cookie]")
        return text


def read_cookies(environment=os.environ):
    """Read the cookies of the file that `HANDROLL_COOKIES` names; no cookies if the variable is not set.

    The file is never written: yt-dlp stores cookies from sites in memory.

    Raises
    ------
    CookieFileError
        The file does not exist or contains no cookie.
    """
    name = environment.get(ENVIRONMENT_VARIABLE)
    if not name:
        return Cookies()
    try:
        lines = Path(name).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "not UTF-8 text"
        raise CookieFileError(
            f"{ENVIRONMENT_VARIABLE}: expected the path of a cookie file, found: {problem}; export the cookies again or unset the variable"
        ) from None
    entries = [line for line in lines if line.strip() and (not line.startswith("#") or line.startswith(_HTTP_ONLY))]
    # yt-dlp would print incomplete entries.
    complete = [line for line in entries if len(line.split("\t")) == _FIELDS and _is_expiry(line.split("\t")[4])]
    if not complete:
        raise CookieFileError(
            f"{ENVIRONMENT_VARIABLE}: expected a cookie file in Netscape format (seven tab-separated fields a line), "
            f"found {len(entries)} other lines"
        )
    values = {line.split("\t")[6].strip() for line in complete}
    secrets = sorted((value for value in values if len(value) >= _MIN_SECRET_LENGTH), key=lambda value: (-len(value), value))
    return Cookies("# Netscape HTTP Cookie File\n" + "\n".join(complete) + "\n", tuple(secrets))


def _is_expiry(text):
    return not text or text.replace(".", "", 1).isdecimal()
