"""Motion from a trained model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from handroll.exchange.pianomotion10m_rows import CAMERA
from handroll.generation.channels import to_performance
from handroll.generation.contacts import make_playable
from handroll.generation.feature_encoders import encoder_of
from handroll.generation.fingering import DEFAULT_COSTS, FingeringCosts
from handroll.generation.fingering_costs_file import costs_from_json, digest
from handroll.generation.motion_table import camera_frame_rows
from handroll.generation.music_input import RecordingError, transcribe_recording
from handroll.generation.performance import GeneratedMotion
from handroll.generation.planned import check_hand_size
from handroll.generation.recording import encode_recording
from handroll.models.audio_features import FeatureEncoder
from handroll.models.feature_names import NOTE_FEATURES
from handroll.models.methods import MODELS, load_model
from handroll.models.objectives import check_sampling
from handroll.models.two_stage import window_starts
from handroll.provenance import file_sha256

# Names of the features that need no folder of weights.
_WITHOUT_FOLDER = (*NOTE_FEATURES, "logmel")


@dataclass(frozen=True)
class TrainedPianist:
    """A trained model with its feature encoder and sampling settings.

    Attributes
    ----------
    motion_of : callable (array (frame, feature), int) -> (array (frame, 6), array (frame, 96))
        Function that generates positions and poses (`training_data.model_frame`) from features and a random seed.
    encoder : FeatureEncoder
        Encoder of the model's input features.
    about : dict
        The `about` of the model's checkpoint. It contains features, rate_hz, frame and frames.
    sampling : dict
        Settings of the sampling, for the provenance; empty for a model without noise.
    device : str
        Device on which model and encoder run.
    name : str
        Name of the folder with the checkpoints.
    version : str
        First 12 digits of the SHA-256 of the last stage's checkpoint.
    costs : (FingeringCosts, FingeringCosts)
        Costs of the fingering of the left and of the right hand.
    contacts : bool
        Whether the motion is corrected so that it plays the notes (`contacts.make_playable`). Models of the camera frame have no keys, so
        their motion is never corrected.
    hand_size : float
        Bone scale of both hands: size relative to handroll's open hand. It is not a result of the models.
    """

    motion_of: Callable
    encoder: FeatureEncoder
    about: dict
    sampling: dict
    device: str
    name: str
    version: str
    costs: tuple[FingeringCosts, FingeringCosts] = (DEFAULT_COSTS, DEFAULT_COSTS)
    contacts: bool = True
    hand_size: float = 1.0

    @property
    def fps(self):
        """Frame rate of the motion (frames/s)."""
        return self.about["rate_hz"]

    @property
    def settings(self):
        """Settings that influence the motion, for the provenance."""
        settings = {"features": self.about["features"], "contacts": self.contacts, "hand_size": self.hand_size}
        return settings | self.sampling | {"fingering_sha256": digest(self.costs)}

    def generate(self, recording, seed):
        """Generate the motion for a recording.

        Parameters
        ----------
        recording : generation.recording.Recording
        seed : int
            Random seed of the noise from which the motion is sampled.

        Returns
        -------
        recording : generation.recording.Recording
            With transcribed notes, if notes are needed and were missing.
        motion : GeneratedMotion

        Raises
        ------
        RecordingError
            The recording is a file with notes, but the model needs audio.
        """
        about = self.about
        by_notes = about["features"] in NOTE_FEATURES
        over_keys = about["frame"] == "keyboard"
        if (by_notes or (self.contacts and over_keys)) and recording.notes is None:
            recording = transcribe_recording(recording, torch.get_num_threads(), self.device)
        if not by_notes and recording.audio is None:
            raise RecordingError(f"expected audio, because this model needs {about['features']} features, found a file with notes")
        position, pose = _generate_motion(self, recording, seed)
        if over_keys:
            scale, messages = (self.hand_size,) * 2, ()
            performance = to_performance(position, pose, about["rate_hz"], recording.notes, scale)
            if self.contacts:
                known = recording.hand, recording.finger, self.costs
                performance, missed = make_playable(performance, recording.notes, recording.pedal, self.device, *known)
                if missed.any():
                    messages = (f"{missed.sum()} of {len(missed)} notes are not played, although the motion was corrected",)
            return recording, GeneratedMotion(performance, messages=messages)
        return recording, GeneratedMotion(None, camera_frame_rows(position, pose, about["rate_hz"]), CAMERA.to_metadata())


def load_pianist(folder, sampler=None, steps=20, encoder_folder="", device="cpu", contacts=True, costs=None, hand_size=1.0):
    """Load a trained model from a folder of checkpoints.

    Parameters
    ----------
    folder : path
        Folder with the checkpoints of the stages of a model (`models.methods.MODELS`), such as `position.safetensors`.
    sampler, steps
        See `models.objectives.sample`. Not used by models without noise. The default sampler is dpmsolver++, or euler for flow matching.
    encoder_folder : path, optional
        Folder with the weights of a speech encoder. Required for models that use one.
    device : str
        See `handroll.device`.
    contacts : bool
        See `TrainedPianist`.
    costs : (FingeringCosts, FingeringCosts), optional
        Costs of the fingering. Default: those that were learned together with the model, or else the default costs.
    hand_size : float
        See `TrainedPianist`.

    Returns
    -------
    TrainedPianist

    Raises
    ------
    FileNotFoundError, ValueError
        A checkpoint or the encoder is missing or does not match, the sampler is unknown or is not for this model, or `steps` or
        `hand_size` is out of range.
    handroll.device.DeviceError
        The device is not available.
    """
    check_sampling(sampler or "dpmsolver++", steps), check_hand_size(hand_size)
    folder = Path(folder)
    name, paths = checkpoints_in(folder)
    last, sampling = paths[-1], {}
    model, about = load_model(name, paths, device)
    if MODELS[name].sampled:
        sampler = sampler or ("euler" if model.objective == "flow" else "dpmsolver++")
        check_sampling(sampler, steps, model.objective)
        sampling = {"sampler": sampler, "steps": steps}
    name = about["features"]
    if name not in _WITHOUT_FOLDER and not encoder_folder:
        raise ValueError(f"{folder}: this model needs features of the speech encoder {name}; give the folder of its weights with --encoder")
    if costs is None:
        costs = costs_from_json(about["fingering"], last) if "fingering" in about else (DEFAULT_COSTS, DEFAULT_COSTS)
    encoder = encoder_of(name, about["rate_hz"], encoder_folder, device, costs)
    if encoder.version != about["encoder"]:
        where = f" in {encoder_folder}; give the folder of that encoder (--encoder)" if encoder_folder else "; train the model again"
        raise ValueError(
            f"{folder}: expected the {name} encoder that this model was trained with, {about['encoder']}, found {encoder.version}{where}"
        )

    def motion_of(features, seed):
        return model.generate_long(features, sampler, steps, seed) if sampling else model.generate_long(features)

    version = file_sha256(last)[:12]
    return TrainedPianist(motion_of, encoder, about, sampling, device, folder.resolve().name, version, costs, contacts, hand_size)


def checkpoints_in(folder):
    """Find the model whose checkpoints are in a folder. A stage that it shares with another model or variant may be in that one's folder.

    Parameters
    ----------
    folder : path

    Returns
    -------
    name : str
        Name in `models.methods.MODELS`.
    paths : list of path
        Checkpoints of its stages.

    Raises
    ------
    FileNotFoundError
        The folder does not contain the checkpoints of a model.
    """
    folder = Path(folder).resolve()
    named = folder.name.split("-")[0]
    for name in [*([named] if named in MODELS else []), *MODELS]:
        model, paths = MODELS[name], []
        for stage in model.stages:
            own = folder / f"{stage}.safetensors"
            # A stage may be in the folder of the model that shares it, or of the model of which this one is a variant.
            shared = folder.with_name(f"{model.shares.get(stage, '')}{folder.name.removeprefix(name)}") / own.name
            whole = folder.with_name(folder.name.rpartition("-")[0] or folder.name) / own.name
            paths.append(next((path for path in (own, shared, whole) if path.is_file()), own))
        if all(path.is_file() for path in paths):
            return name, paths
    known = "; ".join(f"{name}: {', '.join(f'{stage}.safetensors' for stage in model.stages)}" for name, model in MODELS.items())
    raise FileNotFoundError(f"{folder}: expected the files of a trained model ({known}), found none; train it first (docs/benchmark.md)")


def _generate_motion(pianist, recording, seed):
    """Generate positions (frame, 6) and poses (frame, 96) for a recording."""
    rate_hz, window = pianist.about["rate_hz"], pianist.about["frames"]
    frames = int(np.ceil(recording.duration_s * rate_hz))
    # Features are computed up to the end of the last window, so that the model gets features of silence after the recording,
    # and not zeros.
    length = window_starts(frames, window)[-1] + window
    position, pose = pianist.motion_of(encode_recording(recording, pianist.encoder, rate_hz, length, pianist.hand_size), seed)
    return position[:frames], pose[:frames]
