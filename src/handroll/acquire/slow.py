"""Connections that end where a server sends next to nothing for a minute: a byte a second would keep a job waiting for years."""

import http.client
import io
import time
import urllib.request

SLOW_S = 60.0
"""Time spent waiting for a server, s, in which at least `SLOW_BYTES` must arrive, or the answer must end."""

SLOW_BYTES = 60_000
"""1 kB/s: a hundredth of a slow mobile connection."""


class _Watched(io.RawIOBase):
    """What a socket receives, as a raw stream that raises where too little arrives.

    Only the time in which the stream waits counts: whoever reads slowly is no reason.
    """

    def __init__(self, raw, too_slow):
        self._raw, self._too_slow = raw, too_slow
        self._waited_s, self._received = 0.0, 0

    def readable(self):
        """True."""
        return True

    def readinto(self, buffer):
        """As of any raw stream."""
        started_s = time.monotonic()
        count = self._raw.readinto(buffer)
        self._waited_s += time.monotonic() - started_s
        self._received += count or 0
        if self._received >= SLOW_BYTES:
            self._waited_s, self._received = 0.0, 0
        elif self._waited_s > SLOW_S:
            raise self._too_slow(f"the server sent {self._received} bytes in {self._waited_s:.0f} s, expected at least {SLOW_BYTES}")
        return count

    def close(self):
        """Close the socket's stream, too."""
        self._raw.close()
        super().close()


def watched(too_slow):
    """The class of an HTTP response whose status, headers and content are watched.

    Parameters
    ----------
    too_slow : subclass of Exception
        Raised, with a message, where the server is too slow.

    Returns
    -------
    subclass of http.client.HTTPResponse
    """

    class Response(http.client.HTTPResponse):
        def __init__(self, sock, *arguments, **options):
            super().__init__(sock, *arguments, **options)
            # Unbuffered below, so that the time of each wait is known.
            self.fp.close()
            self.fp = io.BufferedReader(_Watched(sock.makefile("rb", buffering=0), too_slow))

    return Response


def watched_handlers(too_slow):
    """Handlers of http and https for `urllib.request.build_opener` whose answers are `watched`."""

    class Plain(http.client.HTTPConnection):
        response_class = watched(too_slow)

    class Encrypted(http.client.HTTPSConnection):
        response_class = watched(too_slow)

    class OpenPlain(urllib.request.HTTPHandler):
        def http_open(self, req):
            return self.do_open(Plain, req)

    class OpenEncrypted(urllib.request.HTTPSHandler):
        def https_open(self, req):
            return self.do_open(Encrypted, req)

    return OpenPlain, OpenEncrypted
