"""Read clips from Parquet shards in the models' convention (`model_frame`), and draw batches of random windows.

The windows of a batch depend only on the seed and the number of the batch, so that interrupted training resumes exactly. Every epoch has
a different order of clips. Clips are shuffled within blocks of row groups, and only one block is in memory. Therefore a dataset may be
larger than memory.
"""

import json
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from handroll.dataset.clip_content import read_audio
from handroll.dataset.shards import MANIFEST
from handroll.storage import read_rows
from handroll.tables import SHARD
from handroll.training_data.feature_cache import read_cached
from handroll.training_data.model_frame import clip_channels, shard_columns

VERSION = 1
"""Version of the loader. Increase it manually when the same shards give different clips or windows."""

BLOCK_CLIPS = 1024
"""Maximum number of clips in a block. The clips of a block are shuffled together and are in memory at the same time: 0.9 GB for clips of
30 s at 30 Hz with 256 features."""

WINDOWS_PER_VISIT = 3
"""Number of windows that an epoch contains from each of the longest clips. For shorter clips, the number is proportional to the length,
with a minimum of 1. A clip of 30 s has room for nearly four windows of 8 s."""

# Columns that identify a clip.
_NAMES = ("subject", "video", "clip")


@dataclass(frozen=True)
class Source:
    """Where clips are read from, and how they are represented.

    Attributes
    ----------
    shards : path
        Folder of the dataset, which contains `shards.json`.
    frame : {"keyboard", "camera"}
        Coordinate frame; see `model_frame`. For "keyboard", clips without a registered keyboard are left out.
    rate_hz : float
        Frame rate of the motion and of the features.
    motion : path, optional
        Folder with the cached motion of these shards, in this frame and at this rate; rule `prepare_training` writes it. If None, motion
        is decoded from the shards.
    features : path, optional
        Folder with the cached features of these shards, at this rate; rule `encode_audio` writes it. If None, clips have no features.
    audio_rate_hz : int, optional
        Sampling rate of the audio. If None, clips have no audio.
    subjects : tuple of str
        Subjects whose clips are read; empty: all.
    """

    shards: Path
    frame: str = "keyboard"
    rate_hz: float = 30.0
    motion: Path | None = None
    features: Path | None = None
    audio_rate_hz: int | None = None
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clip:
    """Motion, features and audio of a clip in memory.

    Attributes
    ----------
    position : array (frame, 6), float32
    pose : array (frame, 96), float32
        Motion as in `model_frame.ClipMotion.channels`, right hand first.
    visible : array (frame, hand 2), bool
        Whether a hand is observed or interpolated, right hand first.
    features : array (frame, feature), float16 or float32, or None
        None if the source has no features.
    audio : array (sample,), float32, or None
        None if the source has no audio.
    """

    position: np.ndarray
    pose: np.ndarray
    visible: np.ndarray
    features: np.ndarray | None
    audio: np.ndarray | None

    @property
    def nbytes(self):
        """Size of the arrays in bytes."""
        return sum(part.nbytes for part in vars(self).values() if part is not None)


