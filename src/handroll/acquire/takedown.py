"""Take videos down: read the takedown sheet, and remove all results that derive from its videos.

The sheet is read when the workflow is planned, so this module imports no heavy library at the top.
"""

import base64
import binascii
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from handroll.acquire.sites import same_video_key
from handroll.config.sheet import ID_LENGTH, IDENTIFIER, ISO_DATE, is_url, local_path, read_rows
from handroll.provenance import temporary_target

PACKED = ("shards.json", "README.md", "statistics.json", "croissant.json")
"""Files of a dataset that derive from all of its videos, apart from shards and plots."""

_SHARD = re.compile(r"(train|valid|test)-\d{5}\.parquet")

_COLLECTED = (".json", ".tsv", ".md", ".html", ".log", ".txt", ".csv")
"""Suffixes of files on many videos that are searched for the names of a video."""


class Takedown(BaseModel):
    """A row of the takedown sheet: a video, by its ids or by its source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: str | None = Field(None, pattern=IDENTIFIER, max_length=ID_LENGTH, description="performer; together with `video`")
    video: str | None = Field(None, pattern=IDENTIFIER, max_length=ID_LENGTH, description="video id; together with `subject`")
    source: str | None = Field(
        None, description="address of the video, or path of its file relative to this sheet, in any spelling, instead of its ids"
    )
    reason: str | None = Field(None, description="who asked for it and why, for people")
    date: str | None = Field(None, pattern=ISO_DATE, description="day of the request (YYYY-MM-DD)")

    @model_validator(mode="after")
    def _names_a_video(self):
        if (self.subject is None) != (self.video is None) or (self.subject is None) == (self.source is None):
            raise ValueError("expected either subject and video, or source")
        return self


@dataclass
class Removal:
    """Result of a takedown: what was removed, or would be.

    Attributes
    ----------
    videos : list of (str, str)
        Subject and video.
    paths : list of Path
        Files, links and whole folders.
    size_bytes : int
        Total size of all files in them.
    not_followed : list of Path
        Links to other folders; a person has to check these.
    """

    videos: list = field(default_factory=list)
    paths: list = field(default_factory=list)
    size_bytes: int = 0
    not_followed: list = field(default_factory=list)


def read_takedown(path):
    """Read the takedown sheet as a tuple of Takedown, with local paths resolved; empty if the file does not exist.

    Raises
    ------
    handroll.config.sheet.SheetError
        Every problem with its line number.
    """
    return tuple(_with_local_path(row, path) for row in read_rows(path, Takedown)) if Path(path).exists() else ()


def _with_local_path(row, sheet):
    if row.source is None or is_url(row.source):
        return row
    return row.model_copy(update={"source": local_path(row.source, sheet)})


def taken_down_names(takedowns, videos):
    """Select the (subject, video) of the sheet's videos that the takedown sheet names, as a frozenset. Fast for thousands of both.

    Parameters
    ----------
    takedowns : iterable of Takedown
    videos : iterable of handroll.config.sheet.Video
    """
    names = {(row.subject, row.video) for row in takedowns if row.source is None}
    keys = {same_video_key(row.source) for row in takedowns if row.source is not None}
    return frozenset(
        (row.subject, row.video) for row in videos if (row.subject, row.video) in names or (keys and same_video_key(row.source) in keys)
    )


def remove_taken_down(takedowns, directory, videos=(), dry_run=False):
    """Remove all results that derive from the videos of the takedown sheet.

    These are removed:

    - folders and files of the video in all phases, partial downloads, logs, timings, and Snakemake's records of them;
    - files on many videos that name the video (they are directly in the folder of a phase);
    - all packed files of a dataset if one of its shards holds the video: the next run packs them again;
    - exports that hold the video;
    - experiments whose motion, features, windows or generated motion hold the video, with scores, tables and the models that were
      trained or validated on it.

    A local source stays; only the link to it is removed. Links are never followed.

    Parameters
    ----------
    takedowns : iterable of Takedown
    directory : path
        The working directory: the folder of `results`.
    videos : iterable of handroll.config.sheet.Video
        The sheet. A takedown by source is also looked up in the results, for videos that are no longer in the sheet.
    dry_run : bool
        Only report what would be removed.

    Returns
    -------
    Removal
    """
    # `results` itself may be a link to a larger disk.
    results = (Path(directory) / "results").resolve()
    names = frozenset(_names(tuple(takedowns), results, videos))
    removal = Removal(sorted(names))
    if not names:
        return removal
    removal.paths = sorted({*_of_videos(results, names, removal.not_followed), *_records(Path(directory) / ".snakemake", names)})
    removal.size_bytes = sum(map(_size, removal.paths))
    if not dry_run:
        for path in removal.paths:
            _remove(path)
        _remove_empty_folders(results, names)
    return removal


def _names(takedowns, results, videos):
    """Yield the (subject, video) of all videos to remove, with or without results."""
    yield from {(row.subject, row.video) for row in takedowns if row.source is None}
    yield from taken_down_names([row for row in takedowns if row.source is not None], videos)
    keys = {same_video_key(row.source) for row in takedowns if row.source is not None}
    for path in results.glob("acquire/*/*/info.json") if keys else ():
        subject, video = path.parts[-3:-1]
        if same_video_key(_source_of(path)) in keys and re.fullmatch(IDENTIFIER, subject) and re.fullmatch(IDENTIFIER, video):
            yield subject, video


def _source_of(path):
    """Find the source of the video beside an info.json: the target of its link, else the source in info.json; empty if unreadable."""
    video = path.with_name("video")
    if video.is_symlink():
        return os.path.join(video.parent, os.readlink(video))
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["source"])
    except (ValueError, KeyError, TypeError):
        return ""


def _of_videos(results, names, not_followed):
    """Yield the paths below the results that are of the videos or hold one; links to folders are added to `not_followed`."""
    packed = set()
    for parent, folders, files in os.walk(results):
        parent = Path(parent)
        if parent == results / "export":
            # An export has a foreign layout and is quickly made again, so it is removed as a whole.
            yield from (parent / name for name in folders if _holds_one(parent / name, names))
            folders[:] = []
        if parent == results / "experiments":
            # All files of an experiment derive from all of its clips; the next run makes them again without the video.
            gone = [name for name in folders if not (parent / name).is_symlink() and _experiment_holds_one(parent / name, names)]
            yield from (parent / name for name in gone)
            folders[:] = [name for name in folders if name not in gone]
        of_subject = _is_of_subject(parent.relative_to(results).parts)
        not_followed += [parent / name for name in folders if (parent / name).is_symlink()]
        gone = [name for name in folders if of_subject and (parent.name, name) in names]
        yield from (parent / name for name in gone)
        folders[:] = [name for name in folders if name not in gone]
        for name in files:
            path = parent / name
            # Files on many videos are directly in a phase's folder. Files of other videos below it may contain the same words.
            collected = parent.parent == results and not path.is_symlink()
            if (of_subject and _is_of(parent.name, name, names)) or (collected and _names_one(path, names)):
                yield path
                if collected and _is_shard(name):
                    packed.add(parent)
    for parent in packed:
        yield from (path for path in parent.iterdir() if path.is_file() and _is_packed(path))


def _holds_one(folder, names):
    """Whether a folder contains, at any depth, a folder or file with a video's name in a folder with its subject's name."""
    for parent, folders, files in os.walk(folder):
        subject = os.path.basename(parent)
        if any((subject, name) in names for name in folders) or any(_is_of(subject, name, names) for name in files):
            return True
    return False


def _experiment_holds_one(folder, names):
    """Whether an experiment derives from one of the videos: a table has a row of it, or a list of windows names it."""
    for parent, _, files in os.walk(folder):
        for name in files:
            path = Path(parent, name)
            if path.is_symlink():
                continue
            if name in ("training.json", "windows.json") and _windows_name_one(path, names):
                return True
            # Temporary files of killed jobs may be unreadable. They do not show that the experiment holds the video.
            if path.suffix == ".parquet" and not temporary_target(name) and _table_names_one(path, names):
                return True
    return False


def _windows_name_one(path, names):
    """Whether a list of windows (rules prepare_training, choose_windows) names one of the videos."""
    try:
        windows = json.loads(path.read_text(encoding="utf-8")).get("windows", {})
        return any((subject, video) in names for entries in windows.values() for subject, video, *_ in entries)
    except (ValueError, TypeError, AttributeError):
        # An unreadable file may hold the video.
        return True


def _is_of_subject(parts):
    """Whether a folder is that of a subject, by its depth below the results: subjects may have the names of phases or rules."""
    if parts[:1] == ("experiments",):
        return False
    nested = parts[:1] in (("logs",), ("timings",)) or parts[:2] == ("dataset", "clips")
    return len(parts) == (3 if nested else 2)


def _is_of(subject, name, names):
    """Whether a file in a subject's folder has the name of a video: `prelude.parquet` is of `prelude`, not of `prelude.2`."""
    stem = (temporary_target(name) or name).rpartition(".")[0]
    return (subject, name) in names or (subject, stem) in names


