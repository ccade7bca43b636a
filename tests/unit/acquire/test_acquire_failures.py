from datetime import UTC, datetime

import pytest
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError, UnsupportedError, UserNotLive

from handroll.acquire.failures import Failure, FetchFailed, causes_of, failure_of, plain_message, retry_after_s
from handroll.reasons import Reason


def wrapped(error):
    """As yt-dlp raises what an extractor raised."""
    try:
        raise error
    except type(error) as caught:
        return DownloadError(f"\x1b[0;31mERROR:\x1b[0m {caught}", (type(caught), caught, None))


def test_every_failure_is_a_reason_that_stops_the_motion():
    assert {Reason(failure).stops for failure in Failure} == {"motion"}
    assert all(failure.transient or not failure.again_now for failure in Failure)


@pytest.mark.parametrize(
    ("sentence", "failure"),
    [
        ("[youtube] x: Private video. Sign in if you've been granted access to this video", Failure.PRIVATE),
        ("[youtube] x: This video is private", Failure.PRIVATE),
        ("[youtube] x: Video unavailable. This video has been removed by the uploader", Failure.GONE),
        ("[youtube] x: Video unavailable", Failure.GONE),
        ("[youtube] x: This video is not available", Failure.GONE),
        (
            "[youtube] x: This video is no longer available because the YouTube account associated with it has been terminated.",
            Failure.GONE,
        ),
        ("[youtube] x: Video unavailable. The uploader has not made this video available in your country", Failure.GEO_BLOCKED),
        ("[youtube] x: Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies", Failure.THROTTLED),
        (
            "[youtube] x: The current session has been rate-limited by YouTube. This content isn't available, try again later",
            Failure.THROTTLED,
        ),
        ("[youtube] x: Sign in to confirm your age. This video may be inappropriate for some users.", Failure.NEEDS_LOGIN),
        ("[youtube] x: Join this channel to get access to members-only content like this video", Failure.NEEDS_LOGIN),
        ("[youtube] x: Premieres in 3 hours", Failure.LIVE),
        ("[youtube] x: This live event will begin in 2 days.", Failure.LIVE),
        ("[BiliBili] x: This is a supporter-only video: premium. Use --cookies-from-browser", Failure.NEEDS_LOGIN),
        ("[BiliBili] x: Request is blocked by server (412), please wait and try later.", Failure.THROTTLED),
        ("[BiliBili] x: This video may be deleted or geo-restricted.", Failure.GEO_BLOCKED),
        ("[x] x: This video is DRM protected", Failure.UNSUPPORTED),
        ("[x] x: Requested format is not available. Use --list-formats for a list", Failure.UNSUPPORTED),
        ("[x] x: Unable to extract player response", Failure.NOT_UNDERSTOOD),
    ],
)
def test_messages_of_sites(sentence, failure):
    found = failure_of(wrapped(ExtractorError(sentence, expected=True)))
    assert found.failure is failure and "\x1b" not in str(found) and "--cookies" not in str(found)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (GeoRestrictedError("not here"), Failure.GEO_BLOCKED),
        (UnsupportedError("https://x.org"), Failure.NOT_A_VIDEO),
        (UserNotLive(), Failure.LIVE),
        (ExtractorError("bad page", cause=KeyError("x")), Failure.NOT_UNDERSTOOD),
    ],
)
def test_classes_of_errors(error, failure):
    assert failure_of(wrapped(error)).failure is failure


def test_bugs_are_no_failures():
    assert failure_of(KeyError("x")) is None and failure_of(OSError(28, "No space left on device")) is None


def test_a_wrapped_failure_is_returned_unchanged():
    inner = FetchFailed(Failure.TOO_LARGE, "much")
    try:
        try:
            raise inner
        except FetchFailed as error:
            raise DownloadError("wrapped") from error
    except DownloadError as outer:
        assert failure_of(outer) is inner and causes_of(outer)[-1] is inner


def test_messages_are_plain():
    assert plain_message(wrapped(ExtractorError("a\n  b"))) == "a b" and plain_message(KeyError()) == "KeyError"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2026 07:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(header, seconds):
    assert retry_after_s(header, now=datetime(2026, 10, 21, 7, 28, tzinfo=UTC)) == seconds
