"""Import a folder in the layout of PianoMotion10M's release (Gan et al., ICLR 2025) as shards (`handroll.tables.SHARD`).

    annotation/<subject>/<video>/<video>_seq_0000.json    motion of a clip
    audio/<subject>/<video>/<video>_seq_0000.mp3          audio of the clip
    midi/<subject>/<video>.mid                            notes of a whole video
    train.txt, valid.txt, test.txt                        `<subject> <video>`, one video per line

Clips that cannot be imported are listed in a report, with the reason. The import needs memory for one row group and for the notes of one
video.
"""

import json
import logging
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handroll.config.sheet import ID_LENGTH, IDENTIFIER
from handroll.dataset.clip_content import cut_music
from handroll.dataset.shards import TARGET_BYTES, write_rows
from handroll.dataset.splits import SPLITS
from handroll.exchange.pianomotion10m import BETAS, FACTS, FINGERS, ClipError, LeftOut, hands_mean_of, parse_annotation
from handroll.exchange.pianomotion10m_rows import shard_row
from handroll.logs import progress
from handroll.media.audio import is_mp3
from handroll.music.midi import read_midi
from handroll.music.midi_file import MidiError
from handroll.tables import FINGERED_NOTES, KEY_PRESS_SCORES, NOTES, PEDAL

VERSION = 1
"""Version of the import. Increase it manually when the same folder gives different shards."""

LOGGER = logging.getLogger("handroll")

# Licence of the released data, as stated by its authors.
_LICENCE = "CC-BY-NC-4.0"

# Address of a video. The ids of the videos are those of Bilibili.
_SOURCE = "https://www.bilibili.com/video/{video}"

# Name of the detector, pose engine and transcriber in imported rows.
_MADE_BY = "PianoMotion10M"


@dataclass(frozen=True)
class ClipFiles:
    """Subject, video, clip number, split, annotation file and audio file of a clip."""

    subject: str
    video: str
    clip: int
    split: str
    annotation: Path
    audio: Path


def import_tree(folder, out_dir, subjects=(), mean_pose="absolute", model=None, target_bytes=TARGET_BYTES, row_group_rows=8, metadata=None):
    """Import a folder as shards: files `{split}-NNNNN.parquet` and the manifest `shards.json`.

    Parameters
    ----------
    folder : path
        Folder in the layout of the release.
    out_dir : path
        Folder for the shards.
    subjects : sequence of str
        Subjects to import; empty: all.
    mean_pose : {"absolute", "subtracted"}
        Convention of the stored rotations: relative to the flat hand, or to MANO's mean pose. In the second case the mean pose is added.
    model : handroll.hand.mano.ManoModel, optional
        Used to compute joints and to check `mean_pose`, and required for "subtracted". If None, the joints are those of handroll's open
        hand.
    target_bytes, row_group_rows, metadata
        See `handroll.dataset.shards.write_rows`.

    Returns
    -------
    manifest : dict
        Manifest of the shards; see `handroll.dataset.shards.write_rows`.
    report : dict
        Report as JSON values:

        - `clips`, `videos`: numbers by split.
        - `left_out`: clips that were not imported: `counts` (reason to number of clips) and `clips` (see `list_clips`).
        - `without_midi`, `unreadable_midi`: videos without a MIDI file, or with an unreadable one. Their clips have no notes.
        - `unknown_keys`: unknown key of an annotation to number of clips.
        - `changing_betas`: number of clips whose hand shape varies between frames. For these, the median is imported.
        - `mean_pose`: the setting, and the result of `guess_mean_pose`.

    Raises
    ------
    FileNotFoundError
        The folder, its annotations or one of its lists of videos is missing.
    ValueError
        No clip can be imported, `mean_pose` is unknown, or it is "subtracted" and there is no model.
    """
    hands_mean = hands_mean_of(mean_pose, model)
    folder = Path(folder)
    found, left_out = list_clips(folder, subjects)
    tally = _Tally(left_out)
    rows = {split: _rows([clip for clip in found if clip.split == split], folder, model, hands_mean, mean_pose, tally) for split in SPLITS}
    manifest = write_rows(rows, out_dir, target_bytes, row_group_rows, metadata)
    if not tally.clips:
        counts = ", ".join(f"{count} {reason}" for reason, count in tally.counts().items()) or "no files"
        first = ""
        if tally.left_out:
            entry = tally.left_out[0]
            where = "/".join(filter(None, (entry["subject"], entry["video"], entry["file"])))
            first = f"; first: {where}: {entry['message']}"
        raise ValueError(f"{folder}: expected clips that can be imported, found none ({counts}){first}")
    guess = guess_mean_pose(tally.angles_rad / max(tally.visible_hands, 1), model.hands_mean if model else None)
    if guess["looks"] not in (mean_pose, "unknown"):
        LOGGER.warning(
            "mean_pose is set to %s, but the stored rotations seem to be %s; check this setting. Measured: %s",
            mean_pose,
            guess["looks"],
            json.dumps(guess),
        )
    return manifest, tally.report() | {"mean_pose": {"setting": mean_pose, "visible_hands": tally.visible_hands, **guess}}


