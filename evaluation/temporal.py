"""Measure how refinement over time changes the jitter of poses and the strokes of fingers, on performances with ground truth.

    python evaluation/temporal.py --seeds 1001 1002 --seconds 10
    python evaluation/temporal.py --demo study minuet --seconds 8       # poses of the landmarks engine for demo videos

Errors like those of HaMeR are added to the poses of simulated performances (`pose_noise`): 3.3 px of jitter, drift, 2 % missing frames, 1 %
gross errors, biased and drifting landmarks. Do not use seeds below 1000 for measurements, because they were used in development.

`handroll.metrics.jitter` measures two kinds of jitter in the image: the jitter of the joints, which includes the motion of the playing, and
the jitter of their errors. Jitter and errors exclude frames with gross errors. Strokes are measured for all notes: the maximum speed of the
fingertip around the onset, and the height by which it moves down. Random errors increase speed and height, so both are compared with the
ground truth.
"""

import argparse
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from handroll.camera import Camera, Extrinsics, hamer_camera, joints_in_keyboard_frame
from handroll.generation.pianist import perform
from handroll.hand.rotations import rotvec_from_matrix
from handroll.hand.skeleton import HANDS, TIPS
from handroll.keyboard.contacts import key_tops_held_mm
from handroll.metrics.alignment import procrustes
from handroll.metrics.jitter import jitter_rms
from handroll.pose.hand_models import TemplateSkeleton
from handroll.pose.temporal import TemporalSettings, refine_over_time
from handroll.rendering.scene import random_scene, to_camera
from handroll.simulator.score import random_score
from handroll.simulator.truth import read_truth
from pose_noise import add_pose_noise, multiply_depth

WIDTH_PX, HEIGHT_PX = 1920, 1080
DEMO = Path(__file__).parents[1] / "resources" / "demo"


def strokes(joints_mm, performance):
    """Measure the stroke of each note: maximum speed (note,), m/s, and height (note,), mm, of the movement of the fingertip.

    `joints_mm` is in the keyboard frame. Values are NaN where the hand is hidden.
    """
    time_s, tips = performance.time_s, joints_mm[:, :, list(TIPS)]
    speed, depth = [], []
    for onset, hand, finger in zip(performance.notes["onset_s"], performance.note_hand, performance.note_finger, strict=True):
        rows = (time_s > onset - 0.15) & (time_s < onset + 0.07)
        tip = tips[rows, hand, finger]
        if rows.sum() < 3 or np.isnan(tip).any():
            speed.append(np.nan), depth.append(np.nan)
            continue
        speed.append(1e-3 * (np.linalg.norm(np.diff(tip, axis=0), axis=-1) / np.diff(time_s[rows])).max())
        depth.append(tip[:, 2].max() - tip[:, 2].min())
    return np.array(speed), np.array(depth)


def figures(columns, truth, camera, over, performance=None, judged=None):
    """Compute jitter and errors of poses. If a performance is given, also measure strokes.

    `columns` and `truth` are columns of `tables.POSE`. `over` are the extrinsics of the camera. `judged` is a bool array (frame, hand 2) of
    the hands that are compared; by default, all that are found in both.
    """
    judged = columns["found"] & truth["found"] if judged is None else judged
    joints, true = columns["joints_m"].astype(np.float64), truth["joints_m"].astype(np.float64)
    pixels = np.where(judged[..., None, None], camera.project(joints), np.nan)
    error_px = pixels - camera.project(true)
    distance_px = np.linalg.norm(error_px, axis=-1)[judged]
    out = {
        "jitter px": jitter_rms(pixels),
        "jitter of the error px": jitter_rms(error_px),
        "error px": float(distance_px.mean()),
        "aligned mm": float(1e3 * np.linalg.norm(procrustes(joints[judged], true[judged]).points - true[judged], axis=-1).mean()),
        "absolute mm": float(1e3 * np.linalg.norm(joints[judged] - true[judged], axis=-1).mean()),
    }
    if performance is not None:
        speed, depth = strokes(joints_in_keyboard_frame(np.where(judged[..., None, None], joints, np.nan), over), performance)
        true_speed, true_depth = strokes(joints_in_keyboard_frame(true, over), performance)
        both = np.isfinite(speed) & np.isfinite(true_speed)
        out |= {"stroke speed, of the truth": float(speed[both].sum() / true_speed[both].sum())}
        out |= {"stroke depth, of the truth": float(depth[both].sum() / true_depth[both].sum())}
    return out


