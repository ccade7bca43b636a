"""yt-dlp, with its requests kept to where they may go: checked addresses, bounded pages, downloads continued only of the same file."""

import functools
import http.client
import io
import logging
import re
import urllib.error
import urllib.parse
import urllib.request
import zlib
from contextlib import contextmanager

import yt_dlp
from yt_dlp.networking._helper import add_accept_encoding_header
from yt_dlp.networking._urllib import HTTPHandler, ProxyHandler, RedirectHandler, UrllibResponseAdapter, UrllibRH
from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, RequestError
from yt_dlp.utils.networking import select_proxy

from handroll.acquire.addresses import AddressRefused
from handroll.acquire.failures import Failure, FetchFailed, plain_message
from handroll.acquire.slow import watched

LOGGER = logging.getLogger("handroll")

PAGE_BYTES = 64 * 1024**2
"""Largest page that is read whole; the largest of YouTube's are a few megabytes. Downloads are read in blocks and do not count."""

SOCKET_TIMEOUT_S = 30.0
"""Silence on a connection after which it counts as lost."""

PROTOCOLS = ("http", "https", "m3u8", "m3u8_native", "http_dash_segments")
"""yt-dlp's names of the protocols that it speaks itself, through the handlers here. The others would hand the address to FFmpeg."""

CODINGS = ("gzip", "deflate")
"""Compressions of pages that are unpacked (RFC 9110, 8.4.1)."""

_VALIDATORS = ("ETag", "Last-Modified")


class RefusedRequest(RequestError):
    """A request that is not made; yt-dlp passes it on unchanged, while it turns other exceptions into its own."""


def refusal(error):
    """An AddressRefused as what yt-dlp lets through, carrying the failure."""
    return RefusedRequest(str(error), cause=FetchFailed(Failure.REFUSED_ADDRESS, str(error)))


class PageTooLarge(RequestError):
    """A page does not end within `PAGE_BYTES`."""

    def __init__(self, url):
        message = f"{url}: expected a page of at most {PAGE_BYTES // 1024**2} MB, found no end of it"
        super().__init__(message, cause=FetchFailed(Failure.TOO_LARGE, message))


class TooSlow(RequestError):
    """A server sends next to nothing."""

    def __init__(self, message):
        super().__init__(message, cause=FetchFailed(Failure.TOO_SLOW, message))


class GatedHandler(HTTPHandler):
    """Opens connections through a gate, and unpacks compressed answers only up to `PAGE_BYTES`."""

    def __init__(self, gate, proxies, **options):
        super().__init__(**options)
        self._gate, self._proxies = gate, proxies

    def http_open(self, req):
        """Open a request for http."""
        return self.do_open(self._connection(http.client.HTTPConnection, req), req)

    def https_open(self, req):
        """Open a request for https."""
        return self.do_open(self._connection(http.client.HTTPSConnection, req), req, context=self._context)

    def _connection(self, base, req):
        """The maker of a connection, once the address is checked."""
        by_proxy = select_proxy(req.full_url, self._proxies) is not None
        try:
            self._gate.check(req.full_url, by_proxy)
        except AddressRefused as error:
            raise refusal(error) from error

        def connect(address, timeout=None, source_address=None):
            try:
                return self._gate.connect(address, timeout, source_address)
            except AddressRefused as error:
                raise refusal(error) from error

        def make(*arguments, **options):
            connection = self._make_conn_class(base, req)(*arguments, **options)
            connection.response_class = watched(TooSlow)
            # A connection to a proxy leads to where the person pointed it; what is asked of the proxy is checked above.
            if not by_proxy:
                connection._create_connection = connect
            return connection

        return make

    def http_response(self, req, resp):
        """Unpack what the server packed, though not asked to; yt-dlp itself would read it without an end."""
        coding = (resp.headers.get("Content-Encoding") or "").strip().lower()
        if coding not in CODINGS:
            return resp
        packed = resp.read(PAGE_BYTES + 1)
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | (16 if coding == "gzip" else 0))
        try:
            page = unpacker.decompress(packed, PAGE_BYTES + 1)
        except zlib.error as error:
            raise urllib.error.URLError(f"{coding} answer cannot be unpacked: {error}") from error
        if max(len(packed), len(page)) > PAGE_BYTES:
            raise PageTooLarge(req.full_url)
        if not unpacker.eof:
            raise urllib.error.URLError(f"{coding} answer ends too early")
        found = urllib.request.addinfourl(io.BytesIO(page), resp.headers, resp.url, resp.code)
        found.msg = resp.msg
        return found

    https_response = http_response


class GatedRedirects(RedirectHandler):
    """Follows redirects to http and https only; where they lead is checked when they are opened."""

    def http_error_302(self, req, fp, code, msg, headers):
        """Follow one."""
        place = urllib.parse.urljoin(req.full_url, headers.get("Location") or headers.get("URI") or "")
        if urllib.parse.urlsplit(place).scheme.lower() not in ("http", "https"):
            raise refusal(AddressRefused(f"{req.full_url}: leads on to {place}, expected http or https"))
        # urllib would read the answer to its end first, which it may not have.
        fp.read = lambda *_: b""
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class BoundedResponse(UrllibResponseAdapter):
    """An answer whose whole is read only up to `PAGE_BYTES`."""

    def read(self, amt=None):
        """As a file's; raises PageTooLarge for a page without end."""
        if amt is not None and amt >= 0:
            return super().read(amt)
        data = super().read(PAGE_BYTES + 1)
        if len(data) > PAGE_BYTES:
            raise PageTooLarge(self.url)
        # Unlike a read without an end, one of so many bytes does not tell that some are missing.
        if missing := getattr(self.fp, "length", None):
            raise IncompleteRead(partial=len(data), expected=missing)
        return data