def guess_mean_pose(mean_rad, hands_mean):
    """Guess the convention of stored rotations: "subtracted" if their mean is closer to 0 than to MANO's mean pose, else "absolute".

    Parameters
    ----------
    mean_rad : array (45,)
        Mean of the stored axis-angle rotations of the 15 finger joints, over right hands and mirrored left hands.
    hands_mean : array (45,) or None
        MANO's mean pose.

    Returns
    -------
    dict
        JSON values: `mean_rad` (45 numbers); `to_zero_rad`, the Euclidean distance of `mean_rad` from 0; `to_hands_mean_rad`, its
        distance from the mean pose (None without `hands_mean`); and the guess `looks`: "absolute", "subtracted", or "unknown" without
        `hands_mean`.
    """
    to_zero = float(np.linalg.norm(mean_rad))
    to_mean = None if hands_mean is None else float(np.linalg.norm(mean_rad - hands_mean))
    looks = "unknown" if to_mean is None else "subtracted" if to_zero < to_mean else "absolute"
    return {"mean_rad": np.round(mean_rad, 6).tolist(), "to_zero_rad": to_zero, "to_hands_mean_rad": to_mean, "looks": looks}


def list_clips(folder, subjects=()):
    """List the clips of a folder, and the files that are left out because of their name or location.

    Parameters
    ----------
    folder : path
        Folder in the layout of the release.
    subjects : sequence of str
        Subjects to list; empty: all.

    Returns
    -------
    clips : list of ClipFiles
        Ordered by subject, video and clip number.
    left_out : list of dict
        `subject`, `video`, `file` (a clip's annotation, or a list of videos), `reason` (of `LeftOut`), `message`.

    Raises
    ------
    FileNotFoundError
        The folder, its annotations or one of its lists of videos is missing.
    """
    folder = Path(folder)
    root = folder / "annotation"
    if not root.is_dir():
        raise FileNotFoundError(f"{folder}: expected PianoMotion10M's folders annotation, audio and midi, found no folder annotation")
    splits, left_out = _read_lists(folder)
    clips = []
    wanted = set(subjects)
    on_disk = {(s.name, v.name) for s in root.iterdir() if s.is_dir() for v in s.iterdir() if v.is_dir()}
    for subject, video in sorted(on_disk | set(splits)):
        if wanted and subject not in wanted:
            continue
        listed = sorted(splits.get((subject, video), ()))
        safe = _is_safe(subject) and _is_safe(video)
        files = sorted(root.glob(f"{subject}/{video}/*.json")) if safe else []
        problem = None
        if not safe:
            problem = (
                LeftOut.UNSAFE_NAME,
                f"expected names from letters, digits, '_', '.' and '-', found {subject!r} and {video!r}",
            )
        elif not files:
            problem = LeftOut.NO_CLIPS, f"expected clips in annotation/{subject}/{video}, found none"
        elif len(listed) != 1:
            reason = LeftOut.TWO_SPLITS if listed else LeftOut.NO_SPLIT
            problem = reason, f"expected the video in exactly one list ({', '.join(SPLITS)}), found it in {' and '.join(listed) or 'none'}"
        if problem:
            left_out += [_entry(subject, video, file, *problem) for file in ([path.name for path in files] or [""])]
            continue
        for path in files:
            number = re.fullmatch(rf"{re.escape(video)}_seq_(\d{{4}}|[1-9]\d{{4,8}})\.json", path.name)
            if number is None:
                message = f"expected a file name {video}_seq_NNNN.json with a clip number of four digits, found {path.name!r}"
                left_out.append(_entry(subject, video, path.name, LeftOut.UNSAFE_NAME, message))
                continue
            audio = folder / "audio" / subject / video / f"{path.stem}.mp3"
            clips.append(ClipFiles(subject, video, int(number[1]), listed[0], path, audio))
    missing = wanted - {subject for subject, _ in on_disk | set(splits)}
    left_out += [
        _entry(subject, "", "", LeftOut.NO_CLIPS, "expected clips of this subject, found none in the folder") for subject in sorted(missing)
    ]
    return sorted(clips, key=lambda clip: (clip.subject, clip.video, clip.clip)), left_out


