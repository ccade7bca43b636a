"""Read and validate tab-separated sheets that people edit, such as the sheet of videos.

`handroll.config.reference` generates the JSON schema of a row and the reference of the columns.
"""

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from handroll.text import CONTROL, printable, short_repr

IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""Pattern of a subject or video id. An id is a safe folder name: not `..`, and not hidden."""

ID_LENGTH = 100
"""Maximum length of a subject or video id, in characters. File systems allow names of 255 bytes, and result files have suffixes."""

ISO_DATE = r"^\d{4}-\d{2}-\d{2}$"
"""Pattern of a day in ISO 8601."""

# Line ends of a sheet. `str.splitlines` is not used, since it also splits at characters that titles may contain, such as U+2028.
_LINE_END = re.compile(r"\r\n|\n|\r")

Size = Annotated[int, Field(ge=1)]
"""Size in pixels, at least 1."""

MAX_PROBLEMS = 20
"""Maximum number of problems in an error message. A file that is not a sheet has a problem in every line."""


class SheetError(ValueError):
    """Raised for an invalid sheet; the message lists the problems with their line numbers."""


class Video(BaseModel):
    """A row of the sheet of videos."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    subject: str = Field(pattern=IDENTIFIER, max_length=ID_LENGTH, description="performer; letters, digits, `_ . -`")
    video: str = Field(pattern=IDENTIFIER, max_length=ID_LENGTH, description="video id, unique for its subject; letters, digits, `_ . -`")
    source: str = Field(min_length=1, description="URL, or path relative to the sheet")
    midi: str | None = Field(
        None,
        description="the performer's own MIDI file, path relative to the sheet, time 0 = the video's first frame; used instead of the transcription",
    )
    split: Literal["train", "valid", "test"] | None = Field(None, description="pins the video to a split")
    override: Literal["accept", "reject"] | None = Field(None, description="a person's verdict, which takes precedence over the screening")
    permission: Literal["granted", "unknown", "refused"] = Field(
        "unknown", description="the performer's permission to publish motion and audio"
    )
    licence: str | None = Field(None, description="licence of the recording, as its publisher states it")
    focal_px: Annotated[float, Field(gt=0)] | None = Field(None, description="true focal length (px of the displayed frame), if known")
    keyboard: str | None = Field(
        None,
        description="points of the keyboard marked by hand, used instead of automatic detection: `KEY-front X Y` or `KEY-back X Y` (px of the displayed frame) for the left edges of keys, `end` for the right end of the keyboard, at least 4, separated by `;`, such as `A0-front 102 655; A0-back 110 401; end-front 1820 650; end-back 1811 398`",
    )
    title: str | None = Field(None, description="title, from a listing")
    uploader: str | None = Field(None, description="uploader of the video, from a listing")
    upload_date: str | None = Field(None, pattern=ISO_DATE, description="day of the upload (YYYY-MM-DD), from a listing")
    duration_s: Annotated[float, Field(ge=0)] | None = Field(None, description="duration of the video (s), from a listing")
    width_px: Size | None = Field(None, description="width of the frames (px), from a listing")
    height_px: Size | None = Field(None, description="height of the frames (px), from a listing")
    notes: str | None = Field(None, description="notes for people")

    @field_validator("keyboard")
    @classmethod
    def _keyboard_is_readable(cls, text):
        from handroll.keyboard.marked_points import marked_points

        if text:
            marked_points(text)
        return text


def read_sheet(path):
    """Read the videos of a sheet: tab-separated values with a header. Empty lines and lines that start with # are skipped.

    Parameters
    ----------
    path : path
        UTF-8 text. The columns are the fields of `Video`; `subject`, `video` and `source` are required.

    Returns
    -------
    list of Video
        Videos in the order of the sheet, with paths normalised by `local_path`. The files need not exist.

    Raises
    ------
    SheetError
        The sheet has unknown or missing columns, unsafe ids, duplicates, bad values or control characters.
    """
    return [_with_local_paths(video, path) for video in read_rows(path, Video, ("subject", "video"))]


def read_rows(path, model, key=()):
    """Read the rows of a tab-separated sheet and validate each row. Empty lines and lines that start with # are skipped.

    Parameters
    ----------
    path : path
        UTF-8 text. The first line that is not skipped is the header.
    model : subclass of pydantic.BaseModel
        Model of a row. Its fields are the known columns; required fields are required columns.
    key : tuple of str
        Columns that identify a row. Two rows with equal values in all of them are an error. Empty: rows may repeat.

    Returns
    -------
    list of model
        Rows in the order of the sheet.

    Raises
    ------
    SheetError
        The sheet is invalid; the message contains at most `MAX_PROBLEMS` problems.
    """
    lines = numbered_lines(read_text(path))
    if not lines:
        raise SheetError(f"sheet {path}: expected a header line and one line for each row, found only empty lines and comments")
    (header_number, header), *body = lines
    header = [name.strip() for name in header]
    problems = _header_problems(header, header_number, model)
    rows, lines_of = [], {}
    for number, cells in [] if problems else body:
        if len(cells) > len(header):
            problems.append(f"line {number}: expected {len(header)} tab-separated cells, found {len(cells)}")
            continue
        values = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
        if hidden := [name for name, value in values.items() if CONTROL.search(value)]:
            problems += [
                f"line {number}, column {name}: expected text without control characters, found {short_repr(values[name])}"
                for name in hidden
            ]
            continue
        try:
            row = model.model_validate(values)
        except ValidationError as error:
            problems += [f"line {number}{_explain_cell(problem)}" for problem in error.errors()]
            continue
        name = tuple(getattr(row, column) for column in key)
        if key and name in lines_of:
            shared = ", ".join(f"{column} {value}" for column, value in zip(key, name, strict=True))
            problems.append(f"line {number}: {shared} is already in line {lines_of[name]}; change or remove one of these rows")
            continue
        lines_of[name] = number
        rows.append(row)
    if problems:
        lines = [f"sheet {path} has {len(problems)} problem(s):", *(f"  {problem}" for problem in problems[:MAX_PROBLEMS])]
        more = len(problems) - MAX_PROBLEMS
        raise SheetError("\n".join([*lines, f"  and {more} more problems"] if more > 0 else lines))
    return rows


