"""What a channel, playlist or search page lists, by yt-dlp's flat extraction: no video of it is asked for."""

import logging
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from handroll.acquire.addresses import AddressRefused, Gate
from handroll.acquire.back_off import Pace, wait, wait_s
from handroll.acquire.cookies import read_cookies
from handroll.acquire.failures import Failure, FetchFailed, failure_of

LOGGER = logging.getLogger("handroll")

DEPTH = 3
"""How deep lists may lie in lists: a channel's tabs hold playlists, which hold videos."""

NO_ADDRESS, NOTHING, TOO_DEEP = "no address of its own", "nothing told of it", "a list too deep in lists"
"""Why an entry of a list is not taken."""

_LIST_EXTRACTOR = re.compile(r"(Tab|List|Playlist|Channel|Collection|Season|Series|User)$")
"""Names of yt-dlp's extractors that give lists, where it does not say so itself."""


@dataclass(frozen=True)
class Entry:
    """What a list tells of a video; None where it does not.

    Attributes
    ----------
    id : str or None
        The site's own.
    url : str
        Of the page to watch it.
    title, uploader : str or None
    uploader_ids : tuple of str
        Names that may stand for the uploader, the best first: handle, name, number.
    upload_date : str or None
        YYYY-MM-DD.
    duration_s : float or None
    width_px, height_px : int or None
    """

    id: str | None
    url: str
    title: str | None
    uploader: str | None
    uploader_ids: tuple[str, ...]
    upload_date: str | None
    duration_s: float | None
    width_px: int | None
    height_px: int | None


@dataclass
class Found:
    """What came of a list.

    Attributes
    ----------
    entries : list of Entry
        In the order of the site, each address once.
    passed_over : Counter of str
        Entries that are not taken, by why.
    failure : FetchFailed or None
        Why the rest of the list, or all of it, is missing.
    """

    entries: list = field(default_factory=list)
    passed_over: Counter = field(default_factory=Counter)
    failure: FetchFailed | None = None


def list_entries(url, max_listed=5000, pace=None):
    """List the videos of a channel, playlist or search page; the address of a single video is a list of one.

    Parameters
    ----------
    url : str
        http(s); its host may lie in a private network.
    max_listed : int
        Most entries to take.
    pace : Pace, optional

    Returns
    -------
    Found
        Where the site fails for good, after all tries, what had come until then and the failure.
    """
    pace, cookies, failed = pace or Pace(), read_cookies(), 0
    while True:
        found = Found()
        try:
            _collect(url, found, max_listed, pace, cookies)
            return found
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
        failed += 1
        found.failure = FetchFailed(failure.failure, cookies.redact(str(failure)), failure.wait_s)
        seconds = wait_s(pace, failed, failure.wait_s) if failure.failure.again_now and failed < pace.tries else None
        if seconds is None:
            return found
        LOGGER.warning("%s: try again in %.0f s (%d of %d): %s", failure.failure, seconds, failed, pace.tries, found.failure)
        wait(seconds)


def _collect(url, found, max_listed, pace, cookies):
    """Fill `found` from one try."""
    from handroll.acquire.networking import Downloader

    try:
        gate = Gate([url])
    except AddressRefused as error:
        raise FetchFailed(Failure.REFUSED_ADDRESS, str(error)) from None
    with Downloader({"extract_flat": True}, gate, cookies, pace) as downloader:
        seen = set()
        for item, outer in islice(_videos_of(downloader, _resolved(downloader, url, None), {}, DEPTH, found.passed_over), max_listed):
            entry = entry_of(item, outer)
            if entry is None:
                found.passed_over[NO_ADDRESS] += 1
            elif entry.url not in seen:
                seen.add(entry.url)
                found.entries.append(entry)


def _resolved(downloader, url, key):
    """What yt-dlp finds behind an address, once it stops passing it on; entries are not looked at."""
    found, addresses = {"_type": "url", "url": url, "ie_key": key}, set()
    while found is not None and found.get("_type") in ("url", "url_transparent") and found["url"] not in addresses:
        addresses.add(found["url"])
        found = downloader.extract_info(found["url"], download=False, process=False, ie_key=found.get("ie_key"))
    if found is None:
        raise FetchFailed(Failure.NOT_UNDERSTOOD, f"{url}: yt-dlp found nothing it understands")
    return found


def _videos_of(downloader, found, outer, depth, passed_over):
    """(what is told of a video, what is told of the list around it), for every video of a list and of lists in it."""
    if found.get("_type", "video") == "video":
        yield found, outer
        return
    for item in found.get("entries") or ():
        if not item:
            passed_over[NOTHING] += 1
        elif item.get("_type", "video") in ("playlist", "multi_video") or _is_list(downloader, item):
            if depth == 0:
                passed_over[TOO_DEEP] += 1
                continue
            inner = item if item.get("entries") else _resolved(downloader, item["url"], item.get("ie_key"))
            yield from _videos_of(downloader, inner, {**outer, **_named(found)}, depth - 1, passed_over)
        else:
            yield item, {**outer, **_named(found)}


def _is_list(downloader, item):
    """Whether an entry that is only an address is that of another list."""
    key = item.get("ie_key")
    if item.get("_type") not in ("url", "url_transparent") or not key:
        return False
    single = downloader.get_info_extractor(key).is_single_video(item["url"])
    return single is False or (single is None and _LIST_EXTRACTOR.search(key) is not None)


def _named(found):
    """What a list tells of who made it."""
    names = ("uploader", "channel", "uploader_id", "channel_id", "title", "id", "extractor_key")
    return {name: found[name] for name in names if found.get(name)}


def entry_of(item, outer):
    """An Entry from what yt-dlp tells of a video and of the list around it; None where the video has no address of its own.

    Parameters
    ----------
    item, outer : dict
        yt-dlp's descriptions; all of it comes from the site, and may be anything.
    """
    formats = item.get("formats") or ()
    places = [item.get("webpage_url"), item.get("url"), *(part.get("url") for part in formats if len(formats) == 1)]
    url = next((place for place in places if isinstance(place, str) and re.fullmatch(r"https?://[^\s\x00-\x1f\x7f]+", place)), None)
    if url is None:
        return None
    names = [item.get(key) or outer.get(key) for key in ("uploader_id", "uploader", "channel", "channel_id")]
    handles = [name for name in names if isinstance(name, str) and name.startswith("@")]
    # A list that does not tell its maker is named by its title: better than nothing, and people may change it.
    names = [*handles, *names[1:], names[0], outer.get("title"), outer.get("id")]
    return Entry(
        id=item.get("id") if isinstance(item.get("id"), str) else None,
        url=url,
        title=_text(item.get("title")),
        uploader=_text(next((item.get(key) or outer.get(key) for key in ("uploader", "channel") if item.get(key) or outer.get(key)), None)),
        uploader_ids=tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name.strip())),
        upload_date=_day(item),
        duration_s=_number(item.get("duration"), float, 0.0),
        width_px=_number(item.get("width"), int, 1),
        height_px=_number(item.get("height"), int, 1),
    )


def _text(value):
    return value if isinstance(value, str) and value.strip() else None


def _number(value, kind, least):
    """A finite number of at least `least`, or None."""
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if least <= number < float("inf") else None


def _day(item):
    """The day of the upload as YYYY-MM-DD; None where it is not told, or told only roughly."""
    text = item.get("upload_date")
    if isinstance(text, str) and re.fullmatch(r"\d{8}", text):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    seconds = _number(item.get("timestamp"), float, 0.0)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return None