class Clips:
    """Clips of a split, accessed by number. The most recently used row groups stay in memory.

    Parameters
    ----------
    source : Source
    split : str
    keep_clips : int
        Maximum number of clips in memory. At least one row group stays in memory even if it is larger.

    Attributes
    ----------
    split : str
    in_split : int
        Number of clips of the split, including those that are left out (`Source.frame`, `Source.subjects`).
    names : list of (subject, video, clip)
        Names of the clips, in the order of the shards.
    frames : int array (clip,)
        Number of frames of each clip at the source's rate.
    group : int array (clip,)
        Row group of each clip, counted over all shards.
    """

    def __init__(self, source, split, keep_clips=BLOCK_CLIPS):
        self.source, self.split, self.in_split = source, split, 0
        self._keep = keep_clips
        self._kept = OrderedDict()
        self._files = [Path(source.shards) / shard["name"] for shard in _manifest(source.shards) if shard["split"] == split]
        self._open = {}
        self._groups = []
        self.names, lengths, groups = [], [], []
        for path in self._files:
            file = pq.ParquetFile(path)
            for group in range(file.metadata.num_row_groups):
                rows = read_rows(file, SHARD, group, (*_NAMES, "start_s", "end_s", "keyboard_rotation_rad"))
                kept = np.array([self._is_selected(rows, row) for row in range(len(rows["clip"]))], dtype=bool)
                chosen = np.flatnonzero(kept)
                self.in_split += len(kept)
                groups += [len(self._groups)] * len(chosen)
                self._groups.append((path, group, chosen))
                self.names += [(rows["subject"][row], rows["video"][row], int(rows["clip"][row])) for row in chosen]
                lengths += [round((rows["end_s"][row] - rows["start_s"][row]) * source.rate_hz) for row in chosen]
        self.frames, self.group = np.array(lengths, dtype=np.int64), np.array(groups, dtype=np.int64)
        self._first = np.searchsorted(self.group, np.arange(len(self._groups)))

    def __len__(self):
        return len(self.names)

    def __getitem__(self, number):
        """Return the `Clip` with this number."""
        group = int(self.group[number])
        if group not in self._kept:
            self._kept[group] = self._read(group)
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > self._keep:
                self._kept.popitem(last=False)
        self._kept.move_to_end(group)
        return self._kept[group][number - self._first[group]]

    def rows(self, number, columns):
        """Read columns of `tables.SHARD` for a clip. Return a dict of column name to value."""
        path, group, chosen = self._groups[self.group[number]]
        row = chosen[number - self._first[self.group[number]]]
        return {name: values[row] for name, values in read_rows(self._file(path), SHARD, group, columns).items()}

    def _is_selected(self, rows, row):
        """Return whether the source includes the clip in a row."""
        registered = np.isfinite(rows["keyboard_rotation_rad"][row]).all()
        subject = not self.source.subjects or rows["subject"][row] in self.source.subjects
        return subject and (registered or self.source.frame == "camera")

    def _file(self, path):
        """Return the opened Parquet file."""
        if path not in self._open:
            self._open[path] = pq.ParquetFile(path)
        return self._open[path]

    def _read(self, group):
        """Read the selected clips of a row group. `group` is its index over all shards."""
        source, (path, inner, chosen) = self.source, self._groups[group]
        columns = () if source.motion else shard_columns(source.frame)
        columns += ("audio", "audio_delay_s") if source.audio_rate_hz else ()
        rows = read_rows(self._file(path), SHARD, inner, columns) if columns else {}
        cached = [read_cached(self._file(Path(folder) / path.name), inner) for folder in (source.motion, source.features) if folder]
        clips = []
        for row in chosen:
            values = {name: column[row] for name, column in rows.items()}
            arrays = {name: array for clips_of in cached for name, array in clips_of[row].items()}
            if not source.motion:
                arrays |= zip(("position", "pose", "visible"), clip_channels(values, source.rate_hz, source.frame), strict=True)
            audio = read_audio(values["audio"], source.audio_rate_hz, values["audio_delay_s"]) if source.audio_rate_hz else None
            clips.append(Clip(**{"features": None, **arrays}, audio=audio))
        return clips


