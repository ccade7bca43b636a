"""Turn listed videos into rows and add them to the sheet of videos, without changing what a person wrote there."""

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
"""Maximum length of a subject made of an uploader's name, in characters."""

MAX_CELL_LENGTH = 300
"""Maximum length of a title or name, in characters; YouTube's titles have at most 100."""

_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
"""Marks that change the direction of text, so that it is displayed in another order, and the byte order mark."""

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", '"')
"""First characters of cells that a spreadsheet may evaluate as a formula, also full-width ones, and quotes, which it removes."""


@dataclass(frozen=True)
class Candidate:
    """A row for the sheet: the columns of `handroll.config.sheet.Video` that a listing can fill; None for unknown values."""

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
        """Format every column as text; empty for None."""
        return {name: _cell(value) for name, value in asdict(self).items()}


COLUMNS = tuple(column.name for column in fields(Candidate))
KEYS = ("subject", "video", "source")
BY_HAND = ("override", "permission", "licence")
"""Columns that a person fills; a new sheet has them."""


def candidate(entry, subject=None, permission=None, licence=None):
    """Turn a listed video into a row.

    Parameters
    ----------
    entry : handroll.acquire.listing.Entry
    subject : str, optional
        Performer; the uploader's name if not given.
    permission, licence : str, optional
        Of all of the channel's videos, from the sheet of channels.
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
    """Make a safe id from the first name with Latin letters or digits; from a hash of the first name if there is none."""
    for name in names:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-_.")[:MAX_SUBJECT_LENGTH].rstrip("-_.")
        if safe:
            return safe
    return f"uploader-{_hash(names[0])}" if names else "unknown"


def video_id(name):
    """Make a safe id from a site's id: unchanged if it is safe; one that starts with `-` or `_` gets a `v` before it."""
    if re.fullmatch(IDENTIFIER, name) and len(name) <= ID_LENGTH:
        return name
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    safe = safe if re.match(r"[A-Za-z0-9]", safe) else f"v{safe}"
    # A changed or shortened id may be equal to that of another video.
    changed = len(safe) > ID_LENGTH or re.search(r"[^A-Za-z0-9_.-]", name)
    return f"{safe[: ID_LENGTH - 9]}-{_hash(name)}" if changed else safe


def merge_into_sheet(path, candidates):
    """Add the candidates that a sheet does not contain; existing rows stay byte for byte.

    A video that has a row, under any name, is not added. Columns that only the new rows have are appended to the header. A sheet
    without new rows is not written.

    Parameters
    ----------
    path : path
        The sheet of videos. A missing one is made, with empty columns for what a person decides (`BY_HAND`).
    candidates : list of Candidate

    Returns
    -------
    list of Candidate
        The added ones, with their ids: a number is appended to an id that is in use.

    Raises
    ------
    SheetError
        The sheet has problems; it is not changed.
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
            # If the sheet was saved in the meantime, start over with its new content.
            if (path.read_bytes() if path.exists() else b"") == before:
                break
            temporary.write_bytes(path.read_bytes())
    return added


def write_candidates(path, candidates):
    """Write candidates as a sheet."""
    text = "".join("\t".join(row) + "\n" for row in [COLUMNS, *(c.cells().values() for c in candidates)])
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _new(candidates, rows):
    """Select the candidates whose video has no row, and give them unused ids."""
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


def _extended(text, added):
    """Append rows to the text of a sheet, and the columns that they need to its header."""
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
        # Even items are lines, odd ones are line ends.
        lines[2 * (number - 1)] += "".join(f"\t{name}" for name in missing)
        header += missing
        text = "".join(lines)
        text += "" if text.endswith(("\n", "\r")) else newline
    rows = [[row.get(name, "") for name in header] for row in cells]
    return text + "".join("\t".join(row).rstrip("\t") + newline for row in rows)


def _cell(value):
    """Format a value as a cell: one line, without direction marks, and no formula of a spreadsheet."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}" if value < 1e5 else f"{value:.0f}"
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in str(value) if c not in _DIRECTIONS)
    text = " ".join(text.split())[:MAX_CELL_LENGTH].rstrip()
    return f"'{text}" if text.startswith(_FORMULA) else text


def _last_part(url):
    """Get the last part of an address, without its suffix."""
    return re.sub(r"\.[A-Za-z0-9]{1,5}$", "", re.sub(r"[?#].*$", "", url).rstrip("/").rpartition("/")[2]) or "video"


def _hash(text):
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