def _is_safe(name):
    """Return whether the name of a subject or video can be used as a file name."""
    return len(name) <= ID_LENGTH and re.fullmatch(IDENTIFIER, name) is not None


def _entry(subject, video, file, reason, message):
    """Build an entry of the list `left_out` that `list_clips` returns."""
    # A file name may contain bytes that are not valid Unicode.
    subject, video, file = (name.encode("utf-8", "backslashreplace").decode() for name in (subject, video, file))
    return {"subject": subject, "video": video, "file": file, "reason": str(reason), "message": message}


def _read_lists(folder):
    """Read the lists of videos. Return a dict of (subject, video) to splits, and entries of `left_out` for invalid lines."""
    splits, left_out = {}, []
    for split in SPLITS:
        path = folder / f"{split}.txt"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected the videos of split {split}, a line `<subject> <video>` for each, found no file")
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if not line.strip():
                continue
            names = line.strip().split(" ")
            if len(names) == 2 and all(map(_is_safe, names)):
                splits.setdefault(tuple(names), set()).add(split)
            else:
                message = f"line {number}: expected a subject and a video separated by one space, found {line.strip()!r:.200}"
                left_out.append(_entry("", "", path.name, LeftOut.UNSAFE_NAME, message))
    return splits, left_out


class _Tally:
    """Counts for the report, collected while rows are written."""

    def __init__(self, left_out):
        self.left_out = left_out
        self.clips, self.unknown_keys, self.videos = Counter(), Counter(), {}
        self.without_midi, self.unreadable_midi = [], []
        self.changing_betas = self.visible_hands = 0
        self.angles_rad = np.zeros(45)

    def counts(self):
        """Return the number of entries in `left_out` by reason."""
        return dict(sorted(Counter(entry["reason"] for entry in self.left_out).items()))

    def report(self):
        """Return the report of `import_tree` without `mean_pose`."""
        videos = Counter(self.videos.values())
        return {
            "clips": {split: self.clips[split] for split in SPLITS},
            "videos": {split: videos[split] for split in SPLITS},
            "left_out": {"counts": self.counts(), "clips": self.left_out},
            "without_midi": self.without_midi,
            "unreadable_midi": self.unreadable_midi,
            "unknown_keys": dict(sorted(self.unknown_keys.items())),
            "changing_betas": self.changing_betas,
        }

    def add(self, files, annotation, unknown):
        """Count an imported clip; `unknown` contains the unknown keys of its annotation."""
        self.clips[files.split] += 1
        self.videos[files.subject, files.video] = files.split
        self.unknown_keys.update(unknown)
        self.visible_hands += int(annotation.visible.sum())
        self.angles_rad += annotation.rows[annotation.visible][:, FINGERS].sum(axis=0, dtype=np.float64)
        visible_betas = [rows[visible, BETAS] for rows, visible in zip(annotation.rows, annotation.visible, strict=True) if visible.any()]
        self.changing_betas += any((betas != betas[0]).any() for betas in visible_betas)


