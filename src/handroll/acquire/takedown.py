"""Taking videos down: which ones the takedown sheet names, and removing all that derives from them.

The sheet is read when the workflow is planned, so nothing heavy is imported here at the top.
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
"""Files of a dataset that are made from all of its videos, beside its shards and plots."""

_SHARD = re.compile(r"(train|valid|test)-\d{5}\.parquet")

_COLLECTED = (".json", ".tsv", ".md", ".html", ".log", ".txt", ".csv")
"""Suffixes of files made from many videos that are searched for the names of one."""


class Takedown(BaseModel):
    """A row of the takedown sheet: a video, by its ids or by its source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: str | None = Field(None, pattern=IDENTIFIER, max_length=ID_LENGTH, description="performer; together with `video`")
    video: str | None = Field(None, pattern=IDENTIFIER, max_length=ID_LENGTH, description="video id; together with `subject`")
    source: str | None = Field(
        None, description="address of the video, or path of its file relative to this sheet, in any spelling, instead of its ids"
    )
    reason: str | None = Field(None, description="who asked for it and why, for people to read")
    date: str | None = Field(None, pattern=ISO_DATE, description="day of the request (YYYY-MM-DD)")

    @model_validator(mode="after")
    def _names_a_video(self):
        if (self.subject is None) != (self.video is None) or (self.subject is None) == (self.source is None):
            raise ValueError("expected either subject and video, or source")
        return self


@dataclass
class Removal:
    """What taking down removed, or would remove.

    Attributes
    ----------
    videos : list of (str, str)
        Subject and video.
    paths : list of Path
        Files, links and folders, each with all in it.
    size_bytes : int
        Of all files in them.
    not_followed : list of Path
        Links that lead out of the folder of results: what they lead to has to be looked at by a person.
    """

    videos: list = field(default_factory=list)
    paths: list = field(default_factory=list)
    size_bytes: int = 0
    not_followed: list = field(default_factory=list)


def read_takedown(path):
    """Read the takedown sheet as a tuple of Takedown, with local paths resolved; empty where there is no such file.

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
    """The (subject, video) of those of the sheet's videos that stand on the list, as a frozenset: quick for thousands of both.

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
    """Remove all results that derive from the videos on the list.

    That is every folder and file of theirs in any phase, partial downloads, logs and benchmarks, Snakemake's records of them,
    and every file made from many videos, which lie in a phase's own folder, that holds or names one of theirs; where a shard does,
    the packed files beside it go together, so that the next run packs them again, and so does an export that holds one. An
    experiment of the benchmark whose motion, features, windows or scored motions hold one goes as a whole, with its scores, its
    tables, and the models that were trained or validated on it; an experiment on other data stays. A local source stays: only the
    link to it goes. Links are never followed.

    Parameters
    ----------
    takedowns : iterable of Takedown
    directory : path
        The working directory: the folder of `results`.
    videos : iterable of handroll.config.sheet.Video
        The sheet; a row that names a source is also looked up among the results, for a video that no longer stands there.
    dry_run : bool
        Only say what would be removed.

    Returns
    -------
    Removal
    """
    # The folder itself may be a link, to a larger disk: a person put it there.
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
    """(subject, video) of all that is to be removed, results there or not."""
    yield from {(row.subject, row.video) for row in takedowns if row.source is None}
    yield from taken_down_names([row for row in takedowns if row.source is not None], videos)
    keys = {same_video_key(row.source) for row in takedowns if row.source is not None}
    for path in results.glob("acquire/*/*/info.json") if keys else ():
        subject, video = path.parts[-3:-1]
        if same_video_key(_source_of(path)) in keys and re.fullmatch(IDENTIFIER, subject) and re.fullmatch(IDENTIFIER, video):
            yield subject, video


def _source_of(path):
    """The source of the video beside an info.json: the file that its link leads to, else what info.json names; empty where unreadable."""
    video = path.with_name("video")
    if video.is_symlink():
        return os.path.join(video.parent, os.readlink(video))
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["source"])
    except (ValueError, KeyError, TypeError):
        return ""


def _of_videos(results, names, not_followed):
    """Paths below the results that are, or hold something, of the videos; links to folders are put into `not_followed`."""
    packed = set()
    for place, folders, files in os.walk(results):
        place = Path(place)
        if place == results / "export":
            # Made anew from the shards in a moment, and in layouts of others: one that holds a video goes as a whole.
            yield from (place / name for name in folders if _holds_one(place / name, names))
            folders[:] = []
        if place == results / "benchmark":
            # An experiment's files all derive from all clips that it was made from; the next run makes them again without the video.
            gone = [name for name in folders if not (place / name).is_symlink() and _experiment_holds_one(place / name, names)]
            yield from (place / name for name in gone)
            folders[:] = [name for name in folders if name not in gone]
        of_subject = _is_of_subject(place.relative_to(results).parts)
        not_followed += [place / name for name in folders if (place / name).is_symlink()]
        gone = [name for name in folders if of_subject and (place.name, name) in names]
        yield from (place / name for name in gone)
        folders[:] = [name for name in folders if name not in gone]
        for name in files:
            path = place / name
            # Only a phase's own folder holds what is made from many videos; below it, others' files may say the same words.
            collected = place.parent == results and not path.is_symlink()
            if (of_subject and _is_of(place.name, name, names)) or (collected and _names_one(path, names)):
                yield path
                if collected and _is_shard(name):
                    packed.add(place)
    for place in packed:
        yield from (path for path in place.iterdir() if path.is_file() and _is_packed(path))


