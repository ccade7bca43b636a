"""Generate motion for a recording with a trained model. Write the motion, the notes, and a video of the hands over a rendered piano."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from handroll.camera import Extrinsics, joints_in_keyboard_frame
from handroll.exchange.pianomotion10m_rows import CAMERA
from handroll.generation.music_input import AUDIO_RATE_HZ, ENGINE, RecordingError, encode_recording, open_recording, transcribe_recording
from handroll.generation.performance import Performance
from handroll.generation.wrist_trajectory import TIP_HEIGHT_MM
from handroll.hand.kinematics import MIRROR, hand_joints
from handroll.hand.rotations import rotvec_from_matrix, unwrap_rotvec
from handroll.hand.skeleton import HANDS, N_ROTATIONS, TIPS
from handroll.hand.template import WRIST_M
from handroll.keyboard.geometry import N_KEYS, STANDARD, is_black, key_at_point, key_of_pitch
from handroll.logs import LOGGER
from handroll.media.audio import load_audio
from handroll.models.audio_features import FeatureEncoder, feature_encoder
from handroll.models.diffusion import new_sampler, sampling_steps
from handroll.models.two_stage import TwoStage, load_two_stage, window_starts
from handroll.music.midi import write_midi
from handroll.music.synthesis import synthesise
from handroll.provenance import code_hash, file_sha256, stamp
from handroll.rendering.render import render_video
from handroll.rendering.scene import Appearance, Scene, View, to_camera, world_joints
from handroll.storage import write_table
from handroll.tables import MOTION, NOTES, State, by_row, frame_keys
from handroll.training_data.model_frame import from_channels, true_hands

BONE_SCALE = 1.0
"""Size of generated hands relative to handroll's open hand. It is fixed, because models generate only positions and rotations."""

SCENE = Scene(View(position_m=(0.611, -0.04, 1.02)), appearance=Appearance(noise_sigma=0.0))
"""Scene of the rendered video: the camera is vertically above all keys and the forearms, and there is no image noise."""

STRIKE_S = 0.06
"""Duration of a key's movement down, which ends at the note's onset (s)."""

LIFT_S = 0.08
"""Duration of a key's movement up, which starts at the key release (s). Same as in simulated performances (`pianist`)."""

# Names of the features that need no network.
_WITHOUT_NETWORK = ("notes", "logmel")


