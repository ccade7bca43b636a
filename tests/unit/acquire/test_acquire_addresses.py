import socket

import pytest

from handroll.acquire.addresses import AddressRefused, Gate, is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("192.0.2.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::93.184.216.34", True),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", False),
    ],
)
def test_public_addresses(address, public):
    assert is_public(address) is public


@pytest.fixture
def names(monkeypatch):
    """Names and what they lead to, in place of the network's."""
    known = {"public.org": ["93.184.216.34"], "inner.org": ["10.0.0.1"], "mixed.org": ["93.184.216.34", "10.0.0.1"], "nas": ["192.168.1.9"]}

    def lookup(host, port, *_):
        numbers = known.get(host, [host])
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in numbers]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return known


class Connected(Exception):
    """In place of a connection."""


@pytest.fixture
def sockets(monkeypatch):
    class Socket:
        def __init__(self, *_):
            pass

        def connect(self, place):
            raise Connected(place[0])

    monkeypatch.setattr(socket, "socket", Socket)


def test_connections_lead_to_what_was_checked(names, sockets):
    gate = Gate(["http://nas:8080/list"])
    with pytest.raises(Connected, match="93.184.216.34"):
        gate.connect(("public.org", 443))
    with pytest.raises(Connected, match=r"192\.168\.1\.9"):
        gate.connect(("NAS", 8080))
    for address in (("inner.org", 80), ("mixed.org", 80), ("nas", 22), ("127.0.0.1", 8080)):
        with pytest.raises(AddressRefused, match="not a public address"):
            gate.connect(address)


def test_a_name_that_changes_is_caught_when_connecting(names, sockets):
    gate = Gate(["https://public.org/v"])
    gate.check("https://other.org/v")
    names["other.org"] = ["127.0.0.1"]
    with pytest.raises(AddressRefused, match=r"other.org \(127.0.0.1\)"):
        gate.connect(("other.org", 443))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://public.org/x", "gopher://x", "//x", "https:///x", "http://127.0.0.1/", "http://[::1]/"]
)
def test_what_is_named_is_checked(names, url):
    with pytest.raises(AddressRefused):
        Gate(["https://public.org"]).check(url)


def test_the_named_host_is_trusted_at_its_own_port(names):
    gate = Gate(["http://127.0.0.1/list"])
    gate.check("http://127.0.0.1/other")
    gate.check("https://127.0.0.1/other")
    for url in ("http://127.0.0.1:8080/", "http://127.0.0.2/"):
        with pytest.raises(AddressRefused):
            gate.check(url)


def test_what_a_proxy_is_asked_for_is_looked_up(names):
    gate = Gate(["https://public.org"])
    gate.check("https://inner.org/x")
    with pytest.raises(AddressRefused, match="inner.org"):
        gate.check("https://inner.org/x", by_proxy=True)
    gate.check("https://public.org/x", by_proxy=True)