def _manifest(folder):
    """Read the list of shards from the manifest of a dataset."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected the manifest of a dataset, found no such file; make the dataset first")
    return json.loads(path.read_text(encoding="utf-8"))["shards"]


def need_clips(clips, frames):
    """Check that a split contains a clip that is at least as long as a window.

    Parameters
    ----------
    clips : Clips
    frames : int
        Length of a window.

    Raises
    ------
    ValueError
        The split is empty, all its clips are left out, or all are shorter than a window. The message names the settings to change.
    """
    source, where = clips.source, f"{clips.source.shards}, split {clips.split}"
    if not clips.in_split:
        raise ValueError(
            f"{where}: expected clips, found none; give this split a share (`splits`), or select another split (`benchmark.split`)"
        )
    if not len(clips):
        wanted = [f"of {', '.join(source.subjects)} (`benchmark.subjects`)"] if source.subjects else []
        wanted += ["with a registered keyboard (`benchmark.frame: keyboard`)"] if source.frame == "keyboard" else []
        raise ValueError(
            f"{where}: expected clips {' '.join(wanted)}, found no such clip among {clips.in_split} clips; change these settings"
        )
    if clips.frames.max() < frames:
        raise ValueError(
            f"{where}: expected a clip of at least {frames} frames at {source.rate_hz:g} Hz, found {len(clips)} clips of at most "
            f"{clips.frames.max()} frames; shorten the window (`benchmark.window_s`) or cut longer clips (`clips.length_s`)"
        )


class Windows:
    """Batches of random windows of clips. The content of batch k does not depend on the batches that were read before.

    Parameters
    ----------
    clips : Clips
    frames : int
        Number of frames of a window. Shorter clips are left out.
    batch : int
        Number of windows in a batch, over all processes.
    seed : int
        Random seed of the order of clips and of the positions of windows.
    block_clips : int
        Maximum number of clips in a block, which consists of whole row groups. If `clips` keeps at least as many clips in memory, an
        epoch reads each row group only once.

    Attributes
    ----------
    share : (int, int)
        Index of this process, and number of processes. Each process reads a part of every batch.

    Raises
    ------
    ValueError
        No clip is long enough.
    """

    share = (0, 1)

    def __init__(self, clips, frames, batch, seed, block_clips=BLOCK_CLIPS):
        self.clips, self.frames, self.batch = clips, frames, batch
        self._seed, self._block = seed, block_clips
        need_clips(clips, frames)
        self._long = np.flatnonzero(clips.frames >= frames)
        # Number of windows of each clip in an epoch. It is proportional to the length of the clip, so that every second of motion is drawn
        # about equally often.
        self._visits = np.maximum(1, np.round(WINDOWS_PER_VISIT * clips.frames / clips.frames.max())).astype(np.int64)
        self._epoch, self._order = None, None

    @property
    def epoch_windows(self):
        """Number of windows in an epoch. Every clip that is long enough has at least one."""
        return int(self._visits[self._long].sum())

    def draw(self, step):
        """Draw the windows of batch `step`: list of (clip number, first frame)."""
        windows = []
        for item in range(step * self.batch, (step + 1) * self.batch):
            epoch, at = divmod(item, self.epoch_windows)
            clip = self._shuffled(epoch)[at]
            last = int(self.clips.frames[clip]) - self.frames
            windows.append((int(clip), int(np.random.default_rng([self._seed, 1, item]).integers(last + 1))))
        return windows

    def __getitem__(self, step):
        """Read this process's part of batch `step`: a dict of arrays, as returned by `cut_windows`."""
        process, processes = self.share
        return cut_windows(self.clips, self.draw(step)[process::processes], self.frames)

    def _shuffled(self, epoch):
        """List the clip number of every window of an epoch.

        Row groups have a random order, and windows are shuffled within blocks of row groups.
        """
        if epoch != self._epoch:
            rng = np.random.default_rng([self._seed, 0, epoch])
            groups = self.clips.group[self._long]
            rank = np.empty(groups.max() + 1, dtype=np.int64)
            rank[rng.permutation(len(rank))] = np.arange(len(rank))
            in_groups = self._long[np.argsort(rank[groups], kind="stable")]
            blocks = np.split(in_groups, _block_ends(self.clips.group[in_groups], self._block))
            self._epoch, self._order = epoch, np.concatenate([rng.permutation(np.repeat(block, self._visits[block])) for block in blocks])
        return self._order


def _block_ends(groups, max_clips):
    """Divide clips into blocks of whole row groups, and return the end index of each block except the last.

    `groups` contains the row group of each clip; clips of one group are adjacent. A block has at most `max_clips` clips, unless it is a
    single larger group.
    """
    ends, first, last = [], 0, 0
    for edge in [*np.flatnonzero(np.diff(groups)) + 1, len(groups)]:
        if edge - first > max_clips and last > first:
            ends.append(last)
            first = last
        last = edge
    return ends


def cut_windows(clips, windows, frames):
    """Cut windows out of clips, and stack them as arrays.

    Parameters
    ----------
    clips : Clips
    windows : sequence of (clip number, first frame)
    frames : int
        Number of frames of a window.

    Returns
    -------
    dict of str to array
        position (window, frame, 6), pose (window, frame, 96) and visible (window, frame, hand 2), all with the right hand first. If the
        source has them, also features (window, frame, feature), float32, and audio (window, sample).
    """
    parts = [(clips[clip], first) for clip, first in windows]
    names = ("position", "pose", "visible")
    batch = {name: np.stack([getattr(clip, name)[first : first + frames] for clip, first in parts]) for name in names}
    if parts[0][0].features is not None:
        batch["features"] = np.stack([clip.features[first : first + frames] for clip, first in parts]).astype(np.float32)
    if parts[0][0].audio is not None:
        rate, per_s = clips.source.audio_rate_hz, clips.source.rate_hz
        samples = round(frames / per_s * rate)
        starts = [(clip.audio, round(first / per_s * rate)) for clip, first in parts]
        batch["audio"] = np.stack([np.pad(a[s : s + samples], (0, max(0, samples - len(a[s : s + samples])))) for a, s in starts])
    return batch


def prefetch(batches, first, last, depth=2):
    """Yield batches `first` to `last` - 1. A background thread reads up to `depth` batches in advance."""
    with ThreadPoolExecutor(1) as reader:
        waiting = [reader.submit(batches.__getitem__, step) for step in range(first, min(first + depth, last))]
        for step in range(first, last):
            if step + depth < last:
                waiting.append(reader.submit(batches.__getitem__, step + depth))
            yield waiting.pop(0).result()