def read_text(path):
    """Read a sheet as text without changing line ends. Raise SheetError if it is not UTF-8 text."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        # A path that contains a zero byte raises ValueError.
        raise SheetError(f"sheet {printable(path)}: expected a tab-separated UTF-8 file, but it cannot be read: {error}") from None
    # UTF-16 text is recognised by its byte order mark or by zero bytes: every English letter has one in UTF-16, and none in UTF-8.
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        raise SheetError(f"sheet {path}: expected a tab-separated UTF-8 file, found UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02x} in line {line}, which is not valid UTF-8"
        raise SheetError(f"sheet {path}: expected a tab-separated UTF-8 file, found {found}; save it as UTF-8") from None


def numbered_lines(text):
    """Return the lines of a sheet as a list of (line number from 1, list of cells), without comments and empty lines."""
    lines = enumerate(_LINE_END.split(text), start=1)
    return [(number, line.split("\t")) for number, line in lines if line.strip() and not line.startswith("#")]


def _header_problems(header, number, model):
    """Return the problems of a header, a list of messages: unknown, missing and duplicate columns.

    `header`: names of the columns. `number`: line of the header, from 1. `model`: see `read_rows`.
    """
    known = list(model.model_fields)
    problems = []
    for name in header:
        if name not in known:
            close = difflib.get_close_matches(name[:ID_LENGTH], known, n=1, cutoff=0.5)
            problems.append(
                f"line {number}: unknown column {short_repr(name)}; "
                + (f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}")
            )
    needed = [name for name, field in model.model_fields.items() if field.is_required()]
    problems += [f"line {number}: column {name!r} is missing" for name in needed if name not in header]
    problems += [f"line {number}: column {short_repr(name)} occurs twice" for name in sorted({n for n in header if header.count(n) > 1})]
    return problems


def _explain_cell(problem):
    """Describe a pydantic error: the column, what was expected, what was found. The text follows `line N`."""
    if not problem["loc"]:
        return f": {problem['ctx']['error']}"
    name = problem["loc"][0]
    if problem["type"] == "missing":
        return f", column {name}: expected a value, found an empty cell"
    if problem["type"] == "string_pattern_mismatch" and problem["ctx"]["pattern"] == IDENTIFIER:
        return f", column {name}: expected letters, digits, '_', '.' or '-', starting with a letter or digit, found {short_repr(problem['input'])}"
    if problem["type"] == "string_pattern_mismatch" and problem["ctx"]["pattern"] == ISO_DATE:
        return f", column {name}: expected a day as YYYY-MM-DD, found {short_repr(problem['input'])}"
    if problem["type"] == "value_error":
        return f", column {name}: {problem['ctx']['error']}"
    return f", column {name}: {problem['msg'][0].lower()}{problem['msg'][1:]}; found {short_repr(problem['input'])}"


def is_url(source):
    """Return whether a source is a URL (downloaded) and not the path of a file (linked)."""
    return re.match(r"^[A-Za-z][A-Za-z0-9+.-]*://", source) is not None


def source_name(source):
    """Return the name of a source for tables: its URL, or the file name without its folder, so that moving the folder changes nothing."""
    return source if is_url(source) else Path(source).name


def local_path(cell, sheet):
    """Normalise the path of a file in a sheet.

    Parameters
    ----------
    cell : str
        Path in the sheet. A relative path is relative to the folder of the sheet; `~` is the home folder.
    sheet : path
        The sheet's file.

    Returns
    -------
    str
        Path with links and `..` in its folders resolved. It is relative to the working directory if the cell is relative or the file is
        below the working directory, so that it stays valid when the whole project moves. Otherwise it is absolute.
    """
    # `os.path.expanduser` does not change `~unknown`, while `Path.expanduser` raises an error for an unknown user.
    here, given = Path.cwd(), Path(os.path.expanduser(cell))
    path = Path(os.path.realpath((Path(sheet).resolve().parent / given).parent), given.name)
    if given.is_absolute() and not path.is_relative_to(here):
        return str(path)
    relative = os.path.relpath(path, here)
    # Without the prefix `./`, a file name that contains a colon would look like a URL.
    return os.path.join(os.curdir, relative) if ":" in relative else relative


def _with_local_paths(video, sheet):
    """Return a Video whose paths are normalised by `local_path`."""
    changes = {} if is_url(video.source) else {"source": local_path(video.source, sheet)}
    if video.midi:
        changes["midi"] = local_path(video.midi, sheet)
    return video.model_copy(update=changes)
