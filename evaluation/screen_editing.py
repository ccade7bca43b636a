"""Which edits of a video are found, and how well are the playable segments cut out?

    python evaluation/screen_editing.py --seeds 40
    python evaluation/screen_editing.py --seeds 0 --videos FOLDER

Edited videos with truth are made from plain footage of playing (`edited_video.compose`; the demo's by default, others with
`--footage`), surveyed, and compared. A cut counts as found within two frames, a fade where it overlaps by half, a stretch
(frozen, black, title, inset, camera motion) where intersection over union is at least a half. Not counted as wrong are: jumps where
hands, insets or repeats begin or end; a jump that nobody can see, found or not, since by it the footage changes less than twice as much
as by a step of ordinary playing nearby (`edited_video.VISIBLE_RATIO`; how many there are is printed); a still picture in stretches
without hands, where the coder has taken out all noise. While a camera moves nothing else is asked for: it cannot be played there,
whatever else is done to it. A video is cut up if less than `MIN_PLAYABLE` of it can be played by the truth, and moves if by the truth
the camera moves more than `MAX_MOVING` of the time; videos within `MARGIN` of the threshold are left out there.

Development used seeds 0 to 20, 5000 to 5024, 6000 to 6010, 7000 to 7015, 9000 to 9229 and, from when videos are made of 360 to 720 lines
and jumps have to be visible, 9300 to 9359 and, after they had been held out once, 9500 to 9559; held out were 9600 to 9648, and are those
from 9700 on.
"""

import argparse
import dataclasses
import itertools
import pickle
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from edited_video import compose
from handroll.editing.edit_detection import MAX_SIDE_PX, EditDetector
from handroll.editing.usable_segments import usable_segments
from handroll.media.frames import read_frames
from handroll.media.write import VideoWriter
from handroll.screening.editing import measure_camera_motion, measure_editing

MIN_PLAYABLE = 0.5
MAX_MOVING = 0.3
MARGIN = 0.05
CUT_FRAMES = 2
FOOTAGE_PX = 854
FOOTAGE_CRF = 12
FOOTAGE_HZ = 30.0
"""Footage is shrunk to this width first, hardly compressed: it is read again and again. Its nominal rate; times are kept."""

SAMPLES_S = 0.5
"""Time between the samples of the number of hands, which are the truth's."""

KINDS = {"frozen": ("frozen",), "black": ("black", "blank"), "title": ("titles",), "inset": ("insets",), "moving": ("moves",)}


def survey(path):
    """Edits of a video as a dict, and frames per second of one core, decoding included."""
    started, detector = time.process_time(), EditDetector()
    for frame in read_frames(path, max_width_px=MAX_SIDE_PX, max_height_px=MAX_SIDE_PX, threads=1):
        detector.add_frame(frame.image, frame.time_s)
    edits = detector.edits()
    return dataclasses.asdict(edits), edits.frames / (time.process_time() - started)


def runs(mask):
    """Stretches [start, stop) of true frames."""
    return np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0])))).reshape(-1, 2).tolist()


def iou(first, second):
    """Intersection over union of two intervals."""
    common = min(first[1], second[1]) - max(first[0], second[0])
    return max(common, 0.0) / (max(first[1], second[1]) - min(first[0], second[0]))


