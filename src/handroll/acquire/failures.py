"""Classify exceptions of yt-dlp: list the reasons why a video is not available, and find the reason of an exception.

yt-dlp is imported only when an exception must be classified.
"""

import re
import traceback
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from handroll.text import printable

OK = "ok"
"""Status of a video that is downloaded or linked."""


class Failure(StrEnum):
    """Reason why a video is not available. Its value is also the value of a `handroll.reasons.Reason`, which describes it.

    Attributes
    ----------
    transient : bool
        Whether a later try may succeed. If so, the next run of the workflow tries again; otherwise the failure is final.
    again_now : bool
        Whether another try in the same run, after a wait, may succeed.
    """

    transient: bool
    again_now: bool

    def __new__(cls, value, transient, again_now):
        """Create a member from its value and its two attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.transient, member.again_now = transient, again_now
        return member

    SOURCE_MISSING = "source_missing", False, False
    SOURCE_EMPTY = "source_empty", False, False
    SOURCE_IS_FOLDER = "source_is_folder", False, False
    # This failure is transient, since permissions can change without a change of the file's size and time.
    SOURCE_LOCKED = "source_locked", True, False
    TOO_SHORT = "too_short", False, False
    TOO_LONG = "too_long", False, False
    GONE = "download_gone", False, False
    PRIVATE = "download_private", False, False
    GEO_BLOCKED = "download_geo_blocked", False, False
    NEEDS_LOGIN = "download_needs_login", False, False
    TOO_LARGE = "download_too_large", False, False
    NOT_A_VIDEO = "download_not_a_video", False, False
    IS_A_LIST = "download_is_a_list", False, False
    SHORTENED = "download_shortened", False, False
    REFUSED_ADDRESS = "download_refused_address", False, False
    UNSUPPORTED = "download_unsupported", False, False
    # The next two failures are transient: a live stream can be downloaded after its end, and a changed site after an update of yt-dlp.
    LIVE = "download_live", True, False
    NOT_UNDERSTOOD = "download_not_understood", True, False
    # This failure is not tried again in the same run, since the next try would be as slow.
    TOO_SLOW = "download_too_slow", True, False
    FORBIDDEN = "download_forbidden", True, True
    THROTTLED = "download_throttled", True, True
    SERVER_ERROR = "download_server_error", True, True
    NETWORK = "download_network", True, True
    INCOMPLETE = "download_incomplete", True, True


class FetchFailed(RuntimeError):
    """Raised if a video is not available.

    Attributes
    ----------
    failure : Failure
    wait_s : float or None
        Wait before the next try for which the site asks, s.
    """

    def __init__(self, failure, message, wait_s=None):
        super().__init__(printable(message))
        self.failure, self.wait_s = failure, wait_s


OF_HTTP_STATUS = {
    401: Failure.NEEDS_LOGIN,
    402: Failure.NEEDS_LOGIN,
    403: Failure.FORBIDDEN,
    404: Failure.GONE,
    407: Failure.NETWORK,
    408: Failure.NETWORK,
    410: Failure.GONE,
    # Bilibili sends 412 instead of 429 (too many requests).
    412: Failure.THROTTLED,
    # 416 means that a partial download is longer than the file. It is removed, and the next try starts from the beginning.
    416: Failure.INCOMPLETE,
    425: Failure.SERVER_ERROR,
    429: Failure.THROTTLED,
    451: Failure.GEO_BLOCKED,
}
"""Failure of each HTTP status (RFC 9110, 6585, 7725). Other statuses from 400 to 499 give `UNSUPPORTED`; all others give `SERVER_ERROR`."""

# Patterns of yt-dlp's error messages, since yt-dlp has no error classes for most failures. The first matching pattern counts. The order
# matters: the message about a private video also asks to sign in, and an "unavailable" video may be unavailable in one country only.
_PATTERNS = (
    (Failure.LIVE, r"premieres? in|live event will begin|not currently live|will begin (in|shortly)|has not started"),
    (
        Failure.THROTTLED,
        r"not a bot|too many requests|rate.?limit|unusual traffic|captcha|try again later|wait and try|request is (blocked|rejected)",
    ),
    (Failure.PRIVATE, r"private video|(video|content) is private|is set to private"),
    (Failure.GEO_BLOCKED, r"in your (country|region|location)|from your (country|region|location)|geo.?restrict|this country"),
    (
        Failure.NEEDS_LOGIN,
        r"\bsign.?in|\blog.?in\b|logged in|age.?restrict|confirm your age|members.?only|subscri(be|ption)|premium|purchase|payment"
        r"|authenticat|registered users",
    ),
    (
        Failure.GONE,
        r"video unavailable|video is unavailable|(video|content) is(n't| not| no longer) available|has been (removed|deleted|terminated)"
        r"|was (removed|deleted)|may be deleted|does(n't| not) exist|not exist|video not found|removed by|account .{0,60}terminated",
    ),
    (Failure.UNSUPPORTED, r"\bDRM\b|requested format is not available|no video formats found|unsupported features"),
    (Failure.NOT_A_VIDEO, r"unsupported url|no media found|no video found|holds no video"),
)
_PATTERNS = tuple((failure, re.compile(pattern, re.IGNORECASE)) for failure, pattern in _PATTERNS)


def causes_of(error):
    """Return a list of an exception and its causes, from the outermost to the innermost."""
    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        wrapped = getattr(error, "exc_info", None)
        cause = getattr(error, "cause", None)
        cause = cause if isinstance(cause, BaseException) else None
        error = cause or (wrapped[1] if wrapped else None) or error.__cause__ or error.__context__
    return chain


def plain_message(error):
    """Return an exception's message without terminal colours and yt-dlp's own advice; its class name if the message is empty."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).removeprefix("ERROR: ")
    text = re.split(r"; please report this issue| Use --cookies|\. See +https?://github\.com/yt-dlp", text)[0]
    # The text may come from a server, so control characters are escaped.
    return printable(" ".join(text.split())) or type(error).__name__


