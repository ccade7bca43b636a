"""Motion from a trained model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from handroll.exchange.pianomotion10m_rows import CAMERA
from handroll.generation.channels import to_performance
from handroll.generation.contacts import make_playable
from handroll.generation.motion_table import camera_frame_rows
from handroll.generation.music_input import RecordingError, encode_recording, transcribe_recording
from handroll.generation.performance import GeneratedMotion
from handroll.models.audio_features import FeatureEncoder, feature_encoder
from handroll.models.diffusion import new_sampler, sampling_steps
from handroll.models.two_stage import TwoStage, load_two_stage, window_starts
from handroll.provenance import file_sha256

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
