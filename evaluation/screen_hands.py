"""Measure precision and recall of the screening criteria viewpoint, performers and visibility on simulated videos.

    python evaluation/screen_hands.py --seeds 10 --first-seed 6000
    python evaluation/screen_hands.py --seeds 0 --videos FOLDER

With `--videos`, the script also prints the scores of real videos. For each random seed, one simulated video of every kind is rendered:

- above: tilts up to 20 degrees in any direction, some upside down,
- tilted: tilts of 30 to 60 degrees, from the player's side, the front, the left or the right,
- side: tilts of 65 to 85 degrees,
- one, four, nobody: one hand, four hands of two players, no hands,
- away: hands that leave the keys or are covered for 10 to 40 % of the time.

Frame sizes are 854x480 to 3840x2160 px. The script prints the scores of each video, and precision and recall of each criterion at
`THRESHOLDS`. "hands alone" is the viewpoint measured from the hands without the keyboard. Videos in which both hands are visible for 77 to
83 % of the time are not used for visibility, because their correct verdict depends on the definition of "visible". Do not use seeds below
6000 for measurements, because they were used in the development of the criteria.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from handroll.detection.frame_sampling import evenly_spaced, sample_hands
from handroll.detection.hand_tracker import MAX_WIDTH_PX, detect_hands
from handroll.generation.pianist import perform
from handroll.hand.skeleton import HANDS
from handroll.keyboard.registration import register_keyboard
from handroll.media.frames import read_frames
from handroll.media.probe import probe
from handroll.rendering.render import render_video
from handroll.rendering.scene import cover_hand, random_scene, world_joints
from handroll.screening.criteria import CRITERIA
from handroll.screening.performers import measure_performers
from handroll.screening.viewpoint import axis_from_hands, measure_viewpoint, tilt_deg
from handroll.screening.visibility import measure_visibility
from handroll.simulator.scenarios import (
    SIDES_RAD,
    merge_performances,
    subsample_frames,
    transposed,
    view_from,
    with_rests,
    without_hand,
)
from handroll.simulator.score import random_score
from handroll.tables import NOTES

# Duration (s) and frame rate (Hz) of a simulated video.
SECONDS, FPS = 10.0, 15.0

# Step between the rendered frames of videos for which visibility is not measured.
GLANCE_STEP = 8

# Thresholds of each criterion.
THRESHOLDS = {
    "viewpoint": {"max_tilt_deg": 26.0, "side_view_deg": 55.0},
    "performers": {"max_more_than_two_hands": 0.1, "min_one_hand_seen": 0.0, "min_two_hands_seen": 0.0},
    "visibility": {"min_both_hands": 0.8, "min_any_hand": 0.8},
}

# Range of the share of the time with both hands for which a video is not used for visibility.
UNCLEAR = (0.77, 0.83)

# Range of the camera's tilt (degrees) by kind of video. Other kinds have the range of "above".
TILTS_DEG = {"above": (0.0, 20.0), "tilted": (30.0, 60.0), "side": (65.0, 85.0)}

# Kinds of simulated videos; see the module docstring.
KINDS = ("above", "tilted", "side", "one", "four", "nobody", "away")

# Frame sizes (px), from which one is drawn.
SIZES = ((854, 480), (854, 480), (1280, 720), (1280, 720), (1280, 720), (1920, 1080), (1920, 1080), (3840, 2160))

# Notes of a registration from images only.
NO_NOTES = {column.name: np.empty(0) for column in NOTES.columns}

# Times and landmarks of a registration from images only.
NO_FRAMES = np.empty(0), np.empty((0, 2, 21, 2))


def camera(kind, rng, performance):
    """Draw a random camera over the hands. Return the side on which it is, and its `View`."""
    low, high = TILTS_DEG.get(kind, TILTS_DEG["above"])
    side = str(rng.choice(list(SIDES_RAD)))
    if side == "front" and kind in ("tilted", "side"):
        # Seen from the front, the fallboard hides the keys beyond a tilt of 45 degrees.
        side, high = ("front", 45.0) if kind == "tilted" else ("left", high)
    above = kind not in ("tilted", "side")
    tilt, turn = np.radians(rng.uniform(low, high)), SIDES_RAD[side] + np.radians(rng.uniform(-12.0, 12.0))
    # In frames of a camera above, the keyboard is horizontal, and sometimes upside down. A camera at the side is upright.
    roll = np.radians(rng.uniform(-8.0, 8.0)) + (np.pi * (rng.random() < 0.15) - turn if above else 0.0)
    focal, width_m = rng.uniform(0.7, 1.2), rng.uniform(1.3, 1.5) if kind == "four" else rng.uniform(0.9, 1.5)
    across = world_joints(performance)[:, :, :, 0].mean(axis=2) if performance.present.shape[1] == len(HANDS) else np.array([[0.611]])
    middle = float(np.clip(np.median(across, axis=0).mean(), 0.4, 0.85)) + rng.uniform(-0.05, 0.05)
    aim = (middle, rng.uniform(-0.06, 0.04), 0.03)
    return side, view_from(aim, max(width_m * focal, 0.75), tilt, turn, roll, focal, rng.uniform(-0.05, 0.02) if above else 0.0)


def played(kind, seed, rng):
    """Simulate a performance for a kind of video. Return the performance, and the objects that cover hands."""
    scale = (random_scene(seed).appearance.hand_size,) * len(HANDS)
    music = random_score(seed, SECONDS)
    if kind == "four":
        other = random_score(seed + 100_000, SECONDS)
        low, high = (transposed(s, 12 * round((goal - s.notes["pitch"].mean()) / 12)) for s, goal in ((other, 46), (music, 77)))
        return merge_performances(perform(low, seed, FPS, scale), perform(high, seed + 100_000, FPS, scale)), ()
    if kind == "away":
        share = float(rng.uniform(0.10, 0.40))
        length, hands = share * SECONDS, HANDS[:: rng.choice([-1, 1])][: rng.integers(1, 3)]
        start = float(rng.uniform(0.5, SECONDS - length - 0.5))
        if length > 2.2 and rng.random() < 0.5:
            away = with_rests(music, [(hand, start - 0.4, start + length + 0.4) for hand in hands])
            return perform(away, seed, FPS, scale), ()
        performance = perform(music, seed, FPS, scale)
        return performance, tuple(cover_hand(performance, hand, start - 0.2, start + length + 0.2) for hand in hands)
    performance = perform(music, seed, FPS, scale)
    if kind == "nobody":
        performance = without_hand(without_hand(performance, "left"), "right")
    return (without_hand(performance, str(rng.choice(HANDS))) if kind == "one" else performance), ()


def film(kind, seed, path):
    """Render a video of a kind. Return the camera's `View`, the side on which it is, and the visibility of joints (frame, hand, joint)."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    performance, covers = played(kind, seed, rng)
    side, view = camera(kind, rng, performance)
    scene = replace(random_scene(seed), view=view, covers=covers)
    tracked = kind in ("away", "one", "nobody")
    if not tracked:
        performance = subsample_frames(performance, GLANCE_STEP)
    width, height = SIZES[0] if tracked else SIZES[rng.integers(len(SIZES))]
    rate = FPS if tracked else FPS / GLANCE_STEP
    visible = render_video(path, performance, scene, rate, width, height, 1, seed=seed, crf=int(rng.integers(20, 33)))
    return view, side, visible


