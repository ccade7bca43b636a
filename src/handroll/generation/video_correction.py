"""Correct the motion of a video with its music: compute the features that a model was trained with, then apply the model.

The notes of a video are on its own clock. They are transcribed before the motion is cleaned, so nothing here depends on its own result.
"""

from enum import StrEnum
from pathlib import Path

import numpy as np

from handroll.generation.feature_encoders import encoder_of
from handroll.generation.fingering import DEFAULT_COSTS, UNPLAYED
from handroll.generation.fingering_costs_file import costs_from_json
from handroll.generation.hand_assignment import UNKNOWN
from handroll.generation.recording import Recording, encode_recording
from handroll.hand.skeleton import HANDS
from handroll.models.feature_names import NOTE_FEATURES, input_of
from handroll.provenance import file_sha256
from handroll.tables import NOTES

VERSION = 1
"""Version of the correction of videos. Increase it manually when the same video and model give another motion."""


FEATURES = ("logmel", "descriptors", *NOTE_FEATURES)
"""Names of the features with which a model can correct videos. Speech encoders have weights of their own."""


class Uncorrected(StrEnum):
    """Reasons why the motion of a video stays as it is."""

    NO_KEYBOARD = "no keyboard is registered"
    NO_NOTES = "the video has no notes"
    NO_AUDIO = "the model needs audio, and the video has none"


def video_recording(duration_s, notes, pedal, audio=None, audio_delay_s=0.0):
    """Return the music of a video as a `Recording`.

    Parameters
    ----------
    duration_s : float
    notes, pedal : dict of str to array
        Columns of `tables.FINGERED_NOTES` and `tables.PEDAL`, in seconds since the video's first frame.
    audio : path, optional
        FLAC file of the audio.
    audio_delay_s : float
        Delay of the audio relative to the frames.
    """
    hand = np.array([HANDS.index(name) if name else UNKNOWN for name in notes["hand"]], dtype=int)
    finger = np.where((notes["finger"] > 0) & (hand != UNKNOWN), notes["finger"].astype(int) - 1, UNPLAYED)
    columns = {column.name: notes[column.name] for column in NOTES.columns}
    return Recording(duration_s, audio, columns, pedal, hand=hand, finger=finger, audio_delay_s=audio_delay_s)


def correct_video(motion, recording, path, extrinsics, joints_from, max_gap_s, segments=None):
    """Correct the motion of a video.

    Parameters
    ----------
    motion : dict of str to array (frame, hand 2, ...)
        Columns of `tables.MOTION` by frame.
    recording : Recording
        Music of the video; see `video_recording`.
    path : path
        Checkpoint of the model.
    extrinsics, joints_from, max_gap_s, segments
        See `models.correction.correct`.

    Returns
    -------
    motion : dict of str to array (frame, hand 2, ...)
        The corrected motion, or the given one if it cannot be corrected.
    facts : dict
        `corrector_sha256` (hash of the checkpoint), `corrector_features`, and `counts`; see `models.correction.correct`. If the motion
        cannot be corrected: only `uncorrected`, one of `Uncorrected`.

    Raises
    ------
    FileNotFoundError, CheckpointError
        The checkpoint is missing, is no model of this kind, or was trained with features that handroll does not compute here.
    """
    # torch takes seconds to import.
    from handroll.models.checkpoint import CheckpointError, check_features
    from handroll.models.correction import MAPNETS, correct, load_corrector

    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path}: expected a trained MAPnet for motion.correction, found no such file; train it as docs/how-to/correct-motion.md "
            "describes, or set motion.correction: none"
        )
    model, about = load_corrector(path, MAPNETS)
    name = about["features"]
    if name not in FEATURES:
        raise CheckpointError(
            f"{path}: expected a model with one of the features {', '.join(FEATURES)}, found {name}; train one with these"
        )
    if problem := _problem(recording, input_of(name), extrinsics):
        return motion, {"uncorrected": problem}
    costs = costs_from_json(about["fingering"], path) if "fingering" in about else (DEFAULT_COSTS, DEFAULT_COSTS)
    encoder = encoder_of(name, model.rate_hz, costs=costs)
    check_features(path, about, {"features": name, "encoder": encoder.version})
    size = float(np.nanmedian(motion["bone_scale"])) if np.isfinite(motion["bone_scale"]).any() else 1.0
    frames = int(motion["time_s"][-1, 0] * model.rate_hz) + 1
    music = encode_recording(recording, encoder, model.rate_hz, frames, size)
    corrected, counts = correct(motion, music, model, extrinsics, joints_from, max_gap_s, segments)
    return corrected, {"corrector_sha256": file_sha256(path), "corrector_features": name, "counts": counts}


def _problem(recording, needed, extrinsics):
    """Return why a motion cannot be corrected, one of `Uncorrected`, or None. `needed`: "notes" or "audio"."""
    if extrinsics is None:
        return Uncorrected.NO_KEYBOARD
    if not len(recording.notes["pitch"]):
        return Uncorrected.NO_NOTES
    return Uncorrected.NO_AUDIO if needed == "audio" and recording.audio is None else None