def synthetic(seed, seconds, fps, keys, settings):
    """Measure one simulated performance: its poses with added errors before and after refinement, and its true poses.

    If `keys` is true, a keyboard is registered, and the keys that fingertips hold down are given. Return the figures by name, and the CPU
    time per 1000 hands (s).
    """
    scene = random_scene(seed)
    performance = perform(random_score(seed, seconds + 2.0), seed, fps)
    kept = performance.time_s <= seconds
    performance = replace(performance, **{name: getattr(performance, name)[kept] for name in _FRAMES})
    camera, extrinsics = true_camera(scene.view, WIDTH_PX, HEIGHT_PX)
    rotation, translation = to_camera(performance, scene)
    if not keys:
        longer = hamer_camera(WIDTH_PX, HEIGHT_PX)
        translation = multiply_depth(translation, performance.bone_scale, longer.focal_px / camera.focal_px)
        camera = longer
    given = add_pose_noise(performance.time_s, rotation, translation, performance.bone_scale, performance.present, camera, seed)
    pressed = None
    if keys:
        hands = np.array(HANDS, dtype=object)[performance.note_hand]
        pressed = key_tops_held_mm({**performance.notes, "hand": hands, "finger": performance.note_finger + 1}, performance.time_s)
    over = extrinsics if keys else None
    began = time.process_time()
    refined = refine_over_time(given.pose, given.detections, camera, over, TemplateSkeleton(), settings, pressed, _quiet)
    spent = time.process_time() - began
    judged = given.pose["found"] & given.truth["found"]
    out = {}
    for name, columns in (("before", given.pose), ("after", refined), ("truth", given.truth)):
        # Without a registered keyboard, depth has no metric scale, so strokes are not measured.
        out[name] = figures(columns, given.truth, camera, extrinsics, performance if keys else None, judged & ~given.wrong)
        distance_px = np.linalg.norm(camera.project(columns["joints_m"]) - camera.project(given.truth["joints_m"]), axis=-1)
        out[name]["error px, gross errors"] = float(distance_px[judged & given.wrong].mean()) if (judged & given.wrong).any() else 0.0
    return out, 1e3 * spent / max(int(judged.sum()), 1)


def true_camera(view, width_px, height_px):
    """Return the camera and the extrinsics of a scene's view."""
    over = Extrinsics(rotvec_from_matrix(view.rotation), -1e3 * view.rotation @ np.array(view.position_m))
    return Camera(width_px, height_px, view.focal_widths * width_px, "truth", view.k1), over


# Fields of a performance with a value for each frame.
_FRAMES = ("time_s", "rotation_rad", "translation_m", "key_depth_mm", "present")


def _quiet(items, total, unit):
    """Iterate without progress messages."""
    return items


def demo(name, seconds, settings):
    """Measure the poses of the landmarks engine for a demo video, before and after refinement.

    Return the figures, and the CPU time per 1000 hands (s).
    """
    from handroll.detection.hand_tracker import MAX_WIDTH_PX, detect_hands
    from handroll.media.frames import read_frames
    from handroll.media.probe import probe
    from handroll.pose.engine import fit_pose

    video = DEMO / f"{name}.mp4"
    true, media = read_truth(video.with_suffix(".truth.npz")), probe(video)

    def frames():
        return (item for item, _ in zip(read_frames(video, max_width_px=MAX_WIDTH_PX), range(int(seconds * 30.0)), strict=False))

    detections = detect_hands(frames, media.width_px, media.height_px)
    count = len(detections["time_s"])
    camera, extrinsics = true_camera(true.view, media.width_px, media.height_px)
    pose, _ = fit_pose("landmarks", video, detections, camera, extrinsics, progress=_quiet)
    began = time.process_time()
    refined = refine_over_time(pose, detections, camera, extrinsics, TemplateSkeleton(), settings, progress=_quiet)
    spent = time.process_time() - began
    visible = true.visible[:count].all(-1)
    truth = {"joints_m": true.joints_m[:count], "found": visible, "time_s": pose["time_s"]}
    judged = pose["found"] & visible
    out = {n: figures(c, truth, camera, extrinsics, None, judged) for n, c in (("before", pose), ("after", refined), ("truth", truth))}
    return out, 1e3 * spent / max(int(pose["found"].sum()), 1)


def main():
    """Measure all performances or demo videos, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1001, 1002], help="random seeds of performances (default: 1001 1002)")
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of each (default: %(default)s)")
    parser.add_argument("--fps", type=float, nargs="+", default=[30.0, 60.0], help="frame rates (default: 30 60)")
    parser.add_argument("--keys", choices=("with", "without", "both"), default="both", help="registered keyboard (default: both)")
    parser.add_argument("--demo", nargs="*", help="demo videos instead of performances")
    options = parser.parse_args()
    settings = TemporalSettings()
    jobs = {name: partial(demo, name, options.seconds, settings) for name in options.demo or []}
    if options.demo is None:
        jobs = {
            f"seed {seed}, {fps:g} fps, {'keys' if keys else 'no keys'}": partial(synthetic, seed, options.seconds, fps, keys, settings)
            for seed in options.seeds
            for fps in options.fps
            for keys in {"with": (True,), "without": (False,), "both": (True, False)}[options.keys]
        }
    for name, job in jobs.items():
        values, seconds = job()
        print(f"{name}: {seconds:.1f} CPU s per 1000 hands")
        for figure in values["before"]:
            print(f"  {figure:<28}", *(f"{when} {values[when][figure]:8.3f}  " for when in ("before", "after", "truth")), flush=True)


if __name__ == "__main__":
    main()
