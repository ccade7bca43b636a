"""Analyse the source of a video, a URL or file path, without a request: its site, whether its address is valid, and whether two addresses
belong to the same video.
"""

import os
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from handroll.config.sheet import is_url

SITES = ("youtube", "bilibili", "other_site")
"""Names of the sites. Snakemake resources with the same names limit the number of simultaneous downloads from each site."""

# Default ports of http and https (RFC 9110, 4.2).
_DEFAULT_PORTS = (80, 443)

# Host names of the sites.
_HOSTS = {
    "youtube": ("youtube.com", "youtu.be", "youtube-nocookie.com"),
    "bilibili": ("bilibili.com", "b23.tv", "bilibili.tv"),
}

# Query parameters that record how a visitor found a page. Without them, the address leads to the same page.
_TRACKING = re.compile(r"utm_\w+|si|feature|fbclid|gclid|spm_id_from|vd_source|from|share_\w+")

# A video id of YouTube.
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")

# Path of a Bilibili page, with the video id as group 1.
_BILIBILI_ID = re.compile(r"/video/(BV[A-Za-z0-9]+|av\d+)", re.IGNORECASE)


def address_problem(source):
    """Return the reason why an address is invalid, as a sentence; None for an http or https URL with a host."""
    shown = without_credentials(source)
    try:
        parts = urlsplit(source)
        _ = parts.port
    except ValueError as error:
        return f"{shown}: expected an http or https URL, but it cannot be parsed: {error}"
    if parts.scheme not in ("http", "https"):
        return f"{shown}: expected an http or https URL, found the scheme {parts.scheme!r}"
    return None if parts.hostname else f"{shown}: expected an http or https URL, found a URL without a host"


def site_of(source):
    """Return the site of a source: one of `SITES`, or None for a local file."""
    if not is_url(source):
        return None
    host = _host(_split(source))
    return next((site for site, hosts in _HOSTS.items() if any(host == h or host.endswith(f".{h}") for h in hosts)), "other_site")


def same_video_key(source):
    """Return a text that is equal for all addresses of the same video.

    It contains the site's video id if the address contains one. Otherwise it is the address without scheme, `www.`, default port and
    tracking parameters. So `https://youtu.be/ID?t=5` and `https://www.youtube.com/watch?v=ID&list=L` have the same key. The key of a
    local path is its absolute path with links resolved.
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
        # A BV number is case-sensitive, but its prefix is not. If a video has several parts, each part has its own key.
        return f"bilibili {match[1][:2].upper()}{match[1][2:]} {query.get('p', '1')}"
    port = "" if parts.port in (None, *_DEFAULT_PORTS) else f":{parts.port}"
    kept = urlencode(
        sorted((name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.fullmatch(name))
    )
    return urlunsplit(("", _host(parts).removeprefix("www.") + port, parts.path.rstrip("/"), kept, ""))


def without_credentials(source):
    """Return an address without user name and password; other sources are returned unchanged."""
    parts = _split(source)
    return source if parts is None else urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _split(source):
    """Parse an address with `urlsplit`. Return None for a local path, and for an address that cannot be parsed."""
    if not is_url(source):
        return None
    try:
        parts = urlsplit(source)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _host(parts):
    """Return the host name in lower case from a result of `_split`; empty if there is none."""
    return ((parts and parts.hostname) or "").lower().rstrip(".")
