"""Measure planned motion (`generation.planned`) on composed and random music, on written pieces, and on MIDI files.

    python evaluation/planned_motion.py --minutes 180 [FILE.mid ...]

Half of the minutes is composed music (`simulator.composition`), a tenth medleys of the written pieces (`simulator.pieces`), and the rest
random music of each kind that is hard to play (`random_music`). Composed music and medleys have true hands and fingers, which are removed
before planning. A MIDI file is planned completely.

The columns are, for each kind of music: the minutes and the notes; the key press F1 with the notes; the notes that are left out, that are
struck later, and whose fingertip is beside its key; the onsets at which a hand would need a larger reach (`REACH_MM`) than it has; the
frames in which the hands intersect by more than 5 mm; the share of frames in which an idle, and in which a pressing, fingertip is more
than 1 mm below the surface of the key under it; the share of notes with the true hand, and with the true hand and finger; and the seconds
of CPU for each minute of music.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np

from handroll.generation.fingering import DEFAULT_COSTS
from handroll.generation.hand_assignment import assign_hands
from handroll.generation.hands_apart import surface_distance_mm
from handroll.generation.key_motion import depth_in_keys_mm
from handroll.generation.pianist import compute_trajectories
from handroll.generation.planned import FPS, plan_performance
from handroll.generation.style import PLANNED
from handroll.generation.wrist_trajectory import REACH_MM, corridor, presses_of
from handroll.hand.skeleton import FINGERS, HANDS, TIPS
from handroll.keyboard.geometry import is_black, key_centres_x_mm, key_of_pitch
from handroll.metrics.key_press import find_presses, match_presses
from handroll.metrics.smoothness import smoothness
from handroll.music.midi import read_midi
from handroll.rendering.scene import world_joints
from handroll.simulator.composition import compose_score
from handroll.simulator.score import random_score
from random_music import KINDS, random_notes

# Duration of a piece of composed or random music.
PIECE_S = 120.0

# Minimum duration of a piece.
SHORTEST_S = 20.0

# Maximum depth by which the hands may intersect, and by which a fingertip may be in a key.
INTERSECTION_MM, IN_KEY_MM = 5.0, 1.0

# Half the width of a white key and of the top of a black key.
HALF_WIDTH_MM = (11.75, 5.5)

# Share of the minutes that is composed, and that is a medley of the written pieces.
COMPOSED, WRITTEN = 0.5, 0.1

# Head and width of each column.
COLUMNS = (
    *(("input", 28), ("minutes", 7), ("notes", 7), ("F1", 6), ("left", 6), ("rolled", 6), ("beside", 6), ("reach", 5)),
    *(("intersecting", 16), ("idle", 7), ("pressing", 8), ("hand", 6), ("both", 6), ("s/min", 6)),
)


def measure(notes, pedal, duration_s, seed, hand_size, truth=None, fps=FPS, costs=(DEFAULT_COSTS,) * 2):
    """Plan the motion for notes and return the counts of the table; `truth` is (hand, finger) of each note, if known."""
    started = time.process_time()
    plan = plan_performance(notes, pedal, duration_s, seed, fps, (hand_size, hand_size), costs=costs)
    spent_s = time.process_time() - started
    performance = plan.performance
    joints = 1e3 * world_joints(performance)
    idle, pressing = frames_in_keys(performance, joints)
    counts = measure_motion(performance, notes, fps)
    counts |= Counter(
        left_out=int(plan.left_out.sum()),
        rolled=int(plan.rolled.sum()),
        reach=int((~reachable_onsets(performance)).sum()),
        idle=int(idle.sum()),
        pressing=int(pressing.sum()),
        cpu_s=spent_s,
        music_s=duration_s,
    )
    if truth is not None:
        hand, finger = truth
        same = assign_hands(notes, None, (hand_size, hand_size)) == hand
        counts |= Counter(compared=len(hand), same_hand=int(same.sum()))
        # Otherwise, the planned notes have another order.
        if not plan.rolled.any():
            counts["finger_compared"] = len(hand)
            counts["same_finger"] = int((same[~plan.left_out] & (performance.note_finger == finger[~plan.left_out])).sum())
    return counts


def measure_motion(performance, notes, fps):
    """Return the counts of a motion that plays notes; `acceleration` is the sum over the frames, m/s^2."""
    joints = world_joints(performance)
    press_hits, note_hits = match_presses(find_presses(performance.time_s, 1e3 * joints), notes["onset_s"], notes["pitch"])
    distance = surface_distance_mm(performance)
    return Counter(
        notes=len(note_hits),
        hits=int(press_hits.sum() + note_hits.sum()),
        tried=len(press_hits) + len(note_hits),
        beside=int(beside_their_key(performance, 1e3 * joints, fps).sum()),
        intersecting=int((distance < -INTERSECTION_MM).sum()),
        frames=len(distance),
        acceleration=len(distance) * smoothness(joints, fps, performance.present)["acceleration_m_s2"],
    )


def beside_their_key(performance, joints_mm, fps):
    """Return the notes (note,), bool, whose fingertip is not over its key 50 ms after the onset, or in the middle of a shorter note."""
    notes = performance.notes
    key = key_of_pitch(notes["pitch"].astype(int))
    moment = np.minimum(notes["onset_s"] + 0.05, 0.5 * (notes["onset_s"] + notes["key_offset_s"]))
    frame = np.clip(np.rint(moment * fps).astype(int), 0, len(joints_mm) - 1)
    tips = joints_mm[frame, performance.note_hand][:, list(TIPS)][np.arange(len(key)), performance.note_finger]
    return np.abs(tips[:, 0] - key_centres_x_mm()[key]) > np.where(is_black(key), HALF_WIDTH_MM[1], HALF_WIDTH_MM[0])


def reachable_onsets(performance):
    """Return for each note (note,), bool, whether its hand reaches all keys that it holds at the onset, each with a finger of its own."""
    notes, good = performance.notes, np.ones(len(performance.note_hand), dtype=bool)
    x_mm = key_centres_x_mm()[key_of_pitch(notes["pitch"].astype(int))]
    for side, mirror in enumerate((-1.0, 1.0)):
        rows = np.flatnonzero(performance.note_hand == side)
        finger, onset_s, release_s = performance.note_finger[rows], notes["onset_s"][rows], notes["key_offset_s"][rows]
        low, high = corridor(mirror * x_mm[rows], finger, performance.bone_scale[side], REACH_MM)
        longest_s = np.max(release_s - onset_s, initial=0.0)
        first = np.searchsorted(onset_s, onset_s - longest_s)
        for k, row in enumerate(rows):
            # Notes of the chord have slightly different onsets, so keys that are struck within 30 ms count as held, too.
            held = np.arange(first[k], np.searchsorted(onset_s, onset_s[k] + 0.03, side="right"))
            held = held[release_s[held] > onset_s[k]]
            good[row] = low[held].max() <= high[held].min() + 1e-6 and len(set(finger[held].tolist())) == len(held)
    return good


def frames_in_keys(performance, joints_mm):
    """Return the frames (frame,), bool, in which an idle, and in which a pressing, fingertip is below the surface of the key under it."""
    below = depth_in_keys_mm(joints_mm[:, :, list(TIPS)], performance.bone_scale, performance.key_depth_mm) > IN_KEY_MM
    pressing = np.zeros(below.shape, dtype=bool)
    notes = performance.notes
    for side in range(len(HANDS)):
        presses = presses_of(notes, performance.note_hand == side, performance.note_finger, 1, notes["key_offset_s"])
        courses = compute_trajectories(presses, performance.time_s, PLANNED)
        down = courses.down > 0.0
        pressing[courses.frame[down], side, presses.finger[courses.press[down]]] = True
    assert pressing.shape[2] == len(FINGERS)
    return (below & ~pressing).any((1, 2)), (below & pressing).any((1, 2))


def row(name, counts):
    """Format the counts of an input as a row of the table."""

    def share(part, whole):
        return f"{counts[part] / counts[whole]:.3f}" if counts[whole] else "-"

    cells = [name[:28], f"{counts['music_s'] / 60.0:.1f}", counts["notes"], share("hits", "tried")]
    cells += [counts["left_out"], counts["rolled"], counts["beside"], counts["reach"]]
    cells += [f"{counts['intersecting']} of {counts['frames']}"]
    cells += [f"{100.0 * counts[name] / counts['frames']:.2f} %" for name in ("idle", "pressing")]
    cells += [share("same_hand", "compared"), share("same_finger", "finger_compared")]
    return line(*cells, f"{60.0 * counts['cpu_s'] / counts['music_s']:.1f}")


def line(*cells):
    """Format the cells of a row."""
    return " ".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True))


def measure_pieces(compose, minutes, first_seed, hand_size):
    """Return the counts of pieces of at least `minutes` in all; `compose(seed, duration_s)` returns notes, pedal and truth."""
    total, remaining_s, seed = Counter(), 60.0 * minutes, first_seed
    while remaining_s > 0.0:
        length_s = min(PIECE_S, max(remaining_s, SHORTEST_S))
        notes, pedal, truth = compose(seed, length_s)
        total += measure(notes, pedal, length_s, seed, hand_size, truth)
        remaining_s, seed = remaining_s - length_s, seed + 1
    return total


def of_score(score):
    """Return notes, pedal and truth of a score."""
    return score.notes, score.pedal, (score.hand, score.finger)


def main():
    """Measure the inputs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.mid", help="MIDI files")
    parser.add_argument("--minutes", type=float, default=10.0, help="minutes of music without the files (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=5000, help="random seed of the first piece (default: %(default)s)")
    parser.add_argument("--hand-size", type=float, default=1.0, help="bone scale of both hands (default: %(default)s)")
    parser.add_argument("--kinds", nargs="*", choices=("composed", "written", *KINDS), help="kinds of music (default: all)")
    options = parser.parse_args()
    each = (1.0 - COMPOSED - WRITTEN) / len(KINDS)
    inputs = {
        "composed": (COMPOSED, lambda seed, length_s: of_score(compose_score(seed, length_s))),
        "written": (WRITTEN, lambda seed, length_s: of_score(random_score(seed, length_s))),
    } | {kind: (each, lambda seed, length_s, kind=kind: (*random_notes(kind, seed, length_s), None)) for kind in KINDS}
    print(line(*(head for head, _ in COLUMNS)), flush=True)
    everything = Counter()
    for name, (share, compose) in inputs.items():
        if options.kinds is None or name in options.kinds:
            counts = measure_pieces(compose, share * options.minutes, options.first_seed, options.hand_size)
            print(row(name, counts), flush=True)
            everything += counts
    for path in options.files:
        notes, pedal = read_midi(path)
        counts = measure(notes, pedal, float(notes["key_offset_s"].max(initial=1.0)) + 1.0, 0, options.hand_size)
        print(row(path.name, counts), flush=True)
        everything += counts
    print(row("all", everything))


if __name__ == "__main__":
    main()
