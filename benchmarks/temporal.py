"""Does refining over time calm a shaking engine without flattening what is played? On performances with known truth.

    python benchmarks/temporal.py --seeds 1001 1002 --seconds 10
    python benchmarks/temporal.py --demo study minuet --seconds 8       # what the landmarks engine gives for demo videos

Poses of synthetic performances are disturbed as HaMeR's are: random turns of all joints, shifts in the picture and in depth
(together 3.3 px RMS in the picture), errors that drift, frames missing, 1 % gross outliers. Landmarks are biased, random and
drifting as MediaPipe's. Seeds below 1000 served development.

Jitter is the third difference of the joints' tracks in the picture, divided by sqrt(20): for errors that are independent from
frame to frame their RMS; the playing's own is in it. Strokes are those of all notes: the fingertip's greatest speed about the
onset, and how far it comes down. Both are of series that random errors make larger, so they are compared with the truth's.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from handroll.camera import Camera, Extrinsics, hamer_camera, joints_over_keys
from handroll.hand.kinematics import MIRROR, hand_joints
from handroll.hand.rotations import compose, continuous, rotvec_from_matrix
from handroll.hand.skeleton import HANDS, JOINT_OF_LANDMARK, TIPS
from handroll.hand.template import open_hand
from handroll.keyboard.contacts import key_tops_held_mm
from handroll.metrics.alignment import procrustes
from handroll.pose.skeletons import TemplateSkeleton
from handroll.pose.temporal import TemporalSettings, refine_over_time
from handroll.schema import DETECTIONS, POSE, by_frame, frame_keys
from handroll.synth.motion import perform
from handroll.synth.scene import random_scene, to_camera
from handroll.synth.score import random_score
from handroll.synth.truth import read_truth

WIDTH_PX, HEIGHT_PX = 1920, 1080
JITTER_PX = 3.3
DEMO = Path(__file__).parents[1] / "resources" / "demo"


def drifting(rng, shape, time_s, constant_s):
    """Noise of standard deviation 1 whose memory is `constant_s`, along the first axis."""
    keep = np.exp(-np.diff(time_s, prepend=time_s[0]) / constant_s)
    white = rng.normal(size=shape)
    for t in range(1, shape[0]):
        white[t] = keep[t] * white[t - 1] + np.sqrt(1.0 - keep[t] ** 2) * white[t]
    return white


def pose_of(time_s, rotation, translation, scale, found):
    """`schema.POSE` by frame of such poses."""
    joints = np.stack([hand_joints(rotation[:, k].reshape(-1, 48), translation[:, k], scale[k], hand) for k, hand in enumerate(HANDS)], 1)
    columns = by_frame({name: values for name, values in POSE.empty().items()})
    columns |= frame_keys(time_s)
    columns |= {
        "found": found,
        "rotation_rad": continuous(rotation),
        "translation_m": translation,
        "betas": np.zeros((*found.shape, 10)),
        "bone_scale": np.broadcast_to(scale, found.shape),
        "joints_m": joints,
        "joints_keyboard_mm": np.full(joints.shape, np.nan),
        "residual_px": np.zeros(found.shape),
    }
    for name in ("rotation_rad", "translation_m", "betas", "bone_scale", "joints_m", "residual_px"):
        values = np.array(columns[name], dtype=np.float32)
        values[~found] = np.nan
        columns[name] = values
    return columns


def hamer_like(performance, over, camera, seed, jitter_px=JITTER_PX, metric=True, outliers=0.01, missing=0.02):
    """Truth and disturbed poses, and landmarks, of a performance.

    Returns
    -------
    truth, pose : dict of str to array (frame, hand 2, ...), `schema.POSE`
    detections : `schema.DETECTIONS`
    bad : bool array (frame, hand 2)
        The gross outliers.
    """
    rng = np.random.default_rng(seed)
    time_s, scale = performance.time_s, np.asarray(performance.bone_scale)
    frames = len(time_s)
    rotation, translation = over
    if not metric:
        # The same picture with a longer lens, from farther away.
        wrist = np.stack([open_hand().joints_m[0] * MIRROR, open_hand().joints_m[0]]) * scale[:, None]
        translation = translation.copy()
        translation[..., 2] = (translation + wrist)[..., 2] * camera.focal_px / metric_focal(performance, seed) - wrist[:, 2]
    present = performance.present
    truth = pose_of(time_s, rotation, translation, scale, present)
    depth = truth["joints_m"][:, :, 0, 2].astype(np.float64)
    px_m = np.where(present, depth, 1.0) / camera.focal_px

    def disturbed(size):
        rng = np.random.default_rng(seed + 1)
        turn = rng.normal(size=rotation.shape) * np.radians(2.5)
        turn[:, :, 0] *= 0.8
        turn += np.radians(2.0) * drifting(rng, rotation.shape, time_s, 0.5)
        shift = 0.5 * rng.normal(size=(frames, 2, 2)) * px_m[..., None] * JITTER_PX
        shift += 2.0 * drifting(rng, shift.shape, time_s, 0.5) * px_m[..., None]
        far = 0.01 * rng.normal(size=(frames, 2)) + 0.005 * drifting(rng, (frames, 2), time_s, 0.5)
        moved = translation + size * np.concatenate([shift, (far * depth)[..., None]], -1)
        # Farther away along the ray.
        moved[..., :2] += size * far[..., None] * truth["joints_m"][:, :, 0, :2]
        return compose(rotation, size * turn), moved

    size = 1.0
    for _ in range(3):
        trial = pose_of(time_s, *disturbed(size), scale, present)
        error = camera.project(trial["joints_m"]) - camera.project(truth["joints_m"])
        size *= jitter_px / rms_jitter(error, time_s)
    turned, moved = disturbed(size)
    bad = rng.random((frames, 2)) < outliers
    moved[bad, :2] += (px_m[bad] * rng.uniform(40.0, 150.0, bad.sum()))[:, None] * rng.choice([-1.0, 1.0], (bad.sum(), 2))
    turned[bad, 0] = compose(turned[bad, 0], rng.normal(size=(bad.sum(), 3)) * 0.7)
    found = present & ~(rng.random((frames, 2)) < missing)
    pose = pose_of(time_s, turned, moved, scale, found)

    seen = camera.project(truth["joints_m"])[:, :, list(JOINT_OF_LANDMARK)]
    u = seen[:, :, 9] - seen[:, :, 0]
    bias = rng.normal(size=(2, 21, 2)) * 0.04
    bias[:, 0], bias[:, 1] = (0.09, 0.04), (0.0, 0.06)
    seen[..., 0] += bias[..., 0] * u[..., None, 0] - bias[..., 1] * u[..., None, 1]
    seen[..., 1] += bias[..., 0] * u[..., None, 1] + bias[..., 1] * u[..., None, 0]
    seen += 1.0 * rng.normal(size=seen.shape) + 2.5 * drifting(rng, seen.shape, time_s, 0.4)
    columns = by_frame(DETECTIONS.empty())
    columns = {name: np.zeros((frames, *values.shape[1:]), values.dtype) for name, values in columns.items()}
    columns |= frame_keys(time_s) | {"landmarks_px": seen.astype(np.float32), "found": present & np.isfinite(seen).all((-1, -2))}
    return truth, pose, columns, bad


def metric_focal(performance, seed):
    """Focal length, px, of the scene of this seed."""
    return random_scene(seed).view.focal_widths * WIDTH_PX


def rms_jitter(tracks, time_s):
    """RMS of the third difference of tracks (frame, hand, joint, xy), as a distance, divided by sqrt(20)."""
    third = np.diff(tracks, 3, axis=0) / np.sqrt(20.0)
    return float(np.sqrt(np.nanmean((third**2).sum(-1))))


def strokes(joints_mm, performance):
    """Greatest speed (note,), m/s, and depth (note,), mm, of each note's fingertip in the keyboard frame; NaN where not seen."""
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
    """Jitter and errors of poses; strokes where the performance is given."""
    judged = columns["found"] & truth["found"] if judged is None else judged
    joints, true = columns["joints_m"].astype(np.float64), truth["joints_m"].astype(np.float64)
    pixels = np.where(judged[..., None, None], camera.project(joints), np.nan)
    off_px = np.linalg.norm(pixels - camera.project(true), axis=-1)[judged]
    out = {
        "jitter px": rms_jitter(pixels, columns["time_s"][:, 0]),
        "error px": float(off_px.mean()),
        "aligned mm": float(1e3 * np.linalg.norm(procrustes(joints[judged], true[judged]).points - true[judged], axis=-1).mean()),
        "absolute mm": float(1e3 * np.linalg.norm(joints[judged] - true[judged], axis=-1).mean()),
    }
    if performance is not None:
        speed, depth = strokes(joints_over_keys(np.where(judged[..., None, None], joints, np.nan), over), performance)
        true_speed, true_depth = strokes(joints_over_keys(true, over), performance)
        both = np.isfinite(speed) & np.isfinite(true_speed)
        out |= {"stroke speed, of the truth": float(speed[both].sum() / true_speed[both].sum())}
        out |= {"stroke depth, of the truth": float(depth[both].sum() / true_depth[both].sum())}
    return out


