"""Motion from a trained model."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from handroll.exchange.pianomotion10m_rows import CAMERA
from handroll.generation.contacts import make_playable
from handroll.generation.key_motion import key_depth_from_fingertips_mm, key_depth_from_notes_mm
from handroll.generation.motion_table import camera_frame_rows
from handroll.generation.music_input import RecordingError, encode_recording, transcribe_recording
from handroll.generation.performance import GeneratedMotion, Performance
from handroll.hand.kinematics import MIRROR
from handroll.hand.rotations import unwrap_rotvec
from handroll.hand.skeleton import HANDS, TIPS
from handroll.hand.template import WRIST_M
from handroll.keyboard.geometry import N_KEYS
from handroll.models.audio_features import FeatureEncoder, feature_encoder
from handroll.models.diffusion import new_sampler, sampling_steps
from handroll.models.two_stage import TwoStage, load_two_stage, window_starts
from handroll.provenance import file_sha256
from handroll.rendering.scene import world_joints
from handroll.tables import NOTES
from handroll.training_data.model_frame import from_channels, true_hands

BONE_SCALE = 1.0
"""Size of generated hands relative to handroll's open hand. It is fixed, because models generate only positions and rotations."""

# Names of the features that need no network.
_WITHOUT_NETWORK = ("notes", "logmel")


@dataclass(frozen=True)
class TrainedPianist:
    """A trained model with its feature encoder and sampling settings.

    Attributes
    ----------
    model : TwoStage
    encoder : FeatureEncoder
        Encoder of the model's input features.
    about : dict
        The `about` of the model's checkpoint. It contains features, rate_hz, frame and frames.
    sampler : str
        Name of the sampler; see `models.diffusion.sample`.
    steps : int
        Number of sampling steps; see `models.diffusion.sample`.
    device : str
        Device on which model and encoder run.
    name : str
        Name of the folder with the checkpoints.
    version : str
        First 12 digits of the SHA-256 of the second stage's checkpoint.
    contacts : bool
        Whether the motion is corrected so that it plays the notes (`contacts.make_playable`). Models of the camera frame have no keys, so
        their motion is never corrected.
    """

    model: TwoStage
    encoder: FeatureEncoder
    about: dict
    sampler: str
    steps: int
    device: str
    name: str
    version: str
    contacts: bool = True

    @property
    def fps(self):
        """Frame rate of the motion (frames/s)."""
        return self.about["rate_hz"]

    @property
    def settings(self):
        """Settings that influence the motion, for the provenance."""
        return {"features": self.about["features"], "sampler": self.sampler, "steps": self.steps, "contacts": self.contacts}

    def generate(self, recording, seed):
        """Generate the motion for a recording.

        Parameters
        ----------
        recording : generation.music_input.Recording
        seed : int
            Random seed of the noise from which the motion is sampled.

        Returns
        -------
        recording : generation.music_input.Recording
            With transcribed notes, if notes are needed and were missing.
        motion : GeneratedMotion

        Raises
        ------
        RecordingError
            The recording is a file with notes, but the model needs audio.
        """
        about = self.about
        by_notes = about["features"] == "notes"
        over_keys = about["frame"] == "keyboard"
        if (by_notes or (self.contacts and over_keys)) and recording.notes is None:
            recording = transcribe_recording(recording, torch.get_num_threads(), self.device)
        if not by_notes and recording.audio is None:
            raise RecordingError(f"expected audio, because this model needs {about['features']} features, found a file with notes")
        position, pose = _generate_motion(self, recording, seed)
        if over_keys:
            performance, messages = to_performance(position, pose, about["rate_hz"], recording.notes), ()
            if self.contacts:
                performance, missed = make_playable(performance, recording.notes, recording.pedal, self.device)
                if missed.any():
                    messages = (f"{missed.sum()} of {len(missed)} notes are not played, although the motion was corrected",)
            return recording, GeneratedMotion(performance, messages=messages)
        return recording, GeneratedMotion(None, camera_frame_rows(position, pose, about["rate_hz"]), CAMERA.to_metadata())


