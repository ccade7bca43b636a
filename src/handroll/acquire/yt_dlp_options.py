"""Build the options of yt-dlp that are common to listing and downloading."""

import io
import logging

from handroll.acquire.failures import plain_message

LOGGER = logging.getLogger("handroll")

SOCKET_TIMEOUT_S = 30.0
"""Time without received data after which a connection counts as lost, s."""


class _Logger:
    """Logger for yt-dlp that writes its warnings to handroll's log, without cookies."""

    def __init__(self, cookies):
        self._cookies = cookies

    def debug(self, text):
        """Ignore a message of the level debug or info."""

    info = debug

    def warning(self, text):
        """Log a warning."""
        LOGGER.warning("yt-dlp: %s", self._cookies.redact(plain_message(text)))

    def error(self, text):
        """Ignore an error message, since yt-dlp also raises the error as an exception."""


def yt_dlp_options(cookies, pace):
    """Return options for `yt_dlp.YoutubeDL`, a dict.

    Parameters
    ----------
    cookies : handroll.acquire.cookies.Cookies
    pace : handroll.acquire.back_off.Pace
    """
    options = {
        "quiet": True,
        "noprogress": True,
        "cachedir": False,
        "logger": _Logger(cookies),
        "socket_timeout": SOCKET_TIMEOUT_S,
        "sleep_interval_requests": pace.pause_s,
        # handroll tries again itself, after the wait for which the site asks. yt-dlp's own retries would multiply the number of tries.
        "retries": 0,
        "extractor_retries": 0,
        "fragment_retries": 0,
        "skip_unavailable_fragments": False,
    }
    if cookies.text:
        # yt-dlp reads the cookies from memory, because it writes cookies back to the file from which it has read them.
        options["cookiefile"] = io.StringIO(cookies.text)
    return options