def synthetic(seed, seconds, fps, keys, settings, contacts=True, device="cpu", **noise):
    """Figures before and after, and of the truth, of one disturbed performance."""
    scene = random_scene(seed)
    performance = perform(random_score(seed, seconds + 2.0), seed, fps)
    keep = performance.time_s <= seconds
    performance = type(performance)(**{**vars(performance), **{k: getattr(performance, k)[keep] for k in _FRAMES}})
    view = scene.view
    extrinsics = Extrinsics(rotvec_from_matrix(view.rotation), -1e3 * view.rotation @ np.array(view.position_m))
    camera = Camera(WIDTH_PX, HEIGHT_PX, metric_focal(performance, seed), "keyboard") if keys else hamer_camera(WIDTH_PX, HEIGHT_PX)
    truth, pose, detections, bad = hamer_like(performance, to_camera(performance, scene), camera, seed, metric=keys, **noise)
    pressed = None
    if keys and contacts:
        hands = np.array(HANDS, dtype=object)[performance.note_hand]
        pressed = key_tops_held_mm({**performance.notes, "hand": hands, "finger": performance.note_finger + 1}, performance.time_s)
    began = time.process_time()
    refined = refine_over_time(
        pose, detections, camera, extrinsics if keys else None, TemplateSkeleton(), settings, pressed, _quiet, device
    )
    spent = time.process_time() - began
    # Strokes are measured from above the keys; without them, depth is not metric and there are none.
    played = performance if keys else None
    judged = pose["found"] & truth["found"]
    series = {"before": pose, "after": refined, "truth": truth}
    out = {name: figures(columns, truth, camera, extrinsics, played, judged & ~bad) for name, columns in series.items()}
    for name, columns in series.items():
        off = np.linalg.norm(camera.project(columns["joints_m"]) - camera.project(truth["joints_m"]), axis=-1)
        out[name]["error px, gross outliers"] = float(off[judged & bad].mean())
    return out, 1e3 * spent / max(int(judged.sum()), 1)


