"""Reads clips from Parquet shards as models see them, and deals random windows of them, batch by batch.

Which windows a batch holds follows from a seed and the number of the batch alone, so that training that was cut off goes on
where it was. Clips are visited in another order in each epoch, a block of row groups at a time, and a block is all that is
held in memory: a dataset may be larger than that.
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
from handroll.training_data.feature_cache import read_stored
from handroll.training_data.model_frame import clip_channels, shard_columns

VERSION = 1
"""Raised by hand when the same shards give other clips or windows."""

BLOCK_CLIPS = 1024
"""Clips that are shuffled among each other and held in memory: 0.9 GB with features of 256 numbers, 30 s at 30 Hz."""

WINDOWS_A_VISIT = 3
"""Windows drawn of the longest clips each time they are visited: a clip of 30 s holds nearly four of 8 s. Shorter clips give fewer."""

_NAMES = ("subject", "video", "clip")


@dataclass(frozen=True)
class Source:
    """Where clips come from, and how they are seen.

    Attributes
    ----------
    shards : path
        The folder of `shards.json`.
    frame : {"keyboard", "camera"}
        As of `convention.clip_motion`; clips without a registered keyboard are left out in the keyboard frame.
    rate_hz : float
    motion : path, optional
        The folder of `motion.json` (rule `prepare_training`): the motion of these shards in this frame at this rate, which is then
        not decoded from them.
    features : path, optional
        The folder of `features.json` (rule `encode_audio`) with features of these shards at the same rate.
    audio_rate_hz : int, optional
        Also give the sound at this rate.
    subjects : tuple of str
        Only clips of these; all where empty.
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
    """A clip in memory.

    Attributes
    ----------
    place : array (frame, 6), float32
    pose : array (frame, 96), float32
        `convention.ClipMotion.channels`: right hand first.
    visible : array (frame, hand 2), bool
        Right hand first, as the channels.
    features : array (frame, feature), float16, or None
    audio : array (sample,), float32, or None
    """

    place: np.ndarray
    pose: np.ndarray
    visible: np.ndarray
    features: np.ndarray | None
    audio: np.ndarray | None

    @property
    def nbytes(self):
        """Bytes of its arrays."""
        return sum(part.nbytes for part in vars(self).values() if part is not None)


class Clips:
    """The clips of a split, by number; row groups are kept in memory, the last used ones.

    Parameters
    ----------
    source : Source
    split : str
    keep_clips : int
        Clips to keep in memory.

    Attributes
    ----------
    split : str
    in_split : int
        Clips of the split, also those that are left out.
    names : list of (subject, video, clip)
        The clips' names, in the order of the shards.
    frames : int array (clip,)
        Their lengths at the source's rate.
    group : int array (clip,)
        The row group of each, counted over all shards.
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
                kept = np.array([self._wanted(rows, row) for row in range(len(rows["clip"]))], dtype=bool)
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
        """The `Clip` of a number."""
        group = int(self.group[number])
        if group not in self._kept:
            self._kept[group] = self._read(group)
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > self._keep:
                self._kept.popitem(last=False)
        self._kept.move_to_end(group)
        return self._kept[group][number - self._first[group]]

    def index_of(self, name):
        """Number of the clip of a name (subject, video, clip)."""
        return self.names.index(tuple(name))

    def rows(self, number, columns):
        """Columns of `tables.SHARD` of a clip, as a dict."""
        path, group, chosen = self._groups[self.group[number]]
        row = chosen[number - self._first[self.group[number]]]
        return {name: values[row] for name, values in read_rows(self._file(path), SHARD, group, columns).items()}

    def _wanted(self, rows, row):
        registered = np.isfinite(rows["keyboard_rotation_rad"][row]).all()
        subject = not self.source.subjects or rows["subject"][row] in self.source.subjects
        return subject and (registered or self.source.frame == "camera")

    def _file(self, path):
        if path not in self._open:
            self._open[path] = pq.ParquetFile(path)
        return self._open[path]

    def _read(self, group):
        """The clips of a row group."""
        source, (path, inner, chosen) = self.source, self._groups[group]
        columns = () if source.motion else shard_columns(source.frame)
        columns += ("audio", "audio_delay_s") if source.audio_rate_hz else ()
        rows = read_rows(self._file(path), SHARD, inner, columns) if columns else {}
        stored = [read_stored(self._file(Path(folder) / path.name), inner) for folder in (source.motion, source.features) if folder]
        clips = []
        for row in chosen:
            values = {name: column[row] for name, column in rows.items()}
            arrays = {name: array for clips_of in stored for name, array in clips_of[row].items()}
            if not source.motion:
                arrays |= zip(("place", "pose", "visible"), clip_channels(values, source.rate_hz, source.frame), strict=True)
            audio = read_audio(values["audio"], source.audio_rate_hz, values["audio_delay_s"]) if source.audio_rate_hz else None
            clips.append(Clip(**{"features": None, **arrays}, audio=audio))
        return clips


def _manifest(folder):
    """The shards that a folder's manifest lists."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected the list of a dataset's shards, found no such file; make the dataset first")
    return json.loads(path.read_text(encoding="utf-8"))["shards"]


