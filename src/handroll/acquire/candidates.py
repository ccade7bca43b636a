"""Listed videos as rows of the sheet of videos, and their way into it past everything that a person wrote there."""

import hashlib
import re
import shutil
import unicodedata
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from handroll.acquire.sites import same_video_key
from handroll.config.sheet import ID_LENGTH, IDENTIFIER, Video, numbered_lines, read_rows, read_text
from handroll.provenance import atomic_path

SUBJECT_LENGTH = 60
"""Longest subject made of an uploader's name, in characters."""

CELL_LENGTH = 300
"""Longest title or name that is kept, in characters; YouTube's titles have at most 100."""

_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
"""Marks that turn the direction of text, so that it reads otherwise than it is, and the byte order mark."""

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", '"')
"""How a cell begins that a spreadsheet may run as a formula: also in full-width characters, and in quotes, which it takes off."""


@dataclass(frozen=True)
class Candidate:
    """A row for the sheet: the columns of `handroll.config.sheet.Video` that a listing can fill; None where it does not."""

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
        """Text of every column; empty where there is no value."""
        return {name: _cell(value) for name, value in asdict(self).items()}


COLUMNS = tuple(column.name for column in fields(Candidate))
KEYS = ("subject", "video", "source")
BY_HAND = ("override", "permission", "licence")
"""Columns that a person fills: a new sheet has them from the start."""


def candidate(entry, subject=None, permission=None, licence=None):
    """A listed video as a row.

    Parameters
    ----------
    entry : handroll.acquire.listing.Entry
    subject : str, optional
        Who plays; otherwise the uploader's name stands for it.
    permission, licence : str, optional
        Of all of the channel's videos, as a person knows them.
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
    """A safe id from the first of some names that has Latin letters or digits; from a hash of the first where none has."""
    for name in names:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-_.")[:SUBJECT_LENGTH].rstrip("-_.")
        if safe:
            return safe
    return f"uploader-{_hash(names[0])}" if names else "unknown"


def video_id(name):
    """A safe id from a site's own: as it is where it is safe; one that starts with `-` or `_` gets a `v` before it."""
    if re.fullmatch(IDENTIFIER, name) and len(name) <= ID_LENGTH:
        return name
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    safe = safe if re.match(r"[A-Za-z0-9]", safe) else f"v{safe}"
    # What a letter was replaced in, or cut from, might have become that of another video.
    changed = len(safe) > ID_LENGTH or re.search(r"[^A-Za-z0-9_.-]", name)
    return f"{safe[: ID_LENGTH - 9]}-{_hash(name)}" if changed else safe


def merge_into_sheet(path, candidates):
    """Add the candidates that a sheet does not hold yet; all that stands there stays byte for byte.

    A video that stands in any row, under whatever name, is not added. Columns that the new rows need and the sheet lacks
    are appended to its header, and nothing else of it is touched; a sheet without news is not written at all.

    Parameters
    ----------
    path : path
        The sheet of videos; where there is none it is made, with empty columns for what a person decides (`BY_HAND`).
    candidates : list of Candidate

    Returns
    -------
    list of Candidate
        Those added, with the ids that they got: an id that is taken gets a number behind it.

    Raises
    ------
    SheetError
        The sheet has problems already; it is not touched.
    """
    path = Path(path).resolve()
    while True:
        before = path.read_bytes() if path.exists() else b""
        rows = read_rows(path, Video, ("subject", "video")) if before.strip() else []
        added = _new(candidates, rows)
        if not added:
            return []
        text = _extended(read_text(path) if before.strip() else "", added)
        with atomic_path(path) as temporary:
            temporary.write_bytes((b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b"") + text.encode())
            if path.exists():
                shutil.copymode(path, temporary)
            # Somebody who saved the sheet meanwhile is not overruled.
            if (path.read_bytes() if path.exists() else b"") == before:
                break
            temporary.write_bytes(path.read_bytes())
    return added


def write_candidates(path, candidates):
    """Write all candidates as a sheet of their own."""
    text = "".join("\t".join(row) + "\n" for row in [COLUMNS, *(c.cells().values() for c in candidates)])
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _new(candidates, rows):
    """Candidates whose video stands in no row, under ids of their own."""
    known = {same_video_key(row.source) for row in rows}
    # Ids that differ in case only would share a folder on some file systems.
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


def _extended(text, added):
    """The text of a sheet with rows behind it, and in its header the columns that they need."""
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
        # Line ends stand between the lines.
        lines[2 * (number - 1)] += "".join(f"\t{name}" for name in missing)
        header += missing
        text = "".join(lines)
        text += "" if text.endswith(("\n", "\r")) else newline
    rows = [[row.get(name, "") for name in header] for row in cells]
    return text + "".join("\t".join(row).rstrip("\t") + newline for row in rows)


def _cell(value):
    """A value as the text of a cell: on one line, without marks that hide what it says; no formula of a spreadsheet."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}" if value < 1e5 else f"{value:.0f}"
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in str(value) if c not in _DIRECTIONS)
    text = " ".join(text.split())[:CELL_LENGTH].rstrip()
    return f"'{text}" if text.startswith(_FORMULA) else text


def _last_part(url):
    """The last part of an address, without its suffix."""
    return re.sub(r"\.[A-Za-z0-9]{1,5}$", "", re.sub(r"[?#].*$", "", url).rstrip("/").rpartition("/")[2]) or "video"


def _hash(text):
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
