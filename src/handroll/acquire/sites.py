"""What an address tells without asking anybody: whose site it is, and whether two addresses are one video."""

import os
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from handroll.config.sheet import is_url

SITES = ("youtube", "bilibili", "other_site")
"""Names of the counted resources: each site has its own limit of downloads at a time."""

DEFAULT_PORTS = {"http": 80, "https": 443}
"""Ports of the schemes that are fetched (RFC 9110, 4.2)."""

_HOSTS = {
    "youtube": ("youtube.com", "youtu.be", "youtube-nocookie.com"),
    "bilibili": ("bilibili.com", "b23.tv", "bilibili.tv"),
}

_TRACKING = re.compile(r"utm_\w+|si|feature|fbclid|gclid|spm_id_from|vd_source|from|share_\w+")
"""Query parameters that say how somebody came to a page, not which page it is."""

_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_BILIBILI_ID = re.compile(r"/video/(BV[A-Za-z0-9]+|av\d+)", re.IGNORECASE)


def site_of(source):
    """The counted site of a source: one of `SITES`, or None for a local file."""
    if not is_url(source):
        return None
    host = _host(_split(source))
    return next((site for site, hosts in _HOSTS.items() if any(host == h or host.endswith(f".{h}") for h in hosts)), "other_site")


def same_video_key(source):
    """A text that two addresses of one video share: the site's own id where the address shows it, else the address without its trimmings.

    `https://youtu.be/ID?t=5` and `https://www.youtube.com/watch?v=ID&list=L` have the same key; so have `http` and `https`,
    with and without `www.`, with and without parameters that only track. The key of a local path is its absolute path without links.
    """
    parts = _split(source)
    if parts is None:
        return source if is_url(source) else os.path.realpath(source)
    site, query = site_of(source), dict(parse_qsl(parts.query))
    if site == "youtube":
        last = parts.path.rstrip("/").rpartition("/")[2]
        found = query.get("v") or (last if _host(parts) == "youtu.be" or re.match(r"/(shorts|embed|live|v)/", parts.path) else "")
        if _YOUTUBE_ID.fullmatch(found):
            return f"youtube {found}"
    if site == "bilibili" and (match := _BILIBILI_ID.search(parts.path)):
        # The BV number's case matters; the prefix's does not. A part of a video in several parts is a video of its own.
        return f"bilibili {match[1][:2].upper()}{match[1][2:]} {query.get('p', '1')}"
    port = "" if parts.port in (None, *DEFAULT_PORTS.values()) else f":{parts.port}"
    kept = urlencode(
        sorted((name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.fullmatch(name))
    )
    return urlunsplit(("", _host(parts).removeprefix("www.") + port, parts.path.rstrip("/"), kept, ""))


def without_credentials(source):
    """An address without the user name and password that it may carry; other sources as they are."""
    parts = _split(source)
    return source if parts is None else urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _split(source):
    """The parts of an address; None for a local path and for what only looks like an address."""
    if not is_url(source):
        return None
    try:
        parts = urlsplit(source)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _host(parts):
    return ((parts and parts.hostname) or "").lower().rstrip(".")