def _is_packed(path):
    return path.name in PACKED or path.suffix == ".png" or _is_shard(path.name)


def _is_shard(name):
    """Whether a file is a shard, or the temporary file of one."""
    return _SHARD.fullmatch(temporary_target(name) or name) is not None


def _names_one(path, names):
    """Whether a file on many videos holds one of the videos."""
    if path.suffix == ".parquet":
        return _table_names_one(path, names)
    if path.suffix not in _COLLECTED:
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(_word(video).search(text) and _word(subject).search(text) for subject, video in names)


def _word(name):
    return re.compile(rf"(?<![A-Za-z0-9_-]){re.escape(name)}(?![A-Za-z0-9_-])")


def _table_names_one(path, names):
    """Whether a Parquet file has a row of one of the videos."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if not {"subject", "video"} <= set(file.schema_arrow.names):
                return False
            for batch in file.iter_batches(columns=["subject", "video"]):
                if not names.isdisjoint(zip(batch["subject"].to_pylist(), batch["video"].to_pylist(), strict=True)):
                    return True
    except (pa.ArrowException, OSError):
        # An unreadable file may hold the video.
        return True
    return False


def _records(folder, names):
    """Yield Snakemake's records of outputs of the videos.

    The name of a record is the path of the output in base64; a long name is split into folders.
    """
    for kind in ("metadata", "incomplete"):
        for parent, _, files in os.walk(folder / kind):
            for name in files:
                parts = [*(part.removeprefix("@") for part in Path(parent, name).relative_to(folder / kind).parts)]
                try:
                    output = Path(base64.urlsafe_b64decode("".join(parts)).decode())
                except (binascii.Error, UnicodeDecodeError):
                    continue
                if output.parts[:1] == ("results",) and _is_output_of(output.parts[1:], names):
                    yield Path(parent, name)


def _is_output_of(parts, names):
    """Whether an output, by its parts below the results, is of one of the videos."""
    depth = next((end for end in range(len(parts)) if _is_of_subject(parts[:end])), None)
    if depth is None:
        return False
    subject, name = parts[depth - 1 : depth + 1]
    return (subject, name) in names or (depth == len(parts) - 1 and _is_of(subject, name, names))


def _size(path):
    """Size of a file, or of all files in a folder; links do not count."""
    if path.is_symlink():
        return 0
    if path.is_file():
        return path.stat().st_size
    return sum(_size(Path(parent, name)) for parent, _, files in os.walk(path) for name in files)


def _remove(path):
    """Remove a file, a link (not its target) or a folder, also read-only ones."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for parent, _, _ in os.walk(path):
        os.chmod(parent, 0o755)
    shutil.rmtree(path)


def _remove_empty_folders(results, names):
    """Remove the folders of subjects that are empty."""
    for subject in {subject for subject, _ in names}:
        for folder in [path for path in results.rglob(subject) if path.is_dir() and not path.is_symlink()]:
            if not any(folder.iterdir()):
                folder.rmdir()