def failure_of(error, extracted=False):
    """Return the FetchFailed that describes an exception of yt-dlp.

    Parameters
    ----------
    error : Exception
    extracted : bool
        Whether the site has returned a description of the video before the exception. If so, a missing file counts as a server error,
        because the video exists.

    Returns
    -------
    FetchFailed or None
        None for all other exceptions, such as a bug or an error of the disk.
    """
    from yt_dlp.networking.exceptions import HTTPError, RequestError, TransportError
    from yt_dlp.utils import ContentTooShortError, ExtractorError, GeoRestrictedError, UnsupportedError, UserNotLive, YoutubeDLError

    causes = causes_of(error)
    known = next((cause for cause in causes if isinstance(cause, FetchFailed)), None)
    if known is not None:
        return known
    if not any(isinstance(cause, YoutubeDLError) for cause in causes):
        # yt-dlp does not catch the exceptions of all malformed answers, such as a Content-Length that is not a number.
        is_answer = isinstance(error, ValueError | TypeError | LookupError | AttributeError) and _raised_in_yt_dlp(error)
        return FetchFailed(Failure.NOT_UNDERSTOOD, f"{type(error).__name__}: {plain_message(error)}") if is_answer else None
    message = " <- ".join(dict.fromkeys(plain_message(cause) for cause in causes if isinstance(cause, YoutubeDLError)))
    http = next((cause for cause in causes if isinstance(cause, HTTPError)), None)
    matched = next((failure for failure, pattern in _PATTERNS if pattern.search(message)), None)
    if http is not None:
        failure = _failure_of_status(http.status, matched, extracted)
        return FetchFailed(failure, message, wait_s=retry_after_s(http.response.headers.get("Retry-After")))
    for kind, failure in (
        (UserNotLive, Failure.LIVE),
        (GeoRestrictedError, Failure.GEO_BLOCKED),
        (UnsupportedError, Failure.NOT_A_VIDEO),
        (ContentTooShortError, Failure.INCOMPLETE),
        (TransportError, Failure.NETWORK),
    ):
        if any(isinstance(cause, kind) for cause in causes):
            return FetchFailed(failure, message)
    if matched is None:
        of_site = any(isinstance(cause, (ExtractorError, RequestError)) for cause in causes)
        matched = Failure.NOT_UNDERSTOOD if of_site else Failure.INCOMPLETE
    return FetchFailed(matched, message)


def _raised_in_yt_dlp(error):
    """Return whether code of yt-dlp raised an exception."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__", "").split(".")[0] == "yt_dlp"


def _failure_of_status(status, matched, extracted):
    """Return the Failure of an HTTP status.

    `matched`: Failure whose pattern in `_PATTERNS` matches the message, or None. `extracted`: see `failure_of`.
    """
    if status == 403 and matched is not None:
        return matched
    if extracted and status in (404, 410):
        return Failure.SERVER_ERROR
    if status in OF_HTTP_STATUS:
        return OF_HTTP_STATUS[status]
    # A status below 400 is a redirect that leads nowhere or in a circle.
    return Failure.SERVER_ERROR if status >= 500 or status < 400 else Failure.UNSUPPORTED


def retry_after_s(header, now=None):
    """Return the wait in a `Retry-After` header (RFC 9110, 10.2.3: seconds or a date), s; None if it is missing or not readable.

    `now`: current time, a datetime with a time zone; default: the system clock.
    """
    text = (header or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())
