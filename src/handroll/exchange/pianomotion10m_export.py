"""Export shards in the layout of PianoMotion10M's release. `handroll.exchange.pianomotion10m_import` describes the layout.

The export needs memory for one row group and for the notes of one video.
"""

import re
from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np

from handroll.config.sheet import IDENTIFIER
from handroll.dataset.shards import read_rows
from handroll.dataset.splits import SPLITS
from handroll.exchange.pianomotion10m import LeftOut, annotation_json, hands_mean_of
from handroll.exchange.pianomotion10m_rows import annotation_of, whole_fps
from handroll.media.audio import as_mp3
from handroll.music.midi import write_midi
from handroll.music.notes import note_table, pedal_table
from handroll.provenance import atomic_path
from handroll.storage import write_json

MANIFEST = "export.json"
"""File name of the export's report. The report is written last, so a folder with a report is complete."""


def export_tree(shards_dir, out_dir, mean_pose="absolute", model=None):
    """Export all clips of a folder of shards.

    Permissions are not checked here, because shards contain only clips whose permission was checked.

    Parameters
    ----------
    shards_dir : path
        Folder of the dataset, which contains `shards.json`.
    out_dir : path
        Folder to write. It must be empty or not exist.
    mean_pose : {"absolute", "subtracted"}
        Convention of the written rotations: relative to the flat hand, or to MANO's mean pose.
    model : handroll.hand.mano.ManoModel, optional
        Source of MANO's mean pose and of the position of MANO's wrist; see `pianomotion10m_rows.annotation_of`.

    Returns
    -------
    dict
        Report as JSON values, also written as `export.json`:

        - `clips`, `videos`: numbers by split.
        - `licences`: licence to number of clips.
        - `resampled`: number of clips that were resampled to another frame rate.
        - `left_out`: `subject`, `video`, `clip` and `reason` (`pianomotion10m.LeftOut`) of each clip that was not exported.

    Raises
    ------
    FileExistsError
        `out_dir` is not empty.
    ValueError
        `mean_pose` is unknown, it is "subtracted" and there is no model, or the name of a subject or video cannot be a file name.
    """
    hands_mean = hands_mean_of(mean_pose, model)
    out_dir = Path(out_dir)
    if out_dir.exists() and any(out_dir.iterdir()):
        raise FileExistsError(f"{out_dir}: expected an empty or missing folder, found files; remove them, or export to another folder")
    clips, licences, resampled, left_out = Counter(), Counter(), 0, []
    videos = {split: [] for split in SPLITS}
    for (split, subject, video), rows in groupby(read_rows(shards_dir), key=lambda row: (row["split"], row["subject"], row["video"])):
        if not all(re.fullmatch(IDENTIFIER, name) for name in (subject, video)):
            raise ValueError(f"{shards_dir}: expected names from letters, digits, '_', '.' and '-', found {subject!r} and {video!r}")
        music = _Music()
        for row in rows:
            if reason := _reason_left_out(row):
                left_out.append({"subject": subject, "video": video, "clip": int(row["clip"]), "reason": str(reason)})
                continue
            annotation = annotation_of(row, model, hands_mean)
            stem = f"{subject}/{video}/{video}_seq_{row['clip']:04d}"
            _write(out_dir / "annotation" / f"{stem}.json", annotation_json(annotation).encode())
            _write(out_dir / "audio" / f"{stem}.mp3", as_mp3(row["audio"]["bytes"]))
            music.add(row)
            clips[split] += 1
            resampled += whole_fps(row["time_s"], row["fps"]) is None
            licences[row["licence"]] += 1
        if music.covered_to_s > -np.inf:
            write_midi(out_dir / "midi" / subject / f"{video}.mid", *music.tables(), tempo_track=True)
            videos[split].append(f"{subject} {video}\n")
    for split in SPLITS:
        _write(out_dir / f"{split}.txt", "".join(videos[split]).encode())
    made = {
        "clips": {split: clips[split] for split in SPLITS},
        "videos": {split: len(videos[split]) for split in SPLITS},
        "licences": dict(sorted(licences.items())),
        "resampled": resampled,
        "left_out": left_out,
    }
    write_json(out_dir / MANIFEST, made)
    return made


def _reason_left_out(row):
    """Return the reason for which a row cannot be exported, or None. The layout requires frames and audio."""
    if row["n_frames"] == 0:
        return LeftOut.NO_FRAMES
    return None if row["audio"] and row["audio"]["bytes"] else LeftOut.NO_SOUND


def _write(path, data):
    """Write bytes atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


class _Music:
    """Notes and pedal of a video, collected from its clips. Add clips in the order of their start.

    A note that occurs in two overlapping clips is collected once. `covered_to_s` is the latest end of a clip that was added.
    """

    def __init__(self):
        self.covered_to_s = -np.inf
        self._notes, self._presses = [], []

    def add(self, row):
        """Add notes and pedal of a clip, at their times in the video."""
        start_s = row["start_s"]
        since_s = self.covered_to_s - start_s
        for note in row["notes"]:
            if note["onset_s"] >= since_s:
                self._notes.append((start_s + note["onset_s"], start_s + note["key_offset_s"], note["pitch"], note["velocity"]))
        self._presses += [(start_s + press["onset_s"], start_s + press["offset_s"]) for press in row["pedal"]]
        self.covered_to_s = max(self.covered_to_s, row["end_s"])

    def tables(self):
        """Return the tables of notes and pedal of the whole video."""
        pedal = pedal_table(*zip(*self._presses, strict=True)) if self._presses else pedal_table([], [])
        return note_table(*(zip(*self._notes, strict=True) if self._notes else ([], [], [], [])), pedal), pedal