def survey(path, frames):
    """Sample the hands and register the keyboard of a video with a number of frames.

    Return `HandSamples`, the CPU time per sample (s), and a `RegisteredKeyboard` or None.
    """
    images = list(read_frames(path, max_width_px=MAX_WIDTH_PX, indices=evenly_spaced(frames)))
    start = time.process_time()
    samples = sample_hands(images)
    seconds = (time.process_time() - start) / max(len(images), 1)
    grey = np.stack([cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in images])
    windows = [np.median(part, axis=0).astype(np.uint8) for part in np.array_split(grey, min(4, len(grey)))]
    found = register_keyboard(windows, samples.width_px, NO_NOTES, *NO_FRAMES, hands_tilt_deg=tilt_deg(axis_from_hands(samples)))
    return samples, seconds, None if found.problem else found


def scores_of(samples, keyboard, detections=None):
    """Compute the scores of each criterion from results of `survey`. "hands alone" is the viewpoint without the keyboard.

    Visibility is included only if `detections` (by frame, for every frame) are given.
    """
    scores = {
        "viewpoint": measure_viewpoint(keyboard and keyboard.view, samples),
        "hands alone": measure_viewpoint(hands=samples),
        "performers": measure_performers(samples.time_s, samples.sample, samples.landmarks_px),
    }
    if detections is not None:
        scores["visibility"] = measure_visibility(detections["found"])
    return scores


def rejected(scores):
    """List the rejection reasons of each criterion at `THRESHOLDS`."""
    criterion_of = {name: "viewpoint" if name == "hands alone" else name for name in scores}
    return {name: CRITERIA[criterion].decide(scores[name], THRESHOLDS[criterion]) for name, criterion in criterion_of.items()}