def need_clips(clips, frames):
    """Refuse a split that holds no clip as long as a window.

    Parameters
    ----------
    clips : Clips
    frames : int
        Of a window.

    Raises
    ------
    ValueError
        The split is empty, all its clips are left out, or they are shorter; the message tells which, and what to do.
    """
    source, where = clips.source, f"{clips.source.shards}, split {clips.split}"
    if not clips.in_split:
        raise ValueError(f"{where}: expected clips, found none; give the split a share (`splits`), or score on another (`benchmark.split`)")
    if not len(clips):
        wanted = [f"of {', '.join(source.subjects)} (`benchmark.subjects`)"] if source.subjects else []
        wanted += ["with a registered keyboard (`benchmark.frame: keyboard`)"] if source.frame == "keyboard" else []
        raise ValueError(f"{where}: expected clips {' '.join(wanted)}, found none among {clips.in_split}; ask for others")
    if clips.frames.max() < frames:
        raise ValueError(
            f"{where}: expected clips of at least {frames} frames at {source.rate_hz:g} Hz, found none among {len(clips)}, "
            f"the longest of {clips.frames.max()}; shorten the window (`benchmark.window_s`) or cut longer clips (`clips.length_s`)"
        )


class Windows:
    """Random windows of clips, batch by batch; batch k is the same whichever batches were asked for before.

    Parameters
    ----------
    clips : Clips
    frames : int
        Length of a window. Shorter clips are left out.
    batch : int
    seed : int
    block_clips : int
        Most clips shuffled among each other: those of whole row groups. Where `clips` keeps as many, an epoch reads each group once.

    Attributes
    ----------
    share : (int, int)
        Of the processes that share each batch, this one's number, and how many they are.

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
        # In proportion to its length, so that every second of motion is drawn about as often.
        self._visits = np.maximum(1, np.round(WINDOWS_A_VISIT * clips.frames / clips.frames.max())).astype(np.int64)
        self._epoch, self._order = None, None

    @property
    def epoch_windows(self):
        """Windows until every clip has been visited."""
        return int(self._visits[self._long].sum())

    def places(self, step):
        """(clip number, first frame) of each window of a batch."""
        places = []
        for item in range(step * self.batch, (step + 1) * self.batch):
            epoch, at = divmod(item, self.epoch_windows)
            clip = self._shuffled(epoch)[at]
            most = int(self.clips.frames[clip]) - self.frames
            places.append((int(clip), int(np.random.default_rng([self._seed, 1, item]).integers(most + 1))))
        return places

    def __getitem__(self, step):
        """Batch of a number, or this process's share: dict of arrays, see `cut_windows`."""
        first, apart = self.share
        return cut_windows(self.clips, self.places(step)[first::apart], self.frames)

    def _shuffled(self, epoch):
        """Clip numbers of an epoch's windows: blocks of row groups in any order, within a block every window anywhere."""
        if epoch != self._epoch:
            rng = np.random.default_rng([self._seed, 0, epoch])
            groups = self.clips.group[self._long]
            rank = np.empty(groups.max() + 1, dtype=np.int64)
            rank[rng.permutation(len(rank))] = np.arange(len(rank))
            in_groups = self._long[np.argsort(rank[groups], kind="stable")]
            blocks = np.split(in_groups, _block_ends(self.clips.group[in_groups], self._block))
            self._epoch, self._order = epoch, np.concatenate([rng.permutation(np.repeat(block, self._visits[block])) for block in blocks])
        return self._order


def _block_ends(groups, most):
    """Where to cut clips, given their row groups in runs, so that blocks hold whole groups and at most so many clips, or one group."""
    ends, first, last = [], 0, 0
    for edge in [*np.flatnonzero(np.diff(groups)) + 1, len(groups)]:
        if edge - first > most and last > first:
            ends.append(last)
            first = last
        last = edge
    return ends


def cut_windows(clips, places, frames):
    """Windows of clips.

    Parameters
    ----------
    clips : Clips
    places : sequence of (clip number, first frame)
    frames : int

    Returns
    -------
    dict of str to array
        place (window, frame, 6), pose (window, frame, 96), visible (window, frame, hand 2), right hand first; and, where the source
        has them, features (window, frame, feature), float32, and audio (window, sample).
    """
    parts = [(clips[clip], first) for clip, first in places]
    names = ("place", "pose", "visible")
    batch = {name: np.stack([getattr(clip, name)[first : first + frames] for clip, first in parts]) for name in names}
    if parts[0][0].features is not None:
        batch["features"] = np.stack([clip.features[first : first + frames] for clip, first in parts]).astype(np.float32)
    if parts[0][0].audio is not None:
        rate, per_s = clips.source.audio_rate_hz, clips.source.rate_hz
        samples = round(frames / per_s * rate)
        starts = [(clip.audio, round(first / per_s * rate)) for clip, first in parts]
        batch["audio"] = np.stack([np.pad(a[s : s + samples], (0, max(0, samples - len(a[s : s + samples])))) for a, s in starts])
    return batch


def ahead(batches, first, last, depth=2):
    """Batches from number `first` to before `last`, read in the background so many ahead."""
    with ThreadPoolExecutor(1) as reader:
        waiting = [reader.submit(batches.__getitem__, step) for step in range(first, min(first + depth, last))]
        for step in range(first, last):
            if step + depth < last:
                waiting.append(reader.submit(batches.__getitem__, step + depth))
            yield waiting.pop(0).result()