class GatedRH(UrllibRH):
    """The only handler of requests: http and https, through the gate.

    A download that goes on where another ended asks for the rest only of the same version of the file (If-Range, RFC 9110, 13.1.5).
    """

    RH_NAME = "gated"
    _SUPPORTED_URL_SCHEMES = ("http", "https")

    def __init__(self, *, downloader, **options):
        super().__init__(**options)
        self._downloader = downloader

    def _create_instance(self, proxies, cookiejar, legacy_ssl_support=None):
        opener = urllib.request.OpenerDirector()
        opener.addheaders = []
        for handler in (
            ProxyHandler(proxies),
            GatedHandler(self._downloader.gate, proxies, context=self._make_sslcontext(legacy_ssl_support=legacy_ssl_support)),
            urllib.request.HTTPCookieProcessor(cookiejar),
            urllib.request.UnknownHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            GatedRedirects(),
        ):
            opener.add_handler(handler)
        return opener

    def _prepare_headers(self, _, headers):
        add_accept_encoding_header(headers, CODINGS)

    def _send(self, request):
        # yt-dlp asks for the whole file with the same headers, where a server does not know the rest: the Range must not stay in them.
        shared, request = request.headers, request.copy()
        shared.pop("Range", None)
        partial = self._downloader.partial
        # Not for downloads in chunks, whose ranges have an end: some servers answer those with the whole file then.
        rest = re.fullmatch(r"bytes=[1-9]\d*-", request.headers.get("Range") or "")
        if partial is not None and rest and (version := partial.version_of(request.url)):
            request.headers["If-Range"] = version
        try:
            response = super()._send(request)
        except HTTPError as error:
            error.response.__class__ = BoundedResponse
            raise
        if not (response.headers.get("Content-Length") or "0").isdecimal():
            # http.client reads to the end then; yt-dlp would take it for a number.
            del response.headers["Content-Length"]
        version = next((response.headers[name] for name in _VALIDATORS if response.headers.get(name)), None)
        # A weak ETag does not promise the same bytes, so it must not be sent back.
        if partial is not None and not (version or "").startswith("W/"):
            partial.note_version(request.url, version)
        # In place: an answer wrapped anew would be closed with the wrapper around it.
        response.__class__ = BoundedResponse
        return response


class Reporter:
    """What yt-dlp says, in handroll's log, without the cookies."""

    def __init__(self, cookies):
        self._cookies = cookies

    def debug(self, text):
        """Chatter, also of the level above: not logged."""

    info = debug

    def warning(self, text):
        """Logged."""
        LOGGER.warning("yt-dlp: %s", self._cookies.redact(plain_message(text)))

    def error(self, text):
        """Not logged: it is raised, too, and told from there."""


class Downloader(yt_dlp.YoutubeDL):
    """yt-dlp whose requests all go through a gate.

    Parameters
    ----------
    options : dict
        Of `yt_dlp.YoutubeDL`, over those that hold for all of handroll's use.
    gate : handroll.acquire.addresses.Gate
    cookies : handroll.acquire.cookies.Cookies
    pace : handroll.acquire.back_off.Pace

    Attributes
    ----------
    partial : handroll.acquire.resume.Partial or None
        Set while files are downloaded: takes note of their versions.
    """

    partial = None

    def __init__(self, options, gate, cookies, pace):
        self.gate = gate
        common = {
            "quiet": True,
            "noprogress": True,
            "cachedir": False,
            "socket_timeout": SOCKET_TIMEOUT_S,
            "sleep_interval_requests": pace.pause_s,
            # The waits between tries are handroll's own.
            "retries": 0,
            "extractor_retries": 0,
            "fragment_retries": 0,
            "skip_unavailable_fragments": False,
            "logger": Reporter(cookies),
            # A text in memory: yt-dlp writes cookies back to where it has them from.
            **({"cookiefile": io.StringIO(cookies.text)} if cookies.text else {}),
        }
        super().__init__({**common, **options})

    def build_request_director(self, handlers, preferences=None):
        """As yt-dlp's, with the gated handler in place of all others."""
        return super().build_request_director([functools.partial(GatedRH, downloader=self)])


@contextmanager
def no_ffmpeg_downloads():
    """Keep yt-dlp from handing an address to FFmpeg, which would ask it past the gate."""
    from yt_dlp.downloader.external import FFmpegFD

    def refuse(*_):
        raise FetchFailed(Failure.UNSUPPORTED, "the stream can be downloaded by FFmpeg only, which handroll does not let ask addresses")

    kept = FFmpegFD.__dict__.get("real_download"), FFmpegFD.__dict__.get("available")
    FFmpegFD.real_download, FFmpegFD.available = refuse, lambda *_: False
    try:
        yield
    finally:
        for name, value in zip(("real_download", "available"), kept, strict=True):
            if value is None:
                delattr(FFmpegFD, name)
            else:
                setattr(FFmpegFD, name, value)
