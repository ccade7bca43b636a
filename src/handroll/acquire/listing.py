"""List the videos of a channel, playlist or search page with yt-dlp's flat extraction, which does not request the videos' own pages."""

import logging
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from handroll.acquire.back_off import Pace, wait, wait_s
from handroll.acquire.cookies import read_cookies
from handroll.acquire.failures import Failure, FetchFailed, failure_of
from handroll.acquire.sites import address_problem
from handroll.acquire.yt_dlp_options import yt_dlp_options

LOGGER = logging.getLogger("handroll")

MAX_DEPTH = 3
"""Maximum depth of nested lists. For example, a channel contains tabs, which contain playlists, which contain videos."""

NO_ADDRESS = "no address of its own"
"""Reason to skip an entry of a list: the entry has no http address."""

NO_DESCRIPTION = "no description"
"""Reason to skip an entry of a list: the site does not describe the entry."""

TOO_DEEP = f"list nested in more than {MAX_DEPTH} lists"
"""Reason to skip an entry of a list: the entry is a list that is nested deeper than `MAX_DEPTH`."""

# Ends of the names of yt-dlp's extractors that return lists. The pattern is used for extractors that do not report whether they return a
# list or a single video.
_LIST_EXTRACTOR = re.compile(r"(Tab|List|Playlist|Channel|Collection|Season|Series|User)$")


@dataclass(frozen=True)
class Entry:
    """Description of a video in a list; attributes that the list does not report are None.

    Attributes
    ----------
    id : str or None
        Id of the video on its site.
    url : str
        Address of the video's page.
    title, uploader : str or None
        Title of the video and name of its uploader.
    uploader_ids : tuple of str
        Names of the uploader, in order of preference: handle, name, id.
    upload_date : str or None
        Day, YYYY-MM-DD.
    duration_s : float or None
        Duration of the video, s.
    width_px, height_px : int or None
        Size of the frames, px.
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
    """Result of listing an address.

    Attributes
    ----------
    entries : list of Entry
        Videos in the order of the site; each address once.
    skipped : Counter of str
        Number of skipped entries, by reason.
    failure : FetchFailed or None
        Reason why the list is not complete: all videos are missing, or those after the last one of `entries`. None for a complete list.
    """

    entries: list = field(default_factory=list)
    skipped: Counter = field(default_factory=Counter)
    failure: FetchFailed | None = None


def list_entries(url, max_listed=5000, pace=None):
    """List the videos of a channel, playlist or search page. The address of a single video gives a list of one video.

    Parameters
    ----------
    url : str
        An http(s) URL.
    max_listed : int
        Maximum number of videos to list.
    pace : Pace, optional

    Returns
    -------
    Found
        If every try fails, the result contains the entries of the last try and the failure.
    """
    pace, cookies, failed = pace or Pace(), read_cookies(), 0
    while True:
        found = Found()
        try:
            _list_once(url, found, max_listed, pace, cookies)
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
        LOGGER.warning("%s: next try in %.0f s; %d of at most %d tries: %s", failure.failure, seconds, failed, pace.tries, found.failure)
        wait(seconds)


def _list_once(url, found, max_listed, pace, cookies):
    """Try once to list an address. Raises FetchFailed and the exceptions of yt-dlp.

    `found`: an empty `Found`, to which entries and skipped entries are added, also before an exception. Other parameters: see
    `list_entries`.
    """
    import yt_dlp

    if problem := address_problem(url):
        raise FetchFailed(Failure.REFUSED_ADDRESS, problem)
    with yt_dlp.YoutubeDL({**yt_dlp_options(cookies, pace), "extract_flat": True}) as downloader:
        listed = set()
        for item, outer in islice(_videos_of(downloader, _resolve(downloader, url, None), {}, MAX_DEPTH, found.skipped), max_listed):
            entry = entry_of(item, outer)
            if entry is None:
                found.skipped[NO_ADDRESS] += 1
            elif entry.url not in listed:
                listed.add(entry.url)
                found.entries.append(entry)


def _resolve(downloader, url, key):
    """Return yt-dlp's description of an address. References to other addresses are followed, except those of entries of a list.

    `key`: name of the yt-dlp extractor to use; None: yt-dlp chooses one by the address.
    """
    found, addresses = {"_type": "url", "url": url, "ie_key": key}, set()
    while found is not None and found.get("_type") in ("url", "url_transparent") and found["url"] not in addresses:
        addresses.add(found["url"])
        found = downloader.extract_info(found["url"], download=False, process=False, ie_key=found.get("ie_key"))
    if found is None:
        raise FetchFailed(Failure.NOT_UNDERSTOOD, f"{url}: expected a list or a video, but yt-dlp cannot interpret the page")
    return found


def _videos_of(downloader, found, outer, depth, skipped):
    """Yield (description of a video, description of its list) for every video of a list and of its nested lists.

    Parameters
    ----------
    downloader : yt_dlp.YoutubeDL
    found : dict
        yt-dlp's description of the list, or of a single video.
    outer : dict
        Description of the lists that contain `found`; see `_list_description`.
    depth : int
        Maximum depth of nested lists in `found`.
    skipped : Counter of str
        Number of skipped entries by reason, changed in place.
    """
    if found.get("_type", "video") == "video":
        yield found, outer
        return
    for item in found.get("entries") or ():
        if not item:
            skipped[NO_DESCRIPTION] += 1
        elif item.get("_type", "video") in ("playlist", "multi_video") or _is_list(downloader, item):
            if depth == 0:
                skipped[TOO_DEEP] += 1
                continue
            inner = item if item.get("entries") else _resolve(downloader, item["url"], item.get("ie_key"))
            yield from _videos_of(downloader, inner, {**outer, **_list_description(found)}, depth - 1, skipped)
        else:
            yield item, {**outer, **_list_description(found)}


def _is_list(downloader, item):
    """Return whether an entry of a list is the address of another list."""
    key = item.get("ie_key")
    if item.get("_type") not in ("url", "url_transparent") or not key:
        return False
    single = downloader.get_info_extractor(key).is_single_video(item["url"])
    return single is False or (single is None and _LIST_EXTRACTOR.search(key) is not None)


def _list_description(found):
    """Return the names of a list and of its owner from yt-dlp's description."""
    names = ("uploader", "channel", "uploader_id", "channel_id", "title", "id", "extractor_key")
    return {name: found[name] for name in names if found.get(name)}


