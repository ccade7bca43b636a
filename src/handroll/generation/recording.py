"""The music of a recording, its audio, its notes, or both, and its features for a model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handroll.dataset.clip_content import cut_flac, cut_music
from handroll.generation.fingering import UNPLAYED
from handroll.generation.hand_assignment import UNKNOWN
from handroll.hand.skeleton import HANDS
from handroll.logs import progress

PIECE_S = 30.0
"""Length of the pieces in which audio is encoded (s). It equals the length of the clips on which models are trained."""


@dataclass(frozen=True)
class Recording:
    """A recording: its audio, its notes, or both.

    Attributes
    ----------
    duration_s : float
    audio : path or None
        Mono FLAC file, as written by `media.audio.extract_audio`. None for a file with notes.
    notes, pedal : dict of str to array or None
        Columns of `tables.NOTES` and `tables.PEDAL`, in seconds since the start of the recording. None if unknown.
    transcriber : str
        Origin of the notes: "midi", "musicxml", "pig", or a transcription engine; empty without notes.
    hand, finger : array (note,), int, or None
        Given hands as indices into `skeleton.HANDS` (`hand_assignment.UNKNOWN` for others), and given fingers as indices into
        `skeleton.FINGERS` (`fingering.UNPLAYED` for others), in the order of the notes. None without notes.
    audio_delay_s : float
        Delay of the audio relative to the start of the recording and to its notes.
    """

    duration_s: float
    audio: Path | None = None
    notes: dict | None = None
    pedal: dict | None = None
    transcriber: str = ""
    hand: np.ndarray | None = None
    finger: np.ndarray | None = None
    audio_delay_s: float = 0.0


def encode_recording(recording, encoder, rate_hz, frames, hand_size=1.0):
    """Compute the features of a recording in the same way as for clips of the dataset.

    Parameters
    ----------
    recording : Recording
        Recording that contains the input of the encoder: notes or audio.
    encoder : models.audio_features.FeatureEncoder
    rate_hz : float
        Frame rate of the features.
    frames : int
        Number of frames of the result. The recording is padded with silence.
    hand_size : float
        Bone scale of both hands, for encoders that plan the motion.

    Returns
    -------
    array (frame, feature), float32
        Audio that is longer than `PIECE_S` is encoded in pieces that overlap by half. The features of a frame come from the piece in
        which the frame is farther from the ends.
    """
    # torch and diffusers take seconds to import. Notes that are played without a model need neither.
    from handroll.models.two_stage import window_starts

    by_notes = "notes" in encoder.columns
    piece = frames if by_notes else min(frames, round(PIECE_S * rate_hz))
    starts = window_starts(frames, piece)
    features = None
    for first in progress(starts, len(starts), "pieces encoded"):
        start_s, end_s = first / rate_hz, (first + piece) / rate_hz
        row = {"start_s": start_s, "end_s": end_s, "audio_delay_s": 0.0}
        if by_notes:
            row |= cut_music(_labelled(recording), recording.pedal, start_s, end_s)
            row |= {"split": "", **{f"{hand}_bone_scale": hand_size for hand in HANDS}}
        else:
            row["audio"] = {"bytes": cut_flac(recording.audio, start_s + recording.audio_delay_s, end_s + recording.audio_delay_s)}
        encoded = encoder.encode(row)
        if features is None:
            features = np.empty((starts[-1] + piece, encoded.shape[1]), dtype=np.float32)
        # The later piece replaces the earlier one from the middle of their overlap.
        skip = piece // 4 if first else 0
        features[first + skip : first + piece] = encoded[skip:]
    return features[:frames]


def _labelled(recording):
    """Return the notes of a recording with the columns of `tables.FINGERED_NOTES`. Notes without a given finger have no label."""
    known = recording.hand != UNKNOWN
    return recording.notes | {
        "hand": np.where(known, np.array(HANDS, dtype=object)[recording.hand], ""),
        "finger": np.where(recording.finger == UNPLAYED, 0, recording.finger + 1).astype(np.int8),
        "finger_confidence": np.where(recording.finger == UNPLAYED, 0.0, 1.0),
        "landing_error_mm": np.full(len(known), np.nan),
    }
