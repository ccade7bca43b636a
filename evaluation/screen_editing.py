"""Measure precision and recall of the edit detection, and the accuracy of the usable segments.

    python evaluation/screen_editing.py --seeds 40
    python evaluation/screen_editing.py --seeds 0 --videos FOLDER

Test videos with known edits are made from plain footage of piano playing (`edited_video.compose`). The default footage is the demo; select
other footage with `--footage`. Edits are detected in these videos, and compared with the true edits. A cut counts as found if a detection
is within two frames of it. A fade or another interval (frozen, black, title, inset) counts as found if the intersection over union with a
detection is at least 0.5, and an interval of camera motion if it is at least 0.3. The following are not counted as errors:

- detected jumps at which hands, insets or repetitions begin or end,
- jumps that are not visible (`edited_video.VISIBLE_RATIO`), whether they are detected or not; their number is printed,
- freeze frames in intervals without hands, where the encoder has removed all noise,
- edits during camera motion, because these intervals are unusable anyway.

Two verdicts on whole videos are measured as well. CUT UP: the usable share of the video is below `MIN_USABLE`. CAMERA MOVES: the
share of the time with camera motion is above `MAX_MOVING`. A video whose true share is within `MARGIN` of a threshold is not used for that
verdict.

Random seeds that were used in the development of the detection, and must not be used for measurements: 0 to 20, 5000 to 5024, 6000 to 6010,
7000 to 7015, 9000 to 9229, 9300 to 9359, 9500 to 9559. Seeds that were not used: 9600 to 9648, and all from 9700.
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
from handroll.mask_runs import runs
from handroll.media.frames import read_frames
from handroll.media.write import VideoWriter
from handroll.screening.editing import measure_camera_motion, measure_editing

MIN_USABLE = 0.5
"""Threshold of the verdict CUT UP: a video gets it if its usable share is smaller."""

MAX_MOVING = 0.3
"""Threshold of the verdict CAMERA MOVES: a video gets it if the camera moves for a larger share of the time."""

MARGIN = 0.05
"""Minimum distance of a true share from its threshold. Videos with a smaller distance are not used for the verdict."""

CUT_FRAMES = 2
"""Maximum distance of a detected cut from a true cut, in frames."""

FOOTAGE_PX = 854
"""Width (px) of the copies of the footage. Copies are small, because they are read many times."""

FOOTAGE_CRF = 12
"""Quality setting of the video encoder for the copies."""

FOOTAGE_HZ = 30.0
"""Nominal frame rate (Hz) of the copies. The times of the frames are those of the footage."""

SAMPLES_S = 0.5
"""Time between the samples of the number of hands (s). The samples contain the true number."""

# Names of the detected edits that correspond to each true kind of interval.
KINDS = {"frozen": ("frozen",), "black": ("black", "blank"), "title": ("titles",), "inset": ("insets",), "moving": ("moves",)}


def survey(path):
    """Detect the edits of a video. Return them as a dict, and the frames per second of one core, including decoding."""
    started, detector = time.process_time(), EditDetector()
    for frame in read_frames(path, max_width_px=MAX_SIDE_PX, max_height_px=MAX_SIDE_PX, threads=1):
        detector.add_frame(frame.image, frame.time_s)
    edits = detector.edits()
    return dataclasses.asdict(edits), edits.frames / (time.process_time() - started)


def iou(first, second):
    """Compute the intersection over union of two intervals."""
    common = min(first[1], second[1]) - max(first[0], second[0])
    return max(common, 0.0) / (max(first[1], second[1]) - min(first[0], second[0]))


class Tally:
    """Counts of one kind of edit: true edits, found edits and false detections. `wrong` lists the errors in words."""

    def __init__(self):
        self.counts, self.errors, self.wrong = Counter(), [], []

    def points(self, name, kind, true, found, elsewhere, tolerated):
        """Match true and detected frames.

        A true frame also counts as found if it is near a frame of `elsewhere`. A detected frame near a frame of `tolerated` is not a false
        detection.
        """
        for frame in true:
            near = [f for f in [*found, *elsewhere] if abs(f - frame) <= CUT_FRAMES]
            self._count(name, kind, frame, bool(near))
            self.errors += [min(abs(f - frame) for f in near)] if near else []
        for frame in found:
            if min((abs(f - frame) for f in [*true, *tolerated]), default=np.inf) > CUT_FRAMES:
                self._false(name, kind, frame)

    def spans(self, name, kind, true, found, tolerated, min_iou=0.5):
        """Match true and detected intervals.

        A detected interval is not a false detection if `tolerated`, a bool array (frame,), is true in at least half of it.
        """
        for span in true:
            self._count(name, kind, span, any(iou(span, f) >= min_iou for f in found))
        for span in found:
            # A detected part of a true interval is not a false detection either.
            mine = tolerated.copy()
            for start, stop in true:
                mine[start:stop] = True
            inside = mine[round(span[0]) : max(round(span[1]), round(span[0]) + 1)]
            if not any(iou(span, t) >= min_iou for t in true) and inside.mean() < 0.5:
                self._false(name, kind, span)

    def verdict(self, name, kind, true, found):
        """Count a verdict on a video. `true` and `found` are whether the video should get and gets the verdict."""
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
    """Compare the detected with the true edits of one video, and count the results.

    Return the intersection over union of detected and true usable segments; NaN if there are no true ones.
    """
    rate, count = truth.rate, len(truth.view)
    frames = {key: [round(t * rate) for t in edits[key]] for key in ("cuts", "jumps")}
    moving, empty = truth.flags["moving"], (truth.hands == 0) & (truth.view >= 0)
    marks = [truth.flags[key] for key in ("frozen", "black", "title", "inset", "transition", "other")] + [truth.hands > 0]
    turns = [f for mark in marks for f in (np.flatnonzero(np.diff(mark.astype(np.int8))) + 1).tolist()]
    all_jumps = truth.jumps + truth.hidden
    during_moves = {key: [f for f in values if moving[min(f, count - 1)]] for key, values in frames.items()}
    cuts, jumps = ([f for f in frames_of if f < count and not moving[f]] for frames_of in (truth.cuts, truth.jumps))
    tallies["cut"].points(name, "cut", cuts, frames["cuts"], frames["jumps"], turns + truth.cuts + all_jumps + during_moves["cuts"])
    tolerated = turns + truth.cuts + all_jumps + during_moves["jumps"]
    tallies["jump"].points(name, "jump", jumps, frames["jumps"], frames["cuts"], tolerated)
    fades = [span for span in truth.fades if not moving[span[0] : span[1]].mean() > 0.5]
    tallies["fade"].spans(name, "fade", fades, [(a * rate, b * rate) for a, b in edits["fades"]], moving)
    lenient = {"frozen": empty | moving, "moving": truth.flags["transition"]}
    for kind, keys in KINDS.items():
        found = [(span[0] * rate, span[1] * rate) for key in keys for span in edits[key]]
        # After a short bump, it takes some time until the detector reports a static camera again. Therefore a smaller overlap is
        # sufficient.
        min_iou = 0.3 if kind == "moving" else 0.5
        true = [span for span in zip(*runs(truth.flags[kind]), strict=True) if kind == "moving" or moving[span[0] : span[1]].mean() <= 0.5]
        tallies[kind].spans(name, kind, true, found, lenient.get(kind, moving), min_iou)
    hands = {"time_s": (np.arange(0, count, round(SAMPLES_S * rate)) / rate).tolist()}
    hands["hands"] = truth.hands[:: round(SAMPLES_S * rate)].tolist()
    mine = np.zeros(count, bool)
    for start_s, end_s in usable_segments(edits, hands):
        mine[round(start_s * rate) : round(end_s * rate)] = True
    best = max((truth.usable(view) for view in truth.main_views()), key=lambda mask: (mask & mine).sum(), default=np.zeros(count, bool))
    shares = best.mean(), measure_editing(edits, hands)["usable_share"]
    if abs(shares[0] - MIN_USABLE) > MARGIN:
        tallies["CUT UP"].verdict(name, "verdict", shares[0] < MIN_USABLE, shares[1] < MIN_USABLE)
    moves = moving.mean(), measure_camera_motion(edits)["moving_share"]
    if abs(moves[0] - MAX_MOVING) > MARGIN:
        tallies["CAMERA MOVES"].verdict(name, "verdict", moves[0] > MAX_MOVING, moves[1] > MAX_MOVING)
    return (best & mine).sum() / (best | mine).sum() if best.any() else np.nan


def scaled_down(path, folder):
    """Make a smaller copy of footage unless the copy exists. Return the path of the copy."""
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
    """Make the test videos, detect their edits, compare, and print the results."""
    footage = [scaled_down(path, options.cache) for path in sorted(options.footage.glob("*.mp4"))]
    tallies = {kind: Tally() for kind in ("cut", "jump", "fade", *KINDS, "CUT UP", "CAMERA MOVES")}
    overlaps, speeds, size, hidden = [], [], [], 0
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        path = options.cache / f"{seed}.mp4"
        known = path.with_suffix(".pkl")
        if not known.exists():
            truth = compose(path, footage, seed)
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
    print(f"\ninvisible jumps: {hidden}")
    errors = tallies["cut"].errors + tallies["jump"].errors
    if errors:
        print(f"distance of detected from true cuts, in frames: mean {np.mean(errors):.2f}, maximum {max(errors)}")
    figures = f"mean {np.nanmean(overlaps):.3f}, median {np.nanmedian(overlaps):.3f}, minimum {np.nanmin(overlaps):.3f}"
    print(f"usable segments, intersection over union: {figures}")
    for height in sorted(set(size)):
        mine = [speed for speed, other in zip(speeds, size, strict=True) if other == height]
        print(f"speed with frames {height} px high: {np.mean(mine):.0f} frames per second per CPU core, including decoding")
    print("\n".join(line for tally in tallies.values() for line in tally.wrong))


def real(folder):
    """Print the detected edits of real videos, which have no ground truth."""
    for path in sorted(folder.glob("*.mp4")):
        edits, speed = survey(path)
        scores = measure_editing(edits) | measure_camera_motion(edits)
        print(f"{path.name}  {speed:.0f} fps  " + "  ".join(f"{key} {value:.4g}" for key, value in scores.items()))
        print("   usable " + ", ".join(f"{a:.2f}-{b:.2f}" for a, b in usable_segments(edits)))


def main():
    """Print a line per video, then the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40, help="number of edited videos (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=9700, help="random seed of the first video (default: %(default)s)")
    parser.add_argument(
        "--footage", type=Path, metavar="FOLDER", default=Path("resources/demo"), help="plain videos (default: %(default)s)"
    )
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="folder that keeps the edited videos for later runs")
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