class Tally:
    """Counts a kind of edit: true ones, those found, and false ones; says which went wrong."""

    def __init__(self):
        self.counts, self.errors, self.wrong = Counter(), [], []

    def points(self, name, kind, true, found, elsewhere, tolerated):
        """Match moments (frames); those `found` near `tolerated` are not false, those true near `elsewhere` are found too."""
        for frame in true:
            near = [f for f in [*found, *elsewhere] if abs(f - frame) <= CUT_FRAMES]
            self._count(name, kind, frame, bool(near))
            self.errors += [min(abs(f - frame) for f in near)] if near else []
        for frame in found:
            if min((abs(f - frame) for f in [*true, *tolerated]), default=np.inf) > CUT_FRAMES:
                self._false(name, kind, frame)

    def spans(self, name, kind, true, found, tolerated, least=0.5):
        """Match stretches; those `found` that mostly lie in `tolerated` (bool a frame) are not false."""
        for span in true:
            self._count(name, kind, span, any(iou(span, f) >= least for f in found))
        for span in found:
            # A part of a true stretch is not false either.
            mine = tolerated.copy()
            for start, stop in true:
                mine[start:stop] = True
            inside = mine[round(span[0]) : max(round(span[1]), round(span[0]) + 1)]
            if not any(iou(span, t) >= least for t in true) and inside.mean() < 0.5:
                self._false(name, kind, span)

    def verdict(self, name, kind, true, found):
        """Count one decision on a whole video."""
        if true:
            self._count(name, kind, "", found)
        elif found:
            self._false(name, kind, "")

    def _count(self, name, kind, where, hit):
        self.counts["true"] += 1
        self.counts["hit"] += hit
        if not hit:
            self.wrong.append(f"{name}: missed {kind} {where}")

    def _false(self, name, kind, where):
        self.counts["false"] += 1
        self.wrong.append(f"{name}: false {kind} {np.round(where, 1) if where != '' else ''}")

    def __str__(self):
        true, hit, false = (self.counts[key] for key in ("true", "hit", "false"))
        precision, recall = (hit / total if total else float("nan") for total in (hit + false, true))
        return f"{true:>6}{hit:>6}{false:>6}{precision:>11.3f}{recall:>9.3f}"


def compare(name, truth, edits, tallies):
    """Count one video; its playable segments' intersection over union, not a number where truth has none."""
    rate, count = truth.rate, len(truth.view)
    frames = {key: [round(t * rate) for t in edits[key]] for key in ("cuts", "jumps")}
    moving, empty = truth.flags["moving"], (truth.hands == 0) & (truth.view >= 0)
    marks = [truth.flags[key] for key in ("frozen", "black", "title", "inset", "transition", "other")] + [truth.hands > 0]
    turns = [f for mark in marks for f in (np.flatnonzero(np.diff(mark.astype(np.int8))) + 1).tolist()]
    all_jumps = truth.jumps + truth.hidden
    shaken = {key: [f for f in values if moving[min(f, count - 1)]] for key, values in frames.items()}
    cuts, jumps = ([f for f in frames_of if f < count and not moving[f]] for frames_of in (truth.cuts, truth.jumps))
    tallies["cut"].points(name, "cut", cuts, frames["cuts"], frames["jumps"], turns + truth.cuts + all_jumps + shaken["cuts"])
    tolerated = turns + truth.cuts + all_jumps + shaken["jumps"]
    tallies["jump"].points(name, "jump", jumps, frames["jumps"], frames["cuts"], tolerated)
    fades = [span for span in truth.fades if not moving[span[0] : span[1]].mean() > 0.5]
    tallies["fade"].spans(name, "fade", fades, [(a * rate, b * rate) for a, b in edits["fades"]], moving)
    lenient = {"frozen": empty | moving, "moving": truth.flags["transition"]}
    for kind, keys in KINDS.items():
        found = [(span[0] * rate, span[1] * rate) for key in keys for span in edits[key]]
        # A bump is over before the camera has been seen to stand again: a third suffices.
        least = 0.3 if kind == "moving" else 0.5
        true = [span for span in runs(truth.flags[kind]) if kind == "moving" or moving[span[0] : span[1]].mean() <= 0.5]
        tallies[kind].spans(name, kind, true, found, lenient.get(kind, moving), least)
    hands = {"time_s": (np.arange(0, count, round(SAMPLES_S * rate)) / rate).tolist()}
    hands["hands"] = truth.hands[:: round(SAMPLES_S * rate)].tolist()
    mine = np.zeros(count, bool)
    for start_s, end_s in usable_segments(edits, hands):
        mine[round(start_s * rate) : round(end_s * rate)] = True
    best = max((truth.playable(view) for view in truth.main_views()), key=lambda mask: (mask & mine).sum(), default=np.zeros(count, bool))
    shares = best.mean(), measure_editing(edits, hands)["usable_share"]
    if abs(shares[0] - MIN_PLAYABLE) > MARGIN:
        tallies["CUT UP"].verdict(name, "verdict", shares[0] < MIN_PLAYABLE, shares[1] < MIN_PLAYABLE)
    moves = moving.mean(), measure_camera_motion(edits)["moving_share"]
    if abs(moves[0] - MAX_MOVING) > MARGIN:
        tallies["CAMERA MOVES"].verdict(name, "verdict", moves[0] > MAX_MOVING, moves[1] > MAX_MOVING)
    return (best & mine).sum() / (best | mine).sum() if best.any() else np.nan


