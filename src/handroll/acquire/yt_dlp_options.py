"""Options of yt-dlp that hold for listing and for downloading."""

import io
import logging

from handroll.acquire.failures import plain_message

LOGGER = logging.getLogger("handroll")

SOCKET_TIMEOUT_S = 30.0
"""A connection that sends nothing for this long counts as lost (s)."""


class _Logger:
    """Send yt-dlp's messages to handroll's log, without the cookies."""

    def __init__(self, cookies):
        self._cookies = cookies

    def debug(self, text):
        """Ignore details; yt-dlp sends its `info` level here, too."""

    info = debug

    def warning(self, text):
        """Log a warning."""
        LOGGER.warning("yt-dlp: %s", self._cookies.redact(plain_message(text)))

    def error(self, text):
        """Ignore an error: yt-dlp raises it as well."""


def yt_dlp_options(cookies, pace):
    """Options of `yt_dlp.YoutubeDL`, as a dict.

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
        # handroll waits between tries, as long as the site asks for; yt-dlp's own retries would multiply the number of tries.
        "retries": 0,
        "extractor_retries": 0,
        "fragment_retries": 0,
        "skip_unavailable_fragments": False,
    }
    if cookies.text:
        # In memory: yt-dlp writes cookies back to where it read them.
        options["cookiefile"] = io.StringIO(cookies.text)
    return options