def entry_of(item, outer):
    """Return the Entry of a video; None if the video has no address of its own.

    Parameters
    ----------
    item, outer : dict
        yt-dlp's descriptions of the video and of its list. All values come from the site and may have any type.
    """
    formats = item.get("formats") or ()
    addresses = [item.get("webpage_url"), item.get("url"), *(part.get("url") for part in formats if len(formats) == 1)]
    url = next((text for text in addresses if isinstance(text, str) and re.fullmatch(r"https?://[^\s\x00-\x1f\x7f]+", text)), None)
    if url is None:
        return None
    names = [item.get(key) or outer.get(key) for key in ("uploader_id", "uploader", "channel", "channel_id")]
    handles = [name for name in names if isinstance(name, str) and name.startswith("@")]
    # The title of the list is used only if no uploader is known, since the title may change.
    names = [*handles, *names[1:], names[0], outer.get("title"), outer.get("id")]
    return Entry(
        id=item.get("id") if isinstance(item.get("id"), str) else None,
        url=url,
        title=_text_or_none(item.get("title")),
        uploader=_text_or_none(
            next((item.get(key) or outer.get(key) for key in ("uploader", "channel") if item.get(key) or outer.get(key)), None)
        ),
        uploader_ids=tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name.strip())),
        upload_date=_upload_day(item),
        duration_s=_number_or_none(item.get("duration"), float, 0.0),
        width_px=_number_or_none(item.get("width"), int, 1),
        height_px=_number_or_none(item.get("height"), int, 1),
    )


def _text_or_none(value):
    """Return the value if it is a text with visible characters, otherwise None."""
    return value if isinstance(value, str) and value.strip() else None


def _number_or_none(value, kind, minimum):
    """Convert a value to a finite number of at least `minimum`; return None if that is not possible. `kind`: int or float."""
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if minimum <= number < float("inf") else None


def _upload_day(item):
    """Return the day of the upload as YYYY-MM-DD; None if the site reports none, or only an approximate time."""
    text = item.get("upload_date")
    if isinstance(text, str) and re.fullmatch(r"\d{8}", text):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    seconds = _number_or_none(item.get("timestamp"), float, 0.0)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return None
