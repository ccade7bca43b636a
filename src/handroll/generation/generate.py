"""Generate motion for a recording. Write the motion, the notes, and a video of the hands over a rendered piano."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from handroll.exchange.fingering_files import write_pig
from handroll.generation.motion_table import project_to_scene
from handroll.generation.music_input import AUDIO_RATE_HZ, ENGINE, RecordingError, open_recording
from handroll.generation.planned_pianist import PlannedPianist
from handroll.hand.skeleton import HANDS
from handroll.logs import LOGGER
from handroll.media.audio import load_audio
from handroll.music.midi import write_midi
from handroll.music.synthesis import synthesise
from handroll.provenance import code_hash, stamp
from handroll.rendering.render import render_video
from handroll.rendering.scene import Appearance, Scene, View
from handroll.storage import write_table
from handroll.tables import MOTION

_APPEARANCE = Appearance(noise_sigma=0.0)

SCENES = {
    "top": Scene(View(position_m=(0.611, -0.04, 1.02)), appearance=_APPEARANCE),
    "player": Scene(View(position_m=(0.611, -0.62, 0.80), tilt_rad=0.62, focal_widths=0.72), appearance=_APPEARANCE),
}
"""Scenes of the rendered video by the name of the camera, without image noise. `top`: the camera is vertically above all keys and the
forearms. `player`: the camera is near the player's head."""

VIDEO_FPS = 30.0
"""Maximum frame rate of the video (frames/s). A motion with a higher frame rate is shown with every second frame, or fewer."""

GRID_MM = 4.0
"""Grid spacing of the hand meshes of the video (mm), see `hand_mesh.build_hand_mesh`. In a video 1280 pixels wide, the hands look as with
3 mm, and a frame takes less CPU time."""

PRESET = "superfast"
"""x264's preset of the video. Compared with `veryfast`, a video takes about a tenth less time to write, and its file is twice as large."""

MAX_THREADS = 4
"""Maximum number of threads that draw frames of the video. With more, the encoder limits the speed, and each needs tens of megabytes."""


def play(path, out, name, pianist=None, midi_path=None, tempo=1.0, hands="auto", seed=0, width_px=1280, camera="top", video=True):
    """Generate the motion for a recording, and write the result files.

    The files are `<name>.motion.parquet`; `<name>.mid` if the notes are known; `<name>.fingering.pig.txt` if the fingers are known; and
    `<name>.mp4` if a video is written.

    Parameters
    ----------
    path : path
        Recording; see `generation.music_input.open_recording`.
    out : path
        Folder for the result files.
    name : str
        Name of the result files without extension.
    pianist : PlannedPianist or TrainedPianist, optional
        Generator of the motion; default: a `PlannedPianist`, which needs no model.
    midi_path : path, optional
        MIDI file with the notes of the recording. If it is None and notes are needed, the recording is transcribed.
    tempo : float
        Factor of the tempo of a file with notes.
    hands : {"auto", "tracks", "ignore"}
        Use of the hands and fingers that the file gives; see `generation.music_input.GIVEN_HANDS`.
    seed : int
        Random seed of the motion.
    width_px : int
        Width of the video in pixels. The height is 9/16 of the width.
    camera : {"top", "player"}
        Camera of the motion table and of the video; see `SCENES`.
    video : bool
        Whether to write a video. With a model that works in the camera frame, no video is written, because the position of the piano is
        unknown.

    Returns
    -------
    dict of str to path
        Paths of the written files, with the keys "motion", "MIDI", "fingering" and "video".

    Raises
    ------
    RecordingError
        The recording cannot be used, or an output would overwrite an input.
    """
    pianist, out, scene = PlannedPianist() if pianist is None else pianist, Path(out), SCENES[camera]
    suffixes = {"motion": ".motion.parquet", "MIDI": ".mid", "fingering": ".fingering.pig.txt", "video": ".mp4"}
    files = {kind: out / f"{name}{suffix}" for kind, suffix in suffixes.items()}
    for target in files.values():
        if any(target.exists() and Path(given).exists() and target.samefile(given) for given in (path, midi_path) if given):
            raise RecordingError(f"{target}: this result would overwrite an input file; choose another folder with --out")
    with tempfile.TemporaryDirectory() as folder:
        recording = open_recording(path, folder, midi_path, tempo, hands)
        try:
            recording, motion = pianist.generate(recording, seed)
        except RecordingError as error:
            raise RecordingError(f"{path}: {error}") from error
        for message in motion.messages:
            LOGGER.warning("%s: %s", path, message)
        performance = motion.performance
        size = width_px // 2 * 2, width_px * 9 // 32 * 2
        columns, camera_facts = (motion.columns, motion.facts) if performance is None else project_to_scene(performance, scene, *size)
        made = {"detector": "generated", "pose_engine": pianist.name, "pose_engine_version": pianist.version}
        settings = pianist.settings | {"seed": seed, "tempo": tempo, "hands": hands}
        facts = stamp(
            "generate", code_hash(__file__, [f"handroll.music.{ENGINE}"]), settings, **made, transcriber=recording.transcriber or None
        )
        write_table(files["motion"], MOTION, columns, facts | camera_facts)
        del columns  # They need about 100 MB for 20 minutes of music.
        if recording.notes is None:
            del files["MIDI"]
        else:
            write_midi(files["MIDI"], recording.notes, recording.pedal)
        if performance is None or not len(performance.note_finger):
            del files["fingering"]
        else:
            write_pig(files["fingering"], _fingered_notes(performance))
        if video and performance is not None:
            audio = _load_or_synthesise_audio(recording, seed)
            step = max(1, round(pianist.fps / VIDEO_FPS))
            shown, threads = _every(performance, step), min(os.cpu_count() or 1, MAX_THREADS)
            speed = {"preset": PRESET, "grid_mm": GRID_MM, "threads": threads}
            render_video(files["video"], shown, scene, pianist.fps / step, *size, audio=audio, seed=seed, **speed)
        else:
            del files["video"]
            if video:
                LOGGER.info("no video is written: the model works in the camera frame, where the position of the piano is unknown")
    return files


def _every(performance, step):
    """Return every `step`-th frame of a performance."""
    frames = ("time_s", "rotation_rad", "translation_m", "key_depth_mm", "present")
    return replace(performance, **{name: getattr(performance, name)[::step] for name in frames})


def _fingered_notes(performance):
    """Return the notes of a performance with the name of the hand and the number of the finger."""
    hand, finger = np.array(HANDS, dtype=object)[performance.note_hand], performance.note_finger + 1
    return performance.notes | {"hand": hand, "finger": finger}


def _load_or_synthesise_audio(recording, seed):
    """Return the audio of the video as (samples, rate): the audio of the recording, or else its notes played by the synthetic piano."""
    if recording.audio is not None:
        return load_audio(recording.audio, AUDIO_RATE_HZ)
    return synthesise(recording.notes, recording.pedal, recording.duration_s, seed, AUDIO_RATE_HZ), AUDIO_RATE_HZ
