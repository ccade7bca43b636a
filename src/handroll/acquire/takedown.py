"""Take videos down: read the takedown list, and remove all results that derive from its videos.

Snakemake reads the list when it plans the workflow, so the top of this module imports no heavy library.
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
"""Files of a dataset, except shards and plots, that derive from all of its videos."""

# Name of a shard.
_SHARD = re.compile(r"(train|valid|test)-\d{5}\.parquet")

# Suffixes of the text files in which the names of taken-down videos are searched.
_COLLECTED = (".json", ".tsv", ".md", ".html", ".log", ".txt", ".csv")


class Takedown(BaseModel):
    """A row of the takedown list: a video, given by its ids or by its source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: str | None = Field(None, pattern=IDENTIFIER, max_length=ID_LENGTH, description="performer; together with `video`")
    video: str | None = Field(None, pattern=IDENTIFIER, max_length=ID_LENGTH, description="video id; together with `subject`")
    source: str | None = Field(
        None, description="instead of the ids: address of the video in any spelling, or path of its file relative to this sheet"
    )
    reason: str | None = Field(None, description="who asked for the takedown, and why; a note for people")
    date: str | None = Field(None, pattern=ISO_DATE, description="day of the request (YYYY-MM-DD)")

    @model_validator(mode="after")
    def _names_a_video(self):
        if (self.subject is None) != (self.video is None) or (self.subject is None) == (self.source is None):
            raise ValueError("expected either subject and video, or source")
        return self


@dataclass
class Removal:
    """Result of a takedown: what was removed, or would be removed in a dry run.

    Attributes
    ----------
    videos : list of (str, str)
        Subject and video id of each video.
    paths : list of Path
        Removed files, links and whole folders.
    size_bytes : int
        Total size of the removed files.
    not_followed : list of Path
        Links to other folders, which are not removed; a person must check those folders.
    """

    videos: list = field(default_factory=list)
    paths: list = field(default_factory=list)
    size_bytes: int = 0
    not_followed: list = field(default_factory=list)


def read_takedown(path):
    """Read the takedown list as a tuple of Takedown, with local paths resolved; empty if the file does not exist.

    Raises
    ------
    handroll.config.sheet.SheetError
        The list is invalid; the message contains every problem with its line number.
    """
    return tuple(_with_local_path(row, path) for row in read_rows(path, Takedown)) if Path(path).exists() else ()


def _with_local_path(row, sheet):
    """Return a Takedown whose local path is resolved."""
    if row.source is None or is_url(row.source):
        return row
    return row.model_copy(update={"source": local_path(row.source, sheet)})