_FRAMES = ("time_s", "rotation_rad", "translation_m", "key_depth_mm", "present")


def _quiet(items, total, unit):
    return items


def demo(name, seconds, settings):
    """Figures before and after of what the landmarks engine gives for a demo video."""
    from handroll.detect.mediapipe import MAX_WIDTH_PX, detect_hands
    from handroll.pose.engine import fit_pose
    from handroll.video.frames import read_frames
    from handroll.video.probe import probe

    video = DEMO / f"{name}.mp4"
    true, media = read_truth(video.with_suffix(".truth.npz")), probe(video)

    def frames():
        return (item for item, _ in zip(read_frames(video, max_width_px=MAX_WIDTH_PX), range(int(seconds * 30.0)), strict=False))

    detections = detect_hands(frames, media.width_px, media.height_px)
    count = len(detections["time_s"])
    view = true.view
    extrinsics = Extrinsics(rotvec_from_matrix(view.rotation), -1e3 * view.rotation @ np.array(view.position_m))
    camera = Camera(media.width_px, media.height_px, view.focal_widths * media.width_px, "truth", view.k1)
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
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1001, 1002])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--fps", type=float, nargs="+", default=[30.0, 60.0])
    parser.add_argument("--smoothness", type=float, default=TemporalSettings.smoothness)
    parser.add_argument("--no-contacts", action="store_true", help="which fingertip holds a key is not told")
    parser.add_argument("--keys", choices=("with", "without", "both"), default="both")
    parser.add_argument("--demo", nargs="*", help="demo videos instead of performances")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = TemporalSettings(smoothness=options.smoothness)
    jobs = {name: partial(demo, name, options.seconds, settings) for name in options.demo or []}
    if options.demo is None:
        jobs = {
            f"seed {seed}, {fps:g} fps, {'keys' if keys else 'no keys'}": partial(
                synthetic, seed, options.seconds, fps, keys, settings, not options.no_contacts, options.device
            )
            for seed in options.seeds
            for fps in options.fps
            for keys in {"with": (True,), "without": (False,), "both": (True, False)}[options.keys]
        }
    rows = {}
    for name, job in jobs.items():
        rows[name], seconds = job()
        rows[name]["s / 1000 hands"] = seconds
        print(f"{name}: {seconds:.1f} s of processor a 1000 hands")
        for figure in rows[name]["before"]:
            print(f"  {figure:<28}", *(f"{when} {rows[name][when][figure]:8.3f}  " for when in ("before", "after", "truth")), flush=True)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
