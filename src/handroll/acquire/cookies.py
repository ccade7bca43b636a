"""Read cookies for sites that ask for a login. An environment variable contains the path of the cookie file.

Cookies are kept in memory only, and are removed from all messages.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

ENVIRONMENT_VARIABLE = "HANDROLL_COOKIES"
"""Environment variable with the path of the cookie file (Netscape format). The path does not appear in
parameters of rules, in logs or in metadata."""

# Number of tab-separated fields of a cookie: domain, include subdomains, path, https only, expiry, name, value
# (curl.se/docs/http-cookies.html).
_FIELDS = 7

# First characters of a line with a cookie that scripts of a page cannot read. Other lines that start with `#` are comments.
_HTTP_ONLY = "#HttpOnly_"

# Minimum number of characters of a cookie's value that is removed from messages. Shorter values, such as `1`, are not secret, and also
# occur in messages for other reasons.
_MIN_SECRET_LENGTH = 4


class CookieFileError(ValueError):
    """Raised for a cookie file that is not usable; the message contains nothing of the file's content."""


@dataclass(frozen=True)
class Cookies:
    """Cookies of a file.

    Attributes
    ----------
    text : str
        Cookies in Netscape format; empty without cookies. Not part of the `repr`.
    secrets : tuple of str
        Values of the cookies, the longest first. Not part of the `repr`.
    """

    text: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def redact(self, text):
        """Return a text in which every value of a cookie is replaced by `[cookie]`."""
        for secret in self.secrets:
            text = text.replace(secret, "[cookie]")
        return text


def read_cookies(environment=os.environ):
    """Read the cookie file whose path is in `HANDROLL_COOKIES`; return no cookies if the variable is not set.

    The file is never written. New cookies from sites are kept in memory only.

    Returns
    -------
    Cookies

    Raises
    ------
    CookieFileError
        The file is missing or not readable, or contains no cookie.
    """
    name = environment.get(ENVIRONMENT_VARIABLE)
    if not name:
        return Cookies()
    try:
        lines = Path(name).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "not UTF-8 text"
        raise CookieFileError(
            f"{ENVIRONMENT_VARIABLE}: cannot read the cookie file: {problem}; export the cookies again or unset the variable"
        ) from None
    entries = [line for line in lines if line.strip() and (not line.startswith("#") or line.startswith(_HTTP_ONLY))]
    # Incomplete entries are removed, since yt-dlp would print them.
    complete = [line for line in entries if len(line.split("\t")) == _FIELDS and _is_expiry(line.split("\t")[4])]
    if not complete:
        raise CookieFileError(
            f"{ENVIRONMENT_VARIABLE}: expected a cookie file in Netscape format (seven tab-separated fields a line), "
            f"found no complete cookie in {len(entries)} lines; export the cookies again"
        )
    values = {line.split("\t")[6].strip() for line in complete}
    secrets = sorted((value for value in values if len(value) >= _MIN_SECRET_LENGTH), key=lambda value: (-len(value), value))
    return Cookies("# Netscape HTTP Cookie File\n" + "\n".join(complete) + "\n", tuple(secrets))


def _is_expiry(text):
    """Return whether a text is the expiry time of a cookie: empty or a number of seconds."""
    return not text or text.replace(".", "", 1).isdecimal()