def taken_down_names(takedowns, videos):
    """Return the (subject, video) of the sheet's videos that are on the takedown list, as a frozenset.

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
    """Remove all results that derive from the videos on the takedown list.

    These are removed:

    - all folders and files of the video itself, with partial downloads, logs, timings, and Snakemake's records of them;
    - files about several videos that mention the video (such files are directly in the folder of a phase);
    - all packed files of a dataset if one of its shards contains the video: the next run packs them again;
    - exports that contain the video;
    - experiments whose motion, features, windows or generated motion contain the video, including scores, tables and the models that
      were trained or validated on it.

    The file of a local source is kept; only the link to it is removed. Links to folders are never followed.

    Parameters
    ----------
    takedowns : iterable of Takedown
    directory : path
        Working directory: the folder that contains `results`.
    videos : iterable of handroll.config.sheet.Video
        Videos of the sheet. A takedown by source is also looked up in the results, for videos that are no longer in the sheet.
    dry_run : bool
        If true, nothing is removed; the result contains what would be removed.

    Returns
    -------
    Removal
    """
    # `results` itself may be a link to a folder on a larger disk.
    results = (Path(directory) / "results").resolve()
    names = frozenset(_names_to_remove(tuple(takedowns), results, videos))
    removal = Removal(sorted(names))
    if not names:
        return removal
    removal.paths = sorted(
        {*_paths_to_remove(results, names, removal.not_followed), *_snakemake_records(Path(directory) / ".snakemake", names)}
    )
    removal.size_bytes = sum(map(_total_bytes, removal.paths))
    if not dry_run:
        for path in removal.paths:
            _remove(path)
        _remove_empty_folders(results, names)
    return removal


def _names_to_remove(takedowns, results, videos):
    """Yield the (subject, video) of all videos to take down: those of the list and the sheet, and those in the results.

    `takedowns`: tuple of Takedown. `results`: folder of results. `videos`: rows of the sheet.
    """
    yield from {(row.subject, row.video) for row in takedowns if row.source is None}
    yield from taken_down_names([row for row in takedowns if row.source is not None], videos)
    keys = {same_video_key(row.source) for row in takedowns if row.source is not None}
    for path in results.glob("acquire/*/*/info.json") if keys else ():
        subject, video = path.parts[-3:-1]
        if same_video_key(_source_of(path)) in keys and re.fullmatch(IDENTIFIER, subject) and re.fullmatch(IDENTIFIER, video):
            yield subject, video


def _source_of(path):
    """Return the source of a video, given the path of its info.json.

    The source is the target of the link `video` next to info.json. Without a link, it is the source in info.json, or empty if info.json
    is not readable.
    """
    video = path.with_name("video")
    if video.is_symlink():
        return os.path.join(video.parent, os.readlink(video))
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["source"])
    except (ValueError, KeyError, TypeError):
        return ""


def _paths_to_remove(results, names, not_followed):
    """Yield the files, links and folders below `results` that belong to the videos, or that contain data of one of them.

    Links to folders are not followed; they are added to the list `not_followed`. `names`: set of (subject, video).
    """
    packed = set()
    for parent, folders, files in os.walk(results):
        parent = Path(parent)
        if parent == results / "export":
            # An export has a layout of its own and is quickly created again, so it is removed as a whole.
            yield from (parent / name for name in folders if _contains_video(parent / name, names))
            folders[:] = []
        if parent == results / "experiments":
            # All files of an experiment derive from all of its clips. The next run creates them again without the video.
            gone = [name for name in folders if not (parent / name).is_symlink() and _experiment_contains_video(parent / name, names)]
            yield from (parent / name for name in gone)
            folders[:] = [name for name in folders if name not in gone]
        of_subject = _is_subject_folder(parent.relative_to(results).parts)
        not_followed += [parent / name for name in folders if (parent / name).is_symlink()]
        gone = [name for name in folders if of_subject and (parent.name, name) in names]
        yield from (parent / name for name in gone)
        folders[:] = [name for name in folders if name not in gone]
        for name in files:
            path = parent / name
            # Only files directly in a phase's folder are searched, because they are about several videos. A file about a single other
            # video may contain the same words by chance.
            collected = parent.parent == results and not path.is_symlink()
            if (of_subject and _is_file_of_video(parent.name, name, names)) or (collected and _file_contains_video(path, names)):
                yield path
                if collected and _is_shard(name):
                    packed.add(parent)
    for parent in packed:
        yield from (path for path in parent.iterdir() if path.is_file() and _is_packed(path))


def _contains_video(folder, names):
    """Return whether a folder contains, at any depth, a folder or file SUBJECT/VIDEO of one of the videos `names`, (subject, video)."""
    for parent, folders, files in os.walk(folder):
        subject = os.path.basename(parent)
        if any((subject, name) in names for name in folders) or any(_is_file_of_video(subject, name, names) for name in files):
            return True
    return False


def _experiment_contains_video(folder, names):
    """Return whether an experiment derives from one of the videos `names`, (subject, video).

    It does if its folder contains a table or a list of windows with the video.
    """
    for parent, _, files in os.walk(folder):
        for name in files:
            path = Path(parent, name)
            if path.is_symlink():
                continue
            if name in ("training.json", "windows.json") and _windows_contain_video(path, names):
                return True
            # Temporary files of killed jobs may be unreadable, which does not mean that the experiment contains the video.
            if path.suffix == ".parquet" and not temporary_target(name) and _table_contains_video(path, names):
                return True
    return False


def _windows_contain_video(path, names):
    """Return whether a list of windows, written by prepare_training or choose_windows, contains one of the videos; True if unreadable."""
    try:
        windows = json.loads(path.read_text(encoding="utf-8")).get("windows", {})
        return any((subject, video) in names for entries in windows.values() for subject, video, *_ in entries)
    except (ValueError, TypeError, AttributeError):
        # An unreadable file may contain the video.
        return True


def _is_subject_folder(parts):
    """Return whether a folder is the folder of a subject. `parts`: names in its path below `results`, a tuple.

    The depth of the folder decides, since subjects may have the names of phases or rules.
    """
    if parts[:1] == ("experiments",):
        return False
    nested = parts[:1] in (("logs",), ("timings",)) or parts[:2] == ("dataset", "clips")
    return len(parts) == (3 if nested else 2)


def _is_file_of_video(subject, name, names):
    """Return whether a file in a subject's folder belongs to one of the videos.

    For example, `prelude.parquet` belongs to `prelude`, but not to `prelude.2`.
    """
    stem = (temporary_target(name) or name).rpartition(".")[0]
    return (subject, name) in names or (subject, stem) in names


def _is_packed(path):
    """Return whether a file in the folder of a dataset derives from all of its videos."""
    return path.name in PACKED or path.suffix == ".png" or _is_shard(path.name)


def _is_shard(name):
    """Return whether a file name is that of a shard, or of the temporary file of a shard."""
    return _SHARD.fullmatch(temporary_target(name) or name) is not None


def _file_contains_video(path, names):
    """Return whether a file about several videos mentions one of the videos to take down."""
    if path.suffix == ".parquet":
        return _table_contains_video(path, names)
    if path.suffix not in _COLLECTED:
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(_word_pattern(video).search(text) and _word_pattern(subject).search(text) for subject, video in names)


def _word_pattern(name):
    """Return a pattern that finds a name as a whole word."""
    return re.compile(rf"(?<![A-Za-z0-9_-]){re.escape(name)}(?![A-Za-z0-9_-])")


def _table_contains_video(path, names):
    """Return whether a Parquet file has a row of one of the videos; True if the file is unreadable."""
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
        # An unreadable file may contain the video.
        return True
    return False


def _snakemake_records(folder, names):
    """Yield the paths of Snakemake's records of outputs of the videos.

    The name of a record is the path of its output in base64. A long name is split into folders.
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
    """Return whether an output belongs to one of the videos. `parts`: names in its path below `results`, a tuple."""
    depth = next((end for end in range(len(parts)) if _is_subject_folder(parts[:end])), None)
    if depth is None:
        return False
    subject, name = parts[depth - 1 : depth + 1]
    return (subject, name) in names or (depth == len(parts) - 1 and _is_file_of_video(subject, name, names))


def _total_bytes(path):
    """Return the size of a file, or of all files in a folder, bytes. Links do not count."""
    if path.is_symlink():
        return 0
    if path.is_file():
        return path.stat().st_size
    return sum(_total_bytes(Path(parent, name)) for parent, _, files in os.walk(path) for name in files)


def _remove(path):
    """Remove a file, a link (not its target) or a folder, even if it is read-only."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for parent, _, _ in os.walk(path):
        os.chmod(parent, 0o755)
    shutil.rmtree(path)


def _remove_empty_folders(results, names):
    """Remove all empty folders, at any depth of `results`, that have the name of a subject of the videos."""
    for subject in {subject for subject, _ in names}:
        for folder in [path for path in results.rglob(subject) if path.is_dir() and not path.is_symlink()]:
            if not any(folder.iterdir()):
                folder.rmdir()