def _holds_one(folder, names):
    """Whether a folder holds one of the videos anywhere: a folder or file of its name in a folder of its subject's."""
    for place, folders, files in os.walk(folder):
        subject = os.path.basename(place)
        if any((subject, name) in names for name in folders) or any(_is_of(subject, name, names) for name in files):
            return True
    return False


def _experiment_holds_one(folder, names):
    """Whether an experiment was made from one of the videos: its tables have a row of it, or its lists of windows name it."""
    for place, _, files in os.walk(folder):
        for name in files:
            path = Path(place, name)
            if path.is_symlink():
                continue
            if name in ("training.json", "windows.json") and _windows_name_one(path, names):
                return True
            # What a killed job was writing may be unreadable; it is no sign that the experiment has to do with the video.
            if path.suffix == ".parquet" and not temporary_target(name) and _table_names_one(path, names):
                return True
    return False


def _windows_name_one(path, names):
    """Whether a list of windows (rules prepare_training, choose_windows) has one of the videos."""
    try:
        windows = json.loads(path.read_text(encoding="utf-8")).get("windows", {})
        return any((subject, video) in names for entries in windows.values() for subject, video, *_ in entries)
    except (ValueError, TypeError, AttributeError):
        # A file that cannot be read might hold it.
        return True


def _is_of_subject(parts):
    """Whether a folder is a subject's, by its parts below the results: a subject may be named like a phase, a rule or `clips`."""
    if parts[:1] == ("benchmark",):
        # Experiments, whatever they are called.
        return False
    nested = parts[:1] in (("logs",), ("benchmarks",)) or parts[:2] == ("dataset", "clips")
    return len(parts) == (3 if nested else 2)


def _is_of(subject, name, names):
    """Whether a file in a subject's folder is named after one of the videos: `prelude.parquet` is of `prelude`, not of `prelude.2`."""
    stem = (temporary_target(name) or name).rpartition(".")[0]
    return (subject, name) in names or (subject, stem) in names


def _is_packed(path):
    return path.name in PACKED or path.suffix == ".png" or _is_shard(path.name)


def _is_shard(name):
    """Whether a file is a shard, or one that a killed job was writing."""
    return _SHARD.fullmatch(temporary_target(name) or name) is not None


def _names_one(path, names):
    """Whether a file made from many videos holds one of the videos."""
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
        # What cannot be read might hold it.
        return True
    return False


def _records(folder, names):
    """Snakemake's records of outputs of the videos: files named by the output's path in base64, cut into folders where it is long."""
    for kind in ("metadata", "incomplete"):
        for place, _, files in os.walk(folder / kind):
            for name in files:
                parts = [*(part.removeprefix("@") for part in Path(place, name).relative_to(folder / kind).parts)]
                try:
                    output = Path(base64.urlsafe_b64decode("".join(parts)).decode())
                except (binascii.Error, UnicodeDecodeError):
                    continue
                if output.parts[:1] == ("results",) and _is_output_of(output.parts[1:], names):
                    yield Path(place, name)


def _is_output_of(parts, names):
    """Whether an output, by its parts below the results, is of one of the videos."""
    place = next((end for end in range(len(parts)) if _is_of_subject(parts[:end])), None)
    if place is None:
        return False
    subject, name = parts[place - 1 : place + 1]
    return (subject, name) in names or (place == len(parts) - 1 and _is_of(subject, name, names))


def _size(path):
    """Bytes of a file, or of all files in a folder; links count nothing."""
    if path.is_symlink():
        return 0
    if path.is_file():
        return path.stat().st_size
    return sum(_size(Path(place, name)) for place, _, files in os.walk(path) for name in files)


def _remove(path):
    """Remove a file, a link (not what it leads to), or a folder, also where they are read-only."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for place, _, _ in os.walk(path):
        os.chmod(place, 0o755)
    shutil.rmtree(path)


def _remove_empty_folders(results, names):
    """Remove the subjects' folders that are empty now."""
    for subject in {subject for subject, _ in names}:
        for folder in [path for path in results.rglob(subject) if path.is_dir() and not path.is_symlink()]:
            if not any(folder.iterdir()):
                folder.rmdir()
