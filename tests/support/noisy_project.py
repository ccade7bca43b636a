"""A project folder with a simulated performance, and poses and a motion with known errors, as the target `evaluation` leaves them."""

import numpy as np

from handroll.evaluation.motion_noise import MOTION_PATTERN
from handroll.evaluation.videos import SUBJECT, VIDEO_PATTERN
from handroll.generation.pianist import perform
from handroll.hand.rotations import compose
from handroll.rendering.scene import random_scene
from handroll.simulator.corpus import motion_of, view_extrinsics
from handroll.simulator.score import random_score
from handroll.simulator.truth import build_truth, write_truth
from handroll.storage import write_json, write_table
from handroll.tables import FINGERED_NOTES, MOTION, PEDAL, POSE, State, by_row

WRIST_MM, PALM_RAD, FINGER_RAD, DRIFT_MM, DRIFT_S = 2.0, 0.05, 0.03, 4.0, 1.0
"""Standard deviations of the errors along each axis, and time constant of the drift."""

GAP_FRAMES = 12
"""Length of each gap at 30 Hz. There is one in every 4 s of each hand."""


def labelled(notes, hand, finger):
    """Notes as columns of `tables.FINGERED_NOTES`, with the true labels: indices of hands and fingers."""
    certain = np.ones(len(hand), dtype=np.float32)
    names = np.array(["left", "right"], dtype=object)[hand]
    return notes | {"hand": names, "finger": (finger + 1).astype(np.int8), "finger_confidence": certain, "landing_error_mm": 0.0 * certain}


def write_noisy_project(folder, seed=4, seconds=40.0):
    """Write truth, poses, motion and notes of one performance. Return the extrinsics."""
    rng, scene = np.random.default_rng(seed), random_scene(seed)
    score = random_score(seed, seconds)
    performance = perform(score, seed, 30.0)
    extrinsics = view_extrinsics(scene.view)
    motion, frames = motion_of(performance, scene, extrinsics), len(performance.time_s)
    drift, keep = rng.normal(size=(frames, 2, 3)), np.exp(-1.0 / (30.0 * DRIFT_S))
    for t in range(1, frames):
        drift[t] = keep * drift[t - 1] + np.sqrt(1.0 - keep**2) * drift[t]
    shift = WRIST_MM * rng.normal(size=(frames, 2, 3)) + DRIFT_MM * drift
    sigma = np.where(np.arange(16)[:, None] > 0, FINGER_RAD, PALM_RAD)
    turn = compose(motion["rotation_rad"].astype(np.float64), sigma * rng.normal(size=(frames, 2, 16, 3)))
    motion |= {"rotation_rad": turn, "joints_keyboard_mm": motion["joints_keyboard_mm"] + shift[:, :, None]}
    gap = np.arange(frames) % 120 >= 120 - GAP_FRAMES
    motion["state"][gap[:, None] & (motion["state"] == State.OBSERVED)] = State.INTERPOLATED
    path = folder / MOTION_PATTERN.format(video=f"seed_{seed}")
    path.parent.mkdir(parents=True)
    write_table(path, MOTION, by_row(motion), extrinsics.to_metadata())
    results = {part: folder / f"results/{part}/{SUBJECT}/seed_{seed}" for part in ("hands", "keyboard", "screening", "acquire")}
    for path in results.values():
        path.mkdir(parents=True)
    pose = {name: values for name, values in motion.items() if name != "state"} | {"found": motion["state"] == State.OBSERVED}
    for name in ("pose", "refined"):
        write_table(results["hands"] / f"{name}.parquet", POSE, by_row(pose), extrinsics.to_metadata() | {"pose_engine": "landmarks"})
    notes = labelled(performance.notes, performance.note_hand, performance.note_finger)
    write_table(results["keyboard"] / "notes.parquet", FINGERED_NOTES, notes, {"audio_delay_s": "0.0"})
    write_table(results["keyboard"] / "pedal.parquet", PEDAL, score.pedal)
    write_json(results["screening"] / "survey.json", {"segments": [[0.0, seconds]]})
    (results["acquire"] / "audio.flac").touch()
    visible = np.ones((frames, 2, 21), dtype=bool)
    path = folder / VIDEO_PATTERN.format(video=f"seed_{seed}").replace(".mp4", ".truth.npz")
    path.parent.mkdir(parents=True)
    write_truth(path, build_truth(performance, scene, visible, 1280, 720, score.pedal, {}))
    return extrinsics