def _rows(clips, folder, model, hands_mean, mean_pose, tally):
    """Yield the rows of `tables.SHARD` of all `clips` (of `ClipFiles`) that can be imported. Add the others to `tally.left_out`.

    For the other arguments, see `import_tree`; `hands_mean` is a result of `hands_mean_of`.
    """
    music, music_video = None, None
    joints = f"MANO {model.sha256}" if model else "open hand"
    for files in progress(clips, len(clips), "clips"):
        try:
            annotation, unknown = parse_annotation(_read_bytes(files.annotation, LeftOut.UNREADABLE))
            audio = _read_bytes(files.audio, LeftOut.NO_SOUND)
            if not is_mp3(audio):
                raise ClipError(LeftOut.NO_SOUND, f"{files.audio.name}: expected an MP3 file, found another format or an empty file")
        except ClipError as error:
            tally.left_out.append(_entry(files.subject, files.video, files.annotation.name, error.reason, str(error)))
            continue
        if music_video != (files.subject, files.video):
            music_video = files.subject, files.video
            music = _read_music(folder / "midi" / files.subject / f"{files.video}.mid", tally)
        tally.add(files, annotation, unknown)
        row = shard_row(annotation, model, hands_mean)
        row |= cut_music(*music, row["start_s"], row["end_s"])
        row |= {"subject": files.subject, "video": files.video, "clip": files.clip, "split": files.split}
        row["audio"] = {"bytes": audio, "path": f"{files.subject}_{files.video}_{files.clip:05d}.mp3"}
        row |= dict.fromkeys((column.name for column in KEY_PRESS_SCORES), np.float32(np.nan))
        row |= dict.fromkeys(("keyboard_rotation_rad", "keyboard_translation_mm"), np.full(3, np.nan))
        row |= {"audio_delay_s": 0.0, "detector": _MADE_BY, "pose_engine": _MADE_BY, "transcriber": f"{_MADE_BY}, MIDI file"}
        row |= {"permission": "unknown", "licence": _LICENCE, "source": _SOURCE.format(video=files.video), "source_sha256": ""}
        facts = {"adjust": annotation.adjust, "bv": annotation.bv, "joints": joints, "mean_pose": mean_pose}
        row["provenance"] = json.dumps({FACTS: facts}, sort_keys=True, ensure_ascii=False, allow_nan=False)
        yield row


def _read_bytes(path, reason):
    """Read a file. If this fails, raise a ClipError with the given reason."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClipError(reason, f"{path.name}: expected a readable file, found the error: {error.strerror}") from None


def _read_music(path, tally):
    """Read the notes (without fingers) and the pedal of a video. A missing or unreadable MIDI file is counted, and gives empty tables."""
    notes, pedal = NOTES.empty(), PEDAL.empty()
    name = f"{path.parent.name}/{path.stem}"
    if path.is_file():
        try:
            notes, pedal = read_midi(path)
        except MidiError as error:
            LOGGER.warning("%s", error)
            tally.unreadable_midi.append(name)
    else:
        tally.without_midi.append(name)
    unknown = {"hand": "", "finger": 0, "finger_confidence": 0.0, "landing_error_mm": np.nan}
    dtypes = {name: values.dtype for name, values in FINGERED_NOTES.empty().items()}
    return notes | {name: np.full(len(notes["pitch"]), value, dtypes[name]) for name, value in unknown.items()}, pedal
