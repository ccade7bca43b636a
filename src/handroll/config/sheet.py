"""Tab-separated sheets that people edit: the sheet of videos with every column, and the one way to read any sheet.

The JSON schema of a row and the columns' reference page are made in `handroll.config.pipeline`.
"""

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from handroll.text import CONTROL, printable, short_repr

IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""What a subject or video id may look like: safe as a folder name, and never `..` or hidden."""

ID_LENGTH = 100
"""Longest subject or video id, in characters: with a suffix it still fits the 255 bytes that file systems allow a name."""

ISO_DATE = r"^\d{4}-\d{2}-\d{2}$"
"""A day as ISO 8601 writes it."""

_LINE_END = re.compile(r"\r\n|\n|\r")
# Not str.splitlines: a title may hold characters, such as U+2028, that it takes for the end of a line.

Size = Annotated[int, Field(ge=1)]

MOST_PROBLEMS = 20
"""Problems that an error lists; a sheet of another kind has one in every line."""


class SheetError(ValueError):
    """A sheet is not right; the message lists every problem with its line."""


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
    override: Literal["accept", "reject"] | None = Field(None, description="a person's verdict, which stands above that of the screens")
    permission: Literal["granted", "unknown", "refused"] = Field(
        "unknown", description="the performer's permission to publish motion and sound"
    )
    licence: str | None = Field(None, description="licence of the recording, as its publisher states it")
    focal_px: Annotated[float, Field(gt=0)] | None = Field(None, description="true focal length (px of the shown picture), where known")
    keyboard: str | None = Field(
        None,
        description="points of the keyboard marked by hand, used instead of looking for it: `KEY-front X Y` or `KEY-back X Y` (px of the shown picture) of the left edges of keys, `end` for the right end, at least 4, separated by `;`, such as `A0-front 102 655; A0-back 110 401; end-front 1820 650; end-back 1811 398`",
    )
    title: str | None = Field(None, description="title, as a listing told it")
    uploader: str | None = Field(None, description="who uploaded the video, as a listing told it")
    upload_date: str | None = Field(None, pattern=ISO_DATE, description="day of the upload (YYYY-MM-DD), as a listing told it")
    duration_s: Annotated[float, Field(ge=0)] | None = Field(None, description="length of the video (s), as a listing told it")
    width_px: Size | None = Field(None, description="width of the picture (px), as a listing told it")
    height_px: Size | None = Field(None, description="height of the picture (px), as a listing told it")
    notes: str | None = Field(None, description="anything for people to read")

    @field_validator("keyboard")
    @classmethod
    def _keyboard_is_readable(cls, text):
        from handroll.keyboard.marked_points import marked_points

        if text:
            marked_points(text)
        return text


def read_sheet(path):
    """The videos of a sheet: tab-separated values with a header; empty lines and lines that start with # are skipped.

    Parameters
    ----------
    path : path
        UTF-8. Columns as the fields of `Video`; `subject`, `video` and `source` are required.

    Returns
    -------
    list of Video
        In the order of the sheet; paths as of `local_path`. Whether the files exist is not checked here.

    Raises
    ------
    SheetError
        Problems with their line numbers: unknown or missing columns, unsafe ids, duplicates, bad values, control characters.
    """
    return [_with_local_paths(video, path) for video in read_rows(path, Video, ("subject", "video"))]


def read_rows(path, model, key=()):
    """The rows of a tab-separated sheet, each checked by a model; empty lines and lines that start with # are skipped.

    Parameters
    ----------
    path : path
        UTF-8, its first line of values the header.
    model : subclass of pydantic.BaseModel
        Its fields are the columns that the sheet may have; required fields are columns that it must have.
    key : tuple of str
        Columns that tell rows apart: two rows that agree in all of them are a problem. Empty: rows may repeat.

    Returns
    -------
    list of model
        In the order of the sheet.

    Raises
    ------
    SheetError
        The problems with their line numbers, at most `MOST_PROBLEMS` of them.
    """
    lines = numbered_lines(read_text(path))
    if not lines:
        raise SheetError(f"sheet {path}: expected a header line and one line a row, found nothing")
    (header_number, header), *body = lines
    header = [name.strip() for name in header]
    problems = _header_problems(header, header_number, model)
    rows, seen = [], {}
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
        if key and name in seen:
            told = ", ".join(f"{column} {value}" for column, value in zip(key, name, strict=True))
            problems.append(f"line {number}: {told} stands already in line {seen[name]}; give each row its own")
            continue
        seen[name] = number
        rows.append(row)
    if problems:
        lines = [f"sheet {path} has {len(problems)} problem(s):", *(f"  {problem}" for problem in problems[:MOST_PROBLEMS])]
        more = len(problems) - MOST_PROBLEMS
        raise SheetError("\n".join([*lines, f"  and {more} more"] if more > 0 else lines))
    return rows


def read_text(path):
    """A sheet's text, line ends as they are; raises SheetError where there is no UTF-8 text."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        # A path with a zero byte is a ValueError.
        raise SheetError(f"sheet {printable(path)}: expected a tab-separated UTF-8 file, found: {error}") from None
    # Without a byte order mark, UTF-16 of English text is valid UTF-8 with a zero byte in every character.
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        raise SheetError(f"sheet {path}: expected a tab-separated UTF-8 file, found UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02x} in line {line}, which is of another encoding"
        raise SheetError(f"sheet {path}: expected a tab-separated UTF-8 file, found {found}; save it as UTF-8") from None


def numbered_lines(text):
    """Lines of a sheet that hold values, as (number from 1, cells); comments and empty lines are left out."""
    lines = enumerate(_LINE_END.split(text), start=1)
    return [(number, line.split("\t")) for number, line in lines if line.strip() and not line.startswith("#")]


def _header_problems(header, number, model):
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
    problems += [f"line {number}: column {short_repr(name)} stands twice" for name in sorted({n for n in header if header.count(n) > 1})]
    return problems


def _explain_cell(problem):
    """Where in a line a pydantic error is, what was expected, what was found."""
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
    """Whether a source is to be downloaded rather than linked."""
    return re.match(r"^[A-Za-z][A-Za-z0-9+.-]*://", source) is not None


def source_name(source):
    """What to call a source in tables: its URL, or the name of a local file, which stays the same when the file's folder moves."""
    return source if is_url(source) else Path(source).name


def local_path(cell, sheet):
    """The path of a file that a sheet names, written in one way however the cell spells it.

    Parameters
    ----------
    cell : str
        A path, relative to the sheet; `~` is the home folder.
    sheet : path
        The sheet's file.

    Returns
    -------
    str
        Without links and `..` in its folders. Relative to the working directory where the cell is relative or the file is below the
        working directory: such a path is still right after the whole project has moved. Else absolute.
    """
    # Unlike Path.expanduser, os.path's leaves the name of a user whom the system does not know as it is.
    here, given = Path.cwd(), Path(os.path.expanduser(cell))
    path = Path(os.path.realpath((Path(sheet).resolve().parent / given).parent), given.name)
    if given.is_absolute() and not path.is_relative_to(here):
        return str(path)
    relative = os.path.relpath(path, here)
    # A name with a colon is not to be taken for an address.
    return os.path.join(os.curdir, relative) if ":" in relative else relative


def _with_local_paths(video, sheet):
    changes = {} if is_url(video.source) else {"source": local_path(video.source, sheet)}
    if video.midi:
        changes["midi"] = local_path(video.midi, sheet)
    return video.model_copy(update=changes)
