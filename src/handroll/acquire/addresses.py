"""Which addresses may be asked: those that the sheet names, and public ones. A site cannot send a download into the own network.

An address is checked when it is named, in every redirect, and again when the connection is made, by the number it leads to then.
"""

import ipaddress
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from handroll.acquire.sites import DEFAULT_PORTS

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""Well-known prefix under which IPv6 networks reach IPv4 addresses (RFC 6052)."""


class AddressRefused(RuntimeError):
    """An address is not one that may be asked; the message says which and why."""


def is_public(address):
    """Whether an IP address is one of the public internet.

    Loopback, private, link-local, shared, multicast, reserved and documentation addresses are not; an IPv6 address that
    stands for an IPv4 one (mapped, 6to4, Teredo, NAT64) is what that is.

    Parameters
    ----------
    address : str
        In numbers, IPv4 or IPv6; a zone (`%eth0`) may follow.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 6:
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo and found.teredo[1])
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


class Gate:
    """Lets requests through to public addresses, and to the hosts that a person named.

    Parameters
    ----------
    trusted : iterable of str
        URLs whose host and port may be asked whatever they lead to; where one names http on its usual port, https on its own, too.
    """

    def __init__(self, trusted=()):
        self._trusted = set()
        for url in trusted:
            host, port, _ = _target(url)
            if not host:
                raise AddressRefused(f"{url}: names no host")
            self._trusted |= {(host, port)} | ({(host, DEFAULT_PORTS["https"])} if port == DEFAULT_PORTS["http"] else set())

    def check(self, url, by_proxy=False):
        """Pass, or raise AddressRefused, before a URL is asked.

        Parameters
        ----------
        url : str
        by_proxy : bool
            A proxy makes the connection, so `connect` will not see where it leads: the name is looked up here. One that only
            the proxy can look up is left to it.
        """
        host, port, scheme = _target(url)
        if scheme not in DEFAULT_PORTS:
            raise AddressRefused(f"{url}: expected http or https, found {scheme or 'no'} scheme")
        if not host:
            raise AddressRefused(f"{url}: names no host")
        if (host, port) in self._trusted:
            return
        # A host in numbers needs no look-up; one that spells them oddly is caught when the connection is made.
        with suppress(ValueError):
            self._check_number(host, host)
        if by_proxy:
            with suppress(socket.gaierror):
                self._resolve(host, port)

    def connect(self, address, timeout=None, source_address=None):
        """A connected socket to (host, port), as `socket.create_connection` gives; raises AddressRefused where it leads astray.

        The numbers that are checked are those connected to: a name cannot lead elsewhere in between.
        """
        host, port = address[0].lower().rstrip("."), address[1]
        error = OSError(f"{host}: no address found")
        for family, kind, protocol, _, place in self._resolve(host, port):
            connection = socket.socket(family, kind, protocol)
            try:
                if isinstance(timeout, (int, float)):
                    connection.settimeout(timeout)
                if source_address:
                    connection.bind(source_address)
                connection.connect(place)
                return connection
            except OSError as failed:
                connection.close()
                error = failed
        raise error

    def _resolve(self, host, port):
        """What `socket.getaddrinfo` finds, every number of it checked unless the host is trusted."""
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        if (host, port) not in self._trusted:
            for _, _, _, _, place in found:
                self._check_number(place[0], host)
        return found

    @staticmethod
    def _check_number(address, host):
        """Raise AddressRefused for an IP address that is not public; ValueError where it is none."""
        if not is_public(address):
            named = host if host == address else f"{host} ({address})"
            raise AddressRefused(f"{named}: is not a public address, and not the one that the sheet names")


def _target(url):
    """(host, port, scheme) of a URL, lower case; raises AddressRefused where it cannot be read."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        return (parts.hostname or "").lower().rstrip("."), parts.port or DEFAULT_PORTS.get(scheme), scheme
    except ValueError as error:
        raise AddressRefused(f"{url}: cannot be read as an address: {error}") from None
