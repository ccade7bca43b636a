"""Write the sheet of your own videos, with a unique name for each file or URL.

The output folder of `handroll run` contains one sheet of all videos that were processed there. A later run adds rows. It never renames
or replaces existing rows, since their names are the names of the folders of results.
"""

import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from handroll.acquire.sites import same_video_key, site_of
from handroll.config.sheet import IDENTIFIER, SheetError, Video, is_url, read_rows
from handroll.provenance import atomic_path
from handroll.text import CONTROL

SUBJECT = "own"
"""Subject of your own videos."""

NAME_LENGTH = 80
"""Maximum length of a video's name, in characters. A name made from a file name or URL can be longer by the number that makes it unique."""

COLUMNS = ("subject", "video", "source", "midi", "override")
"""Columns that the sheet always contains."""


def name_of(source):
    """Return a safe name for a source: from the stem of a path, or from the site and the video id of a URL.

    Examples
    --------
    >>> name_of("films/My piece (2).mp4"), name_of("https://www.youtube.com/watch?v=dQw4w9WgXcQ")
    ('My_piece_2', 'youtube_dQw4w9WgXcQ')
    """
    if not is_url(source):
        text = Path(source).stem
    elif site_of(source) != "other_site" and " " in (key := same_video_key(source)):
        # The key is "youtube ID" or "bilibili ID PART". The number of the first part is left out.
        return re.sub(r"[^A-Za-z0-9_.-]", "_", key.removesuffix(" 1"))
    else:
        parts = urlsplit(source)
        query = dict(parse_qsl(parts.query))
        page, video = Path(parts.path).stem, query.get("v") or query.get("id")
        text = "_".join(part for part in (page, video) if part) or (parts.hostname or "")
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", plain).strip("_.-")[:NAME_LENGTH] or "video"


def distinct_names(sources, taken=()):
    """Return an unused name for each source. A number is appended to a name that is in use.

    Parameters
    ----------
    sources : iterable of str
        Paths and URLs.
    taken : iterable of str
        Names in use. Names that differ only in case count as equal, as on some file systems.

    Returns
    -------
    list of str
    """
    taken, names = {name.casefold() for name in taken}, []
    for source in sources:
        base = name_of(source)
        name, number = base, 2
        while name.casefold() in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name.casefold())
        names.append(name)
    return names


def add_videos(sheet, sources, names=(), midis=()):
    """Add videos to the sheet and return their rows.

    A source that is in the sheet already keeps its row and its name. New rows have `override: accept`, so that your own video gives
    motion even if the screening would reject it.

    Parameters
    ----------
    sheet : path
        Path of the sheet. It is created if it does not exist.
    sources : sequence of str
        Paths and URLs; duplicates count once.
    names, midis : sequence of str, optional
        Name and MIDI file of each source. Empty: names are made from the sources, and there are no MIDI files.

    Returns
    -------
    list of handroll.config.sheet.Video
        The rows of these sources, in their order.

    Raises
    ------
    SheetError
        The sheet is invalid. A name is not safe, or belongs to another source. A source already has another name. A path contains a
        character that a sheet cannot contain.
    """
    sheet = Path(sheet)
    rows = {row.video: row for row in read_rows(sheet, Video, ("subject", "video"))} if sheet.is_file() else {}
    known = {_source_key(row.source): name for name, row in rows.items()}
    asked = []
    for number, source in enumerate(sources):
        stored = source if is_url(source) else os.path.abspath(source)
        name = known.get(_source_key(stored))
        if names:
            _check_name(names[number], stored, name, rows)
            name = names[number]
        name = name or distinct_names([source], rows)[0]
        midi = os.path.abspath(midis[number]) if midis else rows[name].midi if name in rows else None
        for path in filter(None, (stored, midi)):
            _check_path(path)
        # A known source keeps its spelling, since another spelling would trigger a new download.
        old = rows[name].model_dump() if name in rows else {"subject": SUBJECT, "video": name, "source": stored, "override": "accept"}
        rows[name] = Video.model_validate(old | {"midi": midi})
        known[_source_key(stored)] = name
        if name not in asked:
            asked.append(name)
    write_sheet(sheet, rows.values())
    return [rows[name] for name in asked]


def write_sheet(path, rows):
    """Write rows as a sheet. Its columns are `COLUMNS` and all others with a value. An unchanged sheet is not written again."""
    cells = [{name: str(value) for name, value in row.model_dump().items() if value is not None} for row in rows]
    header = [name for name in Video.model_fields if name in COLUMNS or any(name in row for row in cells)]
    lines = [header, *([row.get(name, "") for name in header] for row in cells)]
    text = "".join("\t".join(line) + "\n" for line in lines)
    if not Path(path).is_file() or Path(path).read_bytes() != text.encode():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _source_key(source):
    """Return a text that is equal for all spellings of the same source."""
    return same_video_key(source) if is_url(source) else os.path.normpath(source)


def _check_name(name, source, known, rows):
    """Raise SheetError if a source cannot have this name.

    `known`: name that the source already has, or None. `rows`: dict of name to row of the sheet.
    """
    if not re.fullmatch(IDENTIFIER, name) or len(name) > NAME_LENGTH:
        raise SheetError(f"--name {name}: expected at most {NAME_LENGTH} letters, digits, `_`, `.` or `-`, starting with a letter or digit")
    if known not in (None, name):
        raise SheetError(f"--name {name}: {source} is in this output folder already, as {known}; omit the name, or choose another --out")
    other = next(
        (row for row in rows.values() if row.video.casefold() == name.casefold() and _source_key(row.source) != _source_key(source)), None
    )
    if other:
        raise SheetError(f"--name {name}: the name belongs to {other.source} in this output folder; choose another name or --out")


def _check_path(path):
    """Raise SheetError if a sheet cannot contain this path."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise SheetError(f"{path!a}: expected a path in UTF-8; rename the file") from None
    if path != path.strip() or CONTROL.search(path):
        raise SheetError(
            f"{path!r}: expected a path without tabs, line breaks, other control characters and spaces at its ends; rename the file"
        )