def shrunk(path, folder):
    """A smaller copy of footage, made once."""
    copy = folder / "footage" / path.name
    if not copy.exists():
        copy.parent.mkdir(exist_ok=True)
        frames = read_frames(path, max_width_px=FOOTAGE_PX)
        first = next(frames)
        height, width = first.image.shape[:2]
        with VideoWriter(copy, width, height, FOOTAGE_HZ, crf=FOOTAGE_CRF) as writer:
            for frame in itertools.chain([first], frames):
                writer.write(frame.image, frame.time_s)
    return copy


def synthetic(options):
    """Make, survey and compare the edited videos, and print the figures."""
    footage = sorted(options.footage.glob("*.mp4"))
    if not options.large:
        footage = [shrunk(path, options.cache) for path in footage]
    tallies = {kind: Tally() for kind in ("cut", "jump", "fade", *KINDS, "CUT UP", "CAMERA MOVES")}
    overlaps, speeds, size, hidden = [], [], [], 0
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        path = options.cache / f"{seed}.mp4"
        known = path.with_suffix(".pkl")
        if not known.exists():
            truth = compose(path, footage, seed, large=options.large)
            known.write_bytes(pickle.dumps(truth))
        truth = pickle.loads(known.read_bytes())
        edits, speed = survey(path)
        overlaps.append(compare(str(seed), truth, edits, tallies))
        speeds.append(speed)
        size.append(truth.size[1])
        hidden += len(truth.hidden)
        print(f"{seed:<6}{truth.size[0]:>5}x{truth.size[1]:<5}{truth.rate:>4.0f} fps  crf {truth.crf}  overlap {overlaps[-1]:.3f}"
              f"  {speed:>4.0f} fps  {', '.join(truth.story)}", flush=True)  # fmt: skip
    print(f"\n{'':<14}{'true':>6}{'hit':>6}{'false':>6}{'precision':>11}{'recall':>9}")
    for kind, tally in tallies.items():
        print(f"{kind:<14}{tally}")
    print(f"\njumps that nobody can see: {hidden}")
    errors = tallies["cut"].errors + tallies["jump"].errors
    if errors:
        print(f"frames from a cut found to the true one: mean {np.mean(errors):.2f}, greatest {max(errors)}")
    figures = f"mean {np.nanmean(overlaps):.3f}, median {np.nanmedian(overlaps):.3f}, least {np.nanmin(overlaps):.3f}"
    print(f"playable segments, intersection over union: {figures}")
    for height in sorted(set(size)):
        mine = [speed for speed, other in zip(speeds, size, strict=True) if other == height]
        print(f"frames per second of one core, {height} lines: {np.mean(mine):.0f}")
    print("\n".join(line for tally in tallies.values() for line in tally.wrong))


def real(folder):
    """Report on videos without truth."""
    for path in sorted(folder.glob("*.mp4")):
        edits, speed = survey(path)
        scores = measure_editing(edits) | measure_camera_motion(edits)
        print(f"{path.name}  {speed:.0f} fps  " + "  ".join(f"{key} {value:.4g}" for key, value in scores.items()))
        print("   playable " + ", ".join(f"{a:.2f}-{b:.2f}" for a, b in usable_segments(edits)))


def main():
    """Print a line a video, then the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40, help="edited videos (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=9000, help="seed of the first (default: %(default)s)")
    parser.add_argument("--large", action="store_true", help="in 4K")
    parser.add_argument(
        "--footage", type=Path, metavar="FOLDER", default=Path("resources/demo"), help="plain videos (default: %(default)s)"
    )
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keeps the edited videos for another run")
    parser.add_argument("--videos", type=Path, metavar="FOLDER", help="real videos to report on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.cache = options.cache or Path(folder)
        options.cache.mkdir(parents=True, exist_ok=True)
        if options.seeds:
            synthetic(options)
    if options.videos:
        real(options.videos)


if __name__ == "__main__":
    main()