def summary(scores, reasons, keyboard, seconds):
    """Format scores and rejection reasons of a video as one line. `seconds` is the CPU time per sample."""
    tilt, people = scores["viewpoint"], scores["performers"]
    degrees = {name: "?" if tilt[name] is None else f"{tilt[name]:.0f}" for name in ("tilt_deg", "hands_tilt_deg")}
    keys = f"{keyboard.confidence:.2f}" if keyboard else "none"
    shown = f"both {scores['visibility']['both_hands']:.2f} any {scores['visibility']['any_hand']:.2f}" if "visibility" in scores else ""
    named = ",".join(f"{name}:{reason}" for name, found in reasons.items() for reason in found)
    return (
        f"tilt {degrees['tilt_deg']:>2} by {tilt['tilt_source']:8s} from {tilt['tilt_side'] or '?':6s} "
        f"(hands {degrees['hands_tilt_deg']:>2}, keys {keys}); most {people['most_hands']}, "
        f"over two {people['more_than_two_hands']:.2f}, two {people['two_hands_seen']:.2f} of {people['samples']}; {shown} "
        f"{1e3 * seconds:.0f} ms a sample; {named or 'accepted'}"
    )


def measure_synthetic(kind, seed, folder):
    """Make and measure a simulated video, and print a line about it.

    Return a list of (criterion, whether the video should be rejected, whether it is rejected).
    """
    path = folder / f"{kind}-{seed}.mp4"
    view, side, visible = film(kind, seed, path)
    tilt = np.degrees(np.arccos(-view.rotation[2, 2]))
    samples, seconds, keyboard = survey(path, len(visible))
    detections, both, any_hand = None, None, None
    if kind in ("away", "one", "nobody"):
        detections = detect_hands(lambda: read_frames(path, max_width_px=MAX_WIDTH_PX), samples.width_px, samples.height_px)
        shown = visible.mean(axis=2) >= 0.5
        both, any_hand = float(shown.all(axis=1).mean()), float(shown.any(axis=1).mean())
    path.unlink()
    scores = scores_of(samples, keyboard, detections)
    reasons = rejected(scores)
    truth = f"true tilt {tilt:3.0f} {side:6s}" + ("" if both is None else f" both {both:.2f} any {any_hand:.2f}")
    print(f"{kind:7s}{seed}  {truth} | {summary(scores, reasons, keyboard, seconds)}", flush=True)
    outcomes = [("performers", kind == "four", bool(reasons["performers"]))]
    if kind != "nobody":
        outcomes += [(name, kind in ("tilted", "side"), bool(reasons[name])) for name in ("viewpoint", "hands alone")]
    if detections is not None and not UNCLEAR[0] <= both <= UNCLEAR[1]:
        minimum = THRESHOLDS["visibility"]
        hidden = both < minimum["min_both_hands"] or any_hand < minimum["min_any_hand"]
        outcomes.append(("visibility", hidden, bool(reasons["visibility"])))
    return outcomes


def measure_real(path):
    """Measure a real video, which has no ground truth, and print a line about it."""
    about = probe(path)
    samples, seconds, keyboard = survey(path, about.n_frames)
    detections = detect_hands(lambda: read_frames(path, max_width_px=MAX_WIDTH_PX), about.width_px, about.height_px)
    scores = scores_of(samples, keyboard, detections)
    print(f"{path.name}: {summary(scores, rejected(scores), keyboard, seconds)}", flush=True)


def main():
    """Print a line per video, then precision and recall of each criterion."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=6000, help="first seed (default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--videos", type=Path, metavar="FOLDER", help="real videos to report on")
    options = parser.parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for kind in options.kinds:
                outcomes += measure_synthetic(kind, seed, Path(folder))
    for criterion in dict.fromkeys(name for name, _, _ in outcomes):
        pairs = [(should, does) for name, should, does in outcomes if name == criterion]
        right, all_bad, all_named = (sum(map(f, pairs)) for f in (all, lambda p: p[0], lambda p: p[1]))
        precision, recall = right / max(all_named, 1), right / max(all_bad, 1)
        print(
            f"{criterion:12s} precision {precision:.3f} ({right}/{all_named}), recall {recall:.3f} ({right}/{all_bad}), {len(pairs)} videos"
        )
    for path in sorted(options.videos.glob("*.mp4")) if options.videos else ():
        measure_real(path)


if __name__ == "__main__":
    main()
