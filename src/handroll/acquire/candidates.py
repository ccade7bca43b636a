"""Turn listed videos into rows of the sheet of videos, and add them without changing existing rows."""

import hashlib
import re
import shutil
import unicodedata
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from handroll.acquire.sites import same_video_key
from handroll.config.sheet import ID_LENGTH, IDENTIFIER, Video, numbered_lines, read_rows, read_text
from handroll.provenance import atomic_path

MAX_SUBJECT_LENGTH = 60
"""Maximum length of a subject made from an uploader's name, in characters."""

MAX_CELL_LENGTH = 300
"""Maximum length of a cell, such as a title, in characters; longer texts are cut. YouTube's titles have at most 100."""

# Characters that are removed from texts: marks that change the direction in which text is displayed, and the byte order mark.
_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"

# First characters of a cell that a spreadsheet changes. It may evaluate a cell with one of the signs (normal or full width) as a formula,
# and it removes a quotation mark.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", '"')


@dataclass(frozen=True)
class Candidate:
    """A new row of the sheet of videos, with the columns that a listing can fill; None for unknown values.

    `handroll.config.sheet.Video` describes the attributes.
    """

    subject: str
    video: str
    source: str
    permission: str | None = None
    licence: str | None = None
    title: str | None = None
    uploader: str | None = None
    upload_date: str | None = None
    duration_s: float | None = None
    width_px: int | None = None
    height_px: int | None = None

    def cells(self):
        """Return the row as a dict of column name to text. The text of None is empty."""
        return {name: _format_cell(value) for name, value in asdict(self).items()}


COLUMNS = tuple(column.name for column in fields(Candidate))
"""Columns of the sheet of videos that a listing can fill."""

KEYS = ("subject", "video", "source")
"""Required columns of the sheet of videos."""

BY_HAND = ("override", "permission", "licence")
"""Columns that a person fills. A new sheet contains them, empty."""


def candidate(entry, subject=None, permission=None, licence=None):
    """Return the Candidate of a listed video.

    Parameters
    ----------
    entry : handroll.acquire.listing.Entry
        Listed video.
    subject : str, optional
        Performer. Default: a safe id made from the uploader's name.
    permission, licence : str, optional
        Permission and licence of all videos of the channel, from the sheet of channels.
    """
    return Candidate(
        subject=subject or subject_id(entry.uploader_ids),
        video=video_id(entry.id or _last_part(entry.url)),
        source=entry.url,
        permission=permission,
        licence=licence,
        title=entry.title,
        uploader=entry.uploader,
        upload_date=entry.upload_date,
        duration_s=entry.duration_s,
        width_px=entry.width_px,
        height_px=entry.height_px,
    )


def subject_id(names):
    """Return a safe subject id made from the first of the names that contains Latin letters or digits.

    If no name contains any, the id is `uploader-` followed by a hash of the first name. Without names it is `unknown`.
    """
    for name in names:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-_.")[:MAX_SUBJECT_LENGTH].rstrip("-_.")
        if safe:
            return safe
    return f"uploader-{_short_hash(names[0])}" if names else "unknown"


def video_id(name):
    """Return a video id for the sheet, made from a site's id.

    An id that is valid in the sheet (`IDENTIFIER`, `ID_LENGTH`) is not changed. In other ids, each invalid character is replaced by `_`,
    and a `v` is put before an invalid first character. If characters were replaced or cut off, a hash of the site's id is appended.
    """
    if re.fullmatch(IDENTIFIER, name) and len(name) <= ID_LENGTH:
        return name
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    safe = safe if re.match(r"[A-Za-z0-9]", safe) else f"v{safe}"
    # A changed or shortened id may be equal to the id of another video, so a hash is appended.
    changed = len(safe) > ID_LENGTH or re.search(r"[^A-Za-z0-9_.-]", name)
    return f"{safe[: ID_LENGTH - 9]}-{_short_hash(name)}" if changed else safe


