"""Content of a clip: slice frames, notes, pedal and audio of a video to the window of a clip, as a row of `tables.SHARD`.

`clips` selects the windows, `shards` writes the rows.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from handroll.camera import Camera, Extrinsics, camera_from_metadata, extrinsics_from_metadata
from handroll.dataset.rights import published_source
from handroll.hand.skeleton import HANDS
from handroll.storage import read_json, read_table
from handroll.tables import FINGERED_NOTES, KEY_PRESS_SCORES, MOTION, PEDAL, by_frame

# Columns of `tables.MOTION` with a value for each frame.
_FRAME_COLUMNS = ("state", "rotation_rad", "translation_m", "joints_m", "joints_keyboard_mm", "residual_px")

# Columns of `tables.MOTION` with one value for the whole video.
_VIDEO_COLUMNS = ("betas", "bone_scale")

_SCORES = tuple(column.name for column in KEY_PRESS_SCORES)

# Camera pose of a video without a registered keyboard.
_UNKNOWN = Extrinsics(np.full(3, np.nan), np.full(3, np.nan))


@dataclass(frozen=True)
class VideoRecord:
    """All data and metadata of a video from which the rows of its clips are made.

    Attributes
    ----------
    motion : dict of str to array (frame, hand, ...)
        Columns of `handroll.tables.MOTION`, by frame.
    notes, pedal : dict of str to array (row,)
        Columns of `tables.FINGERED_NOTES` and `tables.PEDAL`, in video time: seconds since the video's first frame.
    audio_delay_s : float
        Delay of the audio relative to the frames, s. The audio of a clip starts this much later in the file.
    audio_path : path or None
        Audio file. If the delay is 0, its sample 0 is at the video's first frame. None: the video has no audio.
    camera : Camera
    extrinsics : Extrinsics or None
        Transform from the keyboard frame to the camera frame; None without a registered keyboard.
    fps : float
        Mean frame rate.
    detector, pose_engine, transcriber : str
        Names and versions of the detector, of the pose engine and of the source of the notes.
    permission, licence, source, source_sha256 : str
        See these columns of `tables.SHARD`.
    provenance : dict
        Versions and settings with which the clips were made; JSON values.
    """

    motion: dict
    notes: dict
    pedal: dict
    audio_delay_s: float
    audio_path: Path | None
    camera: Camera
    extrinsics: Extrinsics | None
    fps: float
    detector: str
    pose_engine: str
    transcriber: str
    permission: str
    licence: str
    source: str
    source_sha256: str
    provenance: dict


def read_video_record(files, rights):
    """Read the data of one video from the files that the workflow made for it.

    Parameters
    ----------
    files : dict of str to path
        Files of the video: motion, notes, pedal, audio, info, probe. An empty audio file means that the video has no audio.
    rights : (permission, licence)
        Permission to publish the video, and its licence; see these columns of `tables.SHARD`.

    Returns
    -------
    VideoRecord
    """
    motion, made = read_table(files["motion"], MOTION)
    notes, notes_metadata = read_table(files["notes"], FINGERED_NOTES)
    info, probe = (read_json(files[name]) for name in ("info", "probe"))
    permission, licence = rights
    return VideoRecord(
        motion=by_frame(motion),
        notes=notes,
        pedal=read_table(files["pedal"], PEDAL)[0],
        audio_delay_s=float(notes_metadata["audio_delay_s"]),
        audio_path=Path(files["audio"]) if Path(files["audio"]).stat().st_size else None,
        camera=camera_from_metadata(made),
        extrinsics=extrinsics_from_metadata(made),
        fps=probe["fps"],
        detector=made["detector"],
        pose_engine=f"{made['pose_engine']} {made['pose_engine_version']}",
        transcriber=notes_metadata["transcriber"],
        permission=permission,
        licence=licence,
        source=published_source(info),
        source_sha256=info["sha256"],
        provenance={"motion": made, "notes": notes_metadata},
    )


def clip_row(clip, split, record):
    """Return a clip as a row of `handroll.tables.SHARD`.

    Parameters
    ----------
    clip : dict of str to value
        A row of `tables.CLIPS`.
    split : str
        Value of the column `split`.
    record : VideoRecord

    Returns
    -------
    dict of str to value
        Frame columns are arrays (frame, ...) of the window, NaN for hidden hands; times are seconds since the start of the clip.
        Notes and pedal: see `cut_music`. Audio: see `cut_flac`.
    """
    start_s, end_s = float(clip["start_s"]), float(clip["end_s"])
    frames = slice(int(clip["start_frame"]), int(clip["end_frame"]))
    row = {name: clip[name] for name in ("subject", "video", "clip", "start_s", "end_s", "start_frame", "visibility", *_SCORES)}
    row |= {"split": split, "n_frames": frames.stop - frames.start, "fps": record.fps}
    row["time_s"] = record.motion["time_s"][frames, 0] - start_s
    for side, hand in enumerate(HANDS):
        # Slices are copied, because a view would keep the whole video in memory until the row group is written.
        row |= {f"{hand}_{name}": record.motion[name][frames, side].copy() for name in _FRAME_COLUMNS}
        row |= {f"{hand}_{name}": _constant_value(record.motion[name][:, side], f"{hand} {name}", clip) for name in _VIDEO_COLUMNS}
    row |= cut_music(record.notes, record.pedal, start_s, end_s)
    row["audio"] = None
    if record.audio_path is not None:
        name = f"{clip['subject']}_{clip['video']}_{int(clip['clip']):05d}.flac"
        row["audio"] = {"bytes": cut_flac(record.audio_path, start_s + record.audio_delay_s, end_s + record.audio_delay_s), "path": name}
    camera = record.camera
    row |= {name: getattr(camera, name) for name in ("width_px", "height_px", "focal_px", "focal_source", "centre_px", "k1")}
    extrinsics = record.extrinsics or _UNKNOWN
    row |= {"keyboard_rotation_rad": extrinsics.rotation_rad, "keyboard_translation_mm": extrinsics.translation_mm}
    # `cut_flac` has removed the delay from the audio; the notes are in video time.
    row["audio_delay_s"] = 0.0
    row |= {"detector": record.detector, "pose_engine": record.pose_engine, "transcriber": record.transcriber}
    row |= {"permission": record.permission, "licence": record.licence, "source": record.source, "source_sha256": record.source_sha256}
    row["provenance"] = json.dumps(record.provenance, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return row


def _constant_value(values, name, clip):
    """Return the value (...) that is equal in all frames of a column (frame, ...). Frames with NaN are ignored; NaN if all have NaN.

    Unequal values raise a ValueError. `name` (of the column) and `clip` (a row of `tables.CLIPS`) are for its message.
    """
    known = values[np.isfinite(values).reshape(len(values), -1).all(axis=1)]
    if not len(known):
        return np.full(values.shape[1:], np.nan, dtype=values.dtype)
    if not np.array_equal(known, np.broadcast_to(known[0], known.shape)):
        raise ValueError(f"{clip['subject']}/{clip['video']}: {name} changes within the video, expected one value; fit the pose again")
    return known[0].copy()


def cut_music(notes, pedal, start_s, end_s):
    """Return the notes and the pedal presses of the interval [start_s, end_s), as values of a row.

    Parameters
    ----------
    notes, pedal : dict of str to array (row,)
        Columns of `tables.FINGERED_NOTES` and `tables.PEDAL`; seconds since the video's first frame.
    start_s, end_s : float

    Returns
    -------
    dict
        `notes`: notes with an onset in the interval. `pedal`: presses that overlap the interval, with their full duration. Both are
        lists of dicts; times are seconds since `start_s`.
    """
    struck = (notes["onset_s"] >= start_s) & (notes["onset_s"] < end_s)
    held = (pedal["offset_s"] > start_s) & (pedal["onset_s"] < end_s)
    return {"notes": _row_dicts(notes, struck, start_s), "pedal": _row_dicts(pedal, held, start_s)}


def _row_dicts(table, chosen, start_s):
    """Return the rows of a table that the bool array `chosen` selects, as dicts. Times become relative to the start of the clip."""
    columns = {name: values[chosen] - start_s if name.endswith("_s") else values[chosen] for name, values in table.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*(values.tolist() for values in columns.values()), strict=True)]


def cut_flac(path, start_s, end_s):
    """Return the audio of the interval [start_s, end_s) as the bytes of a mono FLAC file.

    The file has the sampling rate and sample width of the source. Channels are averaged; mono samples stay bit-identical. Silence is
    added before sample 0 and after the last sample, so the length is always round((end_s - start_s) * rate) samples.

    Parameters
    ----------
    path : path of a FLAC file
    start_s, end_s : float
        Seconds since sample 0 of the file.
    """
    with soundfile.SoundFile(path) as source:
        length = round((end_s - start_s) * source.samplerate)
        first = round(start_s * source.samplerate)
        padding = min(max(-first, 0), length)
        source.seek(min(max(first, 0), source.frames))
        samples = source.read(length - padding, dtype="int32", always_2d=True, fill_value=0)
        samples = np.concatenate([np.zeros((padding, samples.shape[1]), dtype=np.int32), samples])
        mono = samples[:, 0] if samples.shape[1] == 1 else np.floor(samples.mean(axis=1, dtype=np.float64)).astype(np.int32)
        target = io.BytesIO()
        soundfile.write(target, mono, source.samplerate, format="FLAC", subtype=source.subtype)
    return target.getvalue()


def read_audio(audio, rate_hz, delay_s=0.0):
    """Decode the audio of a clip.

    Parameters
    ----------
    audio : dict or None
        Value of the column `audio` of `tables.SHARD`: bytes and path.
    rate_hz : int
        Sampling rate of the result.
    delay_s : float
        Delay of the audio relative to the motion, s. This duration is removed at the start, and as much silence is added at the end.

    Returns
    -------
    float32 array (sample,)
        Mono; sample 0 is at the clip's first frame.

    Raises
    ------
    ValueError
        The clip has no audio.
    """
    import soxr

    if audio is None:
        raise ValueError("expected a clip with audio, found none; use features of the notes, or exclude clips without audio")
    samples, rate = soundfile.read(io.BytesIO(audio["bytes"]), dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    shift = round(delay_s * rate)
    shifted = np.zeros_like(mono)
    kept = mono[max(shift, 0) : len(mono) + min(shift, 0)]
    shifted[max(-shift, 0) : max(-shift, 0) + len(kept)] = kept
    return soxr.resample(shifted, rate, rate_hz) if rate != rate_hz else shifted
