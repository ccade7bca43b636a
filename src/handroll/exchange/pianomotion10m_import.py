"""Imports a folder laid out as PianoMotion10M is released (Gan et al., ICLR 2025) into shards (`handroll.tables.SHARD`).

    annotation/<subject>/<video>/<video>_seq_0000.json    a clip's motion
    audio/<subject>/<video>/<video>_seq_0000.mp3          its sound
    midi/<subject>/<video>.mid                            the notes of a whole video
    train.txt, valid.txt, test.txt                        `<subject> <video>`, one video a line

Clips that cannot be taken over are listed with a reason; the others are imported. Memory stays within one row group and one video's notes.
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
"""Raised by hand when the same tree gives other shards."""

LOGGER = logging.getLogger("handroll")

_LICENCE = "CC-BY-NC-4.0"  # of the released data, as its authors state it
_SOURCE = "https://www.bilibili.com/video/{video}"  # the ids are Bilibili's
_MADE_BY = "PianoMotion10M"


@dataclass(frozen=True)
class ClipFiles:
    """A clip of the tree: whose it is, its split and number, and its files."""

    subject: str
    video: str
    clip: int
    split: str
    annotation: Path
    audio: Path


def import_tree(folder, out_dir, subjects=(), mean_pose="absolute", model=None, target_bytes=TARGET_BYTES, row_group_rows=8, metadata=None):
    """Import a tree as `{split}-NNNNN.parquet` and `shards.json`.

    Parameters
    ----------
    folder : path
    out_dir : path
    subjects : sequence of str
        Import only these; all where empty.
    mean_pose : {"absolute", "subtracted"}
        What the stored rotations are relative to: the flat hand, or MANO's mean pose, which is then added.
    model : handroll.hand.mano.ManoModel, optional
        Gives the joints, the mean pose, and a guess of what the rotations are relative to. Else the open hand gives the joints.
    target_bytes, row_group_rows, metadata
        As of `handroll.dataset.shards.write_rows`.

    Returns
    -------
    manifest : dict
        As `handroll.dataset.shards.write_rows`.
    report : dict, JSON values
        `clips` and `videos` by split; `left_out`: `counts` (reason to clips) and `clips` (`subject`, `video`, `file`, `reason`,
        `message`); `without_midi` and `unreadable_midi`: videos, whose clips have no notes; `unknown_keys`: key to clips;
        `changing_betas`: clips whose shape changes, of which the median is kept; `mean_pose`: see `what_mean_pose`.

    Raises
    ------
    FileNotFoundError
        The folder, its annotations or one of its lists is missing.
    ValueError
        No clip could be imported; an unknown `mean_pose`; "subtracted" without a model.
    """
    hands_mean = hands_mean_of(mean_pose, model)
    folder = Path(folder)
    found, left_out = list_clips(folder, subjects)
    tally = _Tally(left_out)
    rows = {split: _rows([clip for clip in found if clip.split == split], folder, model, hands_mean, mean_pose, tally) for split in SPLITS}
    manifest = write_rows(rows, out_dir, target_bytes, row_group_rows, metadata)
    if not tally.clips:
        counts = ", ".join(f"{count} {reason}" for reason, count in tally.counts().items()) or "none there"
        first = f"; the first: {tally.left_out[0]}" if tally.left_out else ""
        raise ValueError(f"{folder}: expected clips, found none that can be imported ({counts}){first}")
    guess = what_mean_pose(tally.angles_rad / max(tally.seen, 1), model.hands_mean if model else None)
    if guess["looks"] not in (mean_pose, "unknown"):
        LOGGER.warning("mean_pose is %s, but the rotations look %s: %s", mean_pose, guess["looks"], json.dumps(guess))
    return manifest, tally.report() | {"mean_pose": {"setting": mean_pose, "visible_hands": tally.seen, **guess}}


def what_mean_pose(mean_rad, hands_mean):
    """What rotations are relative to, as their mean tells: it is near 0, or near the mean pose, whichever is nearer.

    Parameters
    ----------
    mean_rad : array (45,)
        Mean of the 15 finger joints' axis-angle, as right hands' and as stored.
    hands_mean : array (45,) or None
        MANO's mean pose.

    Returns
    -------
    dict, JSON values
        `mean_rad` (45), its Euclidean distances `to_zero_rad` and `to_hands_mean_rad` (None where that is not known), and
        `looks`: absolute, subtracted, or unknown.
    """
    to_zero = float(np.linalg.norm(mean_rad))
    to_mean = None if hands_mean is None else float(np.linalg.norm(mean_rad - hands_mean))
    looks = "unknown" if to_mean is None else "subtracted" if to_zero < to_mean else "absolute"
    return {"mean_rad": np.round(mean_rad, 6).tolist(), "to_zero_rad": to_zero, "to_hands_mean_rad": to_mean, "looks": looks}


def list_clips(folder, subjects=()):
    """The clips of a tree, by subject, video and number, and what is left out for its name or its place.

    Parameters
    ----------
    folder : path
    subjects : sequence of str
        List only these; all where empty.

    Returns
    -------
    clips : list of ClipFiles
    left_out : list of dict
        `subject`, `video`, `file` (a clip's annotation, or a list of videos), `reason` (of `LeftOut`), `message`.

    Raises
    ------
    FileNotFoundError
        The folder, its annotations or one of its lists is missing.
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
            problem = LeftOut.UNSAFE_NAME, f"expected letters, digits, '_', '.' or '-', found {subject!r} and {video!r}"
        elif not files:
            problem = LeftOut.NO_CLIPS, f"expected clips in annotation/{subject}/{video}, found none"
        elif len(listed) != 1:
            reason = LeftOut.TWO_SPLITS if listed else LeftOut.NO_SPLIT
            problem = reason, f"expected the video in one of the lists, found it in {' and '.join(listed) or 'none'}"
        if problem:
            left_out += [_entry(subject, video, file, *problem) for file in ([path.name for path in files] or [""])]
            continue
        for path in files:
            number = re.fullmatch(rf"{re.escape(video)}_seq_(\d{{4}}|[1-9]\d{{4,8}})\.json", path.name)
            if number is None:
                message = f"expected {video}_seq_ and a number of four digits, found {path.name!r}"
                left_out.append(_entry(subject, video, path.name, LeftOut.UNSAFE_NAME, message))
                continue
            audio = folder / "audio" / subject / video / f"{path.stem}.mp3"
            clips.append(ClipFiles(subject, video, int(number[1]), listed[0], path, audio))
    missing = wanted - {subject for subject, _ in on_disk | set(splits)}
    left_out += [
        _entry(subject, "", "", LeftOut.NO_CLIPS, "expected this subject in the tree, found it nowhere") for subject in sorted(missing)
    ]
    return sorted(clips, key=lambda clip: (clip.subject, clip.video, clip.clip)), left_out


def _is_safe(name):
    return len(name) <= ID_LENGTH and re.fullmatch(IDENTIFIER, name) is not None


def _entry(subject, video, file, reason, message):
    # Names on a disk need not be text.
    subject, video, file = (name.encode("utf-8", "backslashreplace").decode() for name in (subject, video, file))
    return {"subject": subject, "video": video, "file": file, "reason": str(reason), "message": message}


def _read_lists(folder):
    """(subject, video) to the splits that list it, and the lines that name no video."""
    splits, left_out = {}, []
    for split in SPLITS:
        path = folder / f"{split}.txt"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected the list of the videos of {split}, `<subject> <video>` a line, found no file")
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if not line.strip():
                continue
            names = line.strip().split(" ")
            if len(names) == 2 and all(map(_is_safe, names)):
                splits.setdefault(tuple(names), set()).add(split)
            else:
                message = f"line {number}: expected a subject and a video with one space between, found {line.strip()!r:.200}"
                left_out.append(_entry("", "", path.name, LeftOut.UNSAFE_NAME, message))
    return splits, left_out


class _Tally:
    """What an import counts while its rows are written."""

    def __init__(self, left_out):
        self.left_out = left_out
        self.clips, self.unknown_keys, self.videos = Counter(), Counter(), {}
        self.without_midi, self.unreadable_midi = [], []
        self.changing_betas = self.seen = 0
        self.angles_rad = np.zeros(45)

    def counts(self):
        return dict(sorted(Counter(entry["reason"] for entry in self.left_out).items()))

    def report(self):
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
        self.clips[files.split] += 1
        self.videos[files.subject, files.video] = files.split
        self.unknown_keys.update(unknown)
        self.seen += int(annotation.visible.sum())
        self.angles_rad += annotation.rows[annotation.visible][:, FINGERS].sum(axis=0, dtype=np.float64)
        seen_betas = [rows[visible, BETAS] for rows, visible in zip(annotation.rows, annotation.visible, strict=True) if visible.any()]
        self.changing_betas += any((betas != betas[0]).any() for betas in seen_betas)


def _rows(clips, folder, model, hands_mean, mean_pose, tally):
    """Rows of `SHARD` of the clips that can be taken over."""
    music, of_video = None, None
    joints = f"MANO {model.sha256}" if model else "open hand"
    for files in progress(clips, len(clips), "clips"):
        try:
            annotation, unknown = parse_annotation(_bytes_of(files.annotation, LeftOut.UNREADABLE))
            audio = _bytes_of(files.audio, LeftOut.NO_SOUND)
            if not is_mp3(audio):
                raise ClipError(LeftOut.NO_SOUND, f"{files.audio.name}: expected an MP3 file, found another or an empty one")
        except ClipError as error:
            tally.left_out.append(_entry(files.subject, files.video, files.annotation.name, error.reason, str(error)))
            continue
        if of_video != (files.subject, files.video):
            of_video = files.subject, files.video
            music = _music(folder / "midi" / files.subject / f"{files.video}.mid", tally)
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


def _bytes_of(path, reason):
    """A file's bytes; ClipError with the reason where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClipError(reason, f"{path.name}: expected a file, found none that can be read: {error.strerror}") from None


def _music(path, tally):
    """Notes, without fingers, and pedal of a video; none where its MIDI file is missing or broken, which is counted."""
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