def merge_into_sheet(path, candidates):
    """Add the candidates that a sheet does not contain yet; the bytes of existing rows do not change.

    A video that has a row already, even under another id, is not added. Columns that only the new rows need are appended to the header.
    Without new rows, the sheet is not written.

    Parameters
    ----------
    path : path
        Path of the sheet of videos. A missing sheet is created, with empty columns `BY_HAND`.
    candidates : list of Candidate

    Returns
    -------
    list of Candidate
        The added candidates. Where an id was in use, a number is appended to it.

    Raises
    ------
    SheetError
        The sheet is invalid. It is not changed.
    """
    path = Path(path).resolve()
    while True:
        before = path.read_bytes() if path.exists() else b""
        rows = read_rows(path, Video, ("subject", "video")) if before.strip() else []
        added = _select_new(candidates, rows)
        if not added:
            return []
        text = _append_rows(read_text(path) if before.strip() else "", added)
        with atomic_path(path) as temporary:
            temporary.write_bytes((b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b"") + text.encode())
            if path.exists():
                shutil.copymode(path, temporary)
            # If somebody saved the sheet in the meantime, repeat with its new content.
            if (path.read_bytes() if path.exists() else b"") == before:
                break
            temporary.write_bytes(path.read_bytes())
    return added


def write_candidates(path, candidates):
    """Write candidates as a sheet of videos."""
    text = "".join("\t".join(row) + "\n" for row in [COLUMNS, *(c.cells().values() for c in candidates)])
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _select_new(candidates, rows):
    """Return the candidates whose video is not in `rows`, each video once. If an id is in use, a number is appended to it."""
    known = {same_video_key(row.source) for row in rows}
    # Ids that differ only in case would share a folder on some file systems.
    taken = {(row.subject.casefold(), row.video.casefold()) for row in rows}
    added = []
    for item in candidates:
        key = same_video_key(item.source)
        if key in known:
            continue
        known.add(key)
        name, number = item.video, 2
        while (item.subject.casefold(), name.casefold()) in taken:
            name, number = f"{item.video[: ID_LENGTH - 6]}_{number}", number + 1
        taken.add((item.subject.casefold(), name.casefold()))
        added.append(Candidate(**{**asdict(item), "video": name}))
    return added


def _append_rows(text, added):
    """Append rows to the text of a sheet, and the columns that they need to its header; return the new text."""
    cells = [row.cells() for row in added]
    needed = [name for name in COLUMNS if any(row[name] for row in cells)]
    if not text.strip():
        header, newline = [*KEYS, *BY_HAND, *(name for name in needed if name not in (*KEYS, *BY_HAND))], "\n"
        text = "\t".join(header) + newline
    else:
        newline = "\r\n" if "\r\n" in text else "\n"
        number, names = numbered_lines(text)[0]
        header = [name.strip() for name in names]
        missing = [name for name in needed if name not in header]
        lines = re.split(r"(\r\n|\n|\r)", text)
        # Items with even index are lines, items with odd index are line ends.
        lines[2 * (number - 1)] += "".join(f"\t{name}" for name in missing)
        header += missing
        text = "".join(lines)
        text += "" if text.endswith(("\n", "\r")) else newline
    rows = [[row.get(name, "") for name in header] for row in cells]
    return text + "".join("\t".join(row).rstrip("\t") + newline for row in rows)


def _format_cell(value):
    """Format a value as the text of a cell: one line without direction marks.

    A `'` is put before a text that a spreadsheet would evaluate as a formula.
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}" if value < 1e5 else f"{value:.0f}"
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in str(value) if c not in _DIRECTIONS)
    text = " ".join(text.split())[:MAX_CELL_LENGTH].rstrip()
    return f"'{text}" if text.startswith(_FORMULA) else text


def _last_part(url):
    """Return the last part of the path of an address, without its suffix; `video` if it is empty."""
    return re.sub(r"\.[A-Za-z0-9]{1,5}$", "", re.sub(r"[?#].*$", "", url).rstrip("/").rpartition("/")[2]) or "video"


def _short_hash(text):
    """Return the first 8 hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