@dataclass(frozen=True)
class Pianist:
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
    """

    model: TwoStage
    encoder: FeatureEncoder
    about: dict
    sampler: str
    steps: int
    device: str
    name: str
    version: str


def load_pianist(folder, sampler="dpmsolver++", steps=20, encoder_folder="", device="cpu"):
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

    Returns
    -------
    Pianist

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
    return Pianist(model, encoder, about, sampler, steps, device, folder.resolve().name, version)


def play(pianist, path, out, name, midi_path=None, seed=0, width_px=1280, video=True):
    """Generate the motion for a recording, and write the result files.

    The files are `<name>.motion.parquet`; `<name>.mid` if the notes are known; and `<name>.mp4` if a video is written.

    Parameters
    ----------
    pianist : Pianist
    path : path
        Recording; see `generation.music_input.open_recording`.
    out : path
        Folder for the result files.
    name : str
        Name of the result files without extension.
    midi_path : path, optional
        MIDI file with the notes of the recording. If it is None and the model needs notes, the recording is transcribed.
    seed : int
        Random seed of the noise from which the motion is sampled.
    width_px : int
        Width of the video in pixels. The height is 9/16 of the width.
    video : bool
        Whether to write a video. With a model that works in the camera frame, no video is written, because the position of the piano is
        unknown.

    Returns
    -------
    dict of str to path
        Paths of the written files, with the keys "motion", "MIDI" and "video".

    Raises
    ------
    RecordingError
        The recording cannot be used, or an output would overwrite an input.
    """
    about, out = pianist.about, Path(out)
    files = {kind: out / f"{name}{suffix}" for kind, suffix in (("motion", ".motion.parquet"), ("MIDI", ".mid"), ("video", ".mp4"))}
    for target in files.values():
        if any(target.exists() and Path(given).exists() and target.samefile(given) for given in (path, midi_path) if given):
            raise RecordingError(f"{target}: this result would overwrite an input file; choose another folder with --out")
    with tempfile.TemporaryDirectory() as folder:
        recording = open_recording(path, folder, midi_path)
        by_notes = about["features"] == "notes"
        if by_notes and recording.notes is None:
            recording = transcribe_recording(recording, torch.get_num_threads(), pianist.device)
        if not by_notes and recording.audio is None:
            raise RecordingError(f"{path}: expected audio, because this model needs {about['features']} features, found a MIDI file")
        position, pose = _generate_motion(pianist, recording, seed)
        size = width_px // 2 * 2, width_px * 9 // 32 * 2
        over_keys = about["frame"] == "keyboard"
        performance = to_performance(position, pose, about["rate_hz"], recording.notes) if over_keys else None
        if over_keys:
            columns, view_facts = project_to_scene(performance, SCENE, *size)
        else:
            columns, view_facts = camera_frame_rows(position, pose, about["rate_hz"]), CAMERA.to_metadata()
        settings = {"features": about["features"], "sampler": pianist.sampler, "steps": pianist.steps, "seed": seed}
        made = {"detector": "generated", "pose_engine": pianist.name, "pose_engine_version": pianist.version}
        facts = stamp(
            "generate", code_hash(__file__, [f"handroll.music.{ENGINE}"]), settings, **made, transcriber=recording.transcriber or None
        )
        write_table(files["motion"], MOTION, columns, facts | view_facts)
        if recording.notes is None:
            del files["MIDI"]
        else:
            write_midi(files["MIDI"], recording.notes, recording.pedal)
        if video and over_keys:
            audio = _load_or_synthesise_audio(recording, seed)
            threads = torch.get_num_threads()
            render_video(files["video"], performance, SCENE, about["rate_hz"], *size, audio=audio, seed=seed, threads=threads)
        else:
            del files["video"]
            if video:
                LOGGER.info("no video is written: the model works in the camera frame, where the position of the piano is unknown")
    return files


def _generate_motion(pianist, recording, seed):
    """Generate positions (frame, 6) and poses (frame, 96) for a recording."""
    rate_hz, window = pianist.about["rate_hz"], pianist.about["frames"]
    frames = int(np.ceil(recording.duration_s * rate_hz))
    # Features are computed up to the end of the last window, so that the model gets features of silence after the recording,
    # and not zeros.
    features = encode_recording(recording, pianist.encoder, rate_hz, window_starts(frames, window)[-1] + window)
    position, pose = pianist.model.generate_long(features, pianist.sampler, pianist.steps, seed)
    return position[:frames], pose[:frames]


def _load_or_synthesise_audio(recording, seed):
    """Return the audio of the video as (samples, rate): the audio of the recording, or else its notes played by the synthetic piano."""
    if recording.audio is not None:
        return load_audio(recording.audio, AUDIO_RATE_HZ)
    return synthesise(recording.notes, recording.pedal, recording.duration_s, seed, AUDIO_RATE_HZ), AUDIO_RATE_HZ


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
        depth_mm = key_depth_from_fingertips_mm(1e3 * world_joints(performance)[:, :, list(TIPS)])
    else:
        depth_mm = key_depth_from_notes_mm(notes, performance.time_s)
    return replace(performance, key_depth_mm=depth_mm)


def key_depth_from_notes_mm(notes, time_s):
    """Compute the depth of each key from the notes.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`.
    time_s : array (frame,)

    Returns
    -------
    array (frame, key 88), mm
    """
    depth_mm = np.zeros((len(time_s), N_KEYS))
    columns = (notes[name] for name in ("onset_s", "key_offset_s", "pitch"))
    for onset_s, release_s, pitch in zip(*columns, strict=True):
        frames = slice(*np.searchsorted(time_s, (onset_s - STRIKE_S, release_s + LIFT_S)))
        course = np.minimum((time_s[frames] - onset_s) / STRIKE_S + 1.0, (release_s - time_s[frames]) / LIFT_S + 1.0)
        key = key_of_pitch(int(pitch))
        depth_mm[frames, key] = np.maximum(depth_mm[frames, key], STANDARD.dip_mm * np.minimum(course, 1.0))
    return depth_mm


def key_depth_from_fingertips_mm(tips_mm):
    """Compute the depth of each key from the fingertips: a fingertip that is lower than the key's surface pushes the key down.

    Parameters
    ----------
    tips_mm : array (frame, hand 2, finger 5, xyz 3)
        Joints of the fingertips, keyboard frame. The surface of a fingertip is `TIP_HEIGHT_MM` below its joint.

    Returns
    -------
    array (frame, key 88), mm
    """
    depth_mm = np.zeros((len(tips_mm), N_KEYS))
    key = key_at_point(tips_mm[..., 0], tips_mm[..., 1])
    top_mm = np.where(is_black(np.maximum(key, 0)), STANDARD.black_height_mm, 0.0)
    below_mm = np.clip(top_mm + BONE_SCALE * TIP_HEIGHT_MM - tips_mm[..., 2], 0.0, STANDARD.dip_mm)
    frame = np.broadcast_to(np.arange(len(tips_mm))[:, None, None], key.shape)
    np.maximum.at(depth_mm, (frame[key >= 0], key[key >= 0]), below_mm[key >= 0])
    return depth_mm


def project_to_scene(performance, scene, width_px, height_px):
    """Convert a performance to a motion in the camera frame of a scene.

    Parameters
    ----------
    performance : Performance
    scene : rendering.scene.Scene
    width_px, height_px : int
        Size of the frames.

    Returns
    -------
    columns : dict of str to array (row, ...)
        Columns of `tables.MOTION`.
    facts : dict of str to str
        Camera and extrinsics, as metadata of the table.
    """
    view = scene.view
    extrinsics = Extrinsics(rotvec_from_matrix(view.rotation), 1e3 * view.to_camera(np.zeros(3)))
    columns = _motion_columns(performance.time_s, *to_camera(performance, scene), extrinsics)
    return columns, scene.camera(width_px, height_px).to_metadata() | extrinsics.to_metadata()


def camera_frame_rows(position, pose, rate_hz):
    """Convert positions (frame, 6) and poses (frame, 96) of a model that works in the camera frame to columns of `tables.MOTION`."""
    position_m, rotation = true_hands(*from_channels(position, pose), "camera")
    return _motion_columns(np.arange(len(position_m)) / rate_hz, unwrap_rotvec(rotation), position_m, None)


def _motion_columns(time_s, rotation_rad, translation_m, extrinsics):
    """Convert rotations and translations (frame, hand, ...) of open hands in the camera frame to columns of `tables.MOTION`."""
    flat = rotation_rad.reshape(*rotation_rad.shape[:2], 3 * N_ROTATIONS)
    joints_m = np.stack([hand_joints(flat[:, side], translation_m[:, side], BONE_SCALE, hand) for side, hand in enumerate(HANDS)], axis=1)
    shape = joints_m.shape[:2]
    columns = frame_keys(time_s) | {
        "state": np.full(shape, State.OBSERVED, dtype=np.int8),
        "rotation_rad": rotation_rad.astype(np.float32),
        "translation_m": translation_m.astype(np.float32),
        "betas": np.zeros((*shape, 10), dtype=np.float32),
        "bone_scale": np.full(shape, BONE_SCALE, dtype=np.float32),
        "joints_m": joints_m.astype(np.float32),
        "joints_keyboard_mm": joints_in_keyboard_frame(joints_m, extrinsics),
        "residual_px": np.full(shape, np.nan, dtype=np.float32),
    }
    return by_row(columns)