def load_pianist(folder, sampler="dpmsolver++", steps=20, encoder_folder="", device="cpu", contacts=True):
    """Load a trained model from a folder of checkpoints.

    Parameters
    ----------
    folder : path
        Folder that contains `position.safetensors` and `gesture.safetensors`.
    sampler, steps
        See `models.diffusion.sample`.
    encoder_folder : path, optional
        Folder with the weights of a speech encoder. Required for models that use one.
    device : str
        See `handroll.device`.
    contacts : bool
        See `TrainedPianist`.

    Returns
    -------
    TrainedPianist

    Raises
    ------
    FileNotFoundError, ValueError
        A checkpoint or the encoder is missing or does not match, the sampler is unknown, or `steps` is out of range.
    handroll.device.DeviceError
        The device is not available.
    """
    new_sampler(sampler), sampling_steps(steps)
    folder = Path(folder)
    model, about = load_two_stage(folder / "position.safetensors", folder / "gesture.safetensors", device)
    name = about["features"]
    if name not in _WITHOUT_NETWORK and not encoder_folder:
        raise ValueError(f"{folder}: this model needs features of the speech encoder {name}; give the folder of its weights with --encoder")
    encoder = feature_encoder(name, about["rate_hz"], encoder_folder, device)
    if encoder.version != about["encoder"]:
        where = f" in {encoder_folder}; give the folder of that encoder (--encoder)" if encoder_folder else "; train the model again"
        raise ValueError(
            f"{folder}: expected the {name} encoder that this model was trained with, {about['encoder']}, found {encoder.version}{where}"
        )
    version = file_sha256(folder / "gesture.safetensors")[:12]
    return TrainedPianist(model, encoder, about, sampler, steps, device, folder.resolve().name, version, contacts)


def _generate_motion(pianist, recording, seed):
    """Generate positions (frame, 6) and poses (frame, 96) for a recording."""
    rate_hz, window = pianist.about["rate_hz"], pianist.about["frames"]
    frames = int(np.ceil(recording.duration_s * rate_hz))
    # Features are computed up to the end of the last window, so that the model gets features of silence after the recording,
    # and not zeros.
    features = encode_recording(recording, pianist.encoder, rate_hz, window_starts(frames, window)[-1] + window)
    position, pose = pianist.model.generate_long(features, pianist.sampler, pianist.steps, seed)
    return position[:frames], pose[:frames]


def to_performance(position, pose, rate_hz, notes=None):
    """Convert a motion in the keyboard frame to a performance that can be rendered.

    Parameters
    ----------
    position : array (frame, 6)
    pose : array (frame, 96)
        Motion in the models' convention; see `training_data.model_frame`.
    rate_hz : float
    notes : dict of str to array (note,), optional
        Columns of `tables.NOTES`, from which the depth of the keys is computed. If None, the depth follows from the fingertips.

    Returns
    -------
    Performance
        Both hands are present in all frames. It contains no notes, because the finger of each note is unknown.
    """
    wrist_mm, rotation = true_hands(*from_channels(position, pose), "keyboard")
    frames, rest_m = len(wrist_mm), np.stack([np.array(WRIST_M) * (MIRROR if hand == "left" else 1.0) for hand in HANDS])
    performance = Performance(
        time_s=np.arange(frames) / rate_hz,
        rotation_rad=unwrap_rotvec(rotation),
        translation_m=1e-3 * wrist_mm - BONE_SCALE * rest_m,
        bone_scale=np.full(len(HANDS), BONE_SCALE),
        key_depth_mm=np.zeros((frames, N_KEYS)),
        present=np.ones((frames, len(HANDS)), dtype=bool),
        notes=NOTES.empty(),
        note_hand=np.empty(0, dtype=int),
        note_finger=np.empty(0, dtype=int),
    )
    if notes is None:
        depth_mm = key_depth_from_fingertips_mm(1e3 * world_joints(performance)[:, :, list(TIPS)], performance.bone_scale)
    else:
        depth_mm = key_depth_from_notes_mm(notes, performance.time_s)
    return replace(performance, key_depth_mm=depth_mm)
