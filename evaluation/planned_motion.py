"""Measure planned motion (`generation.planned`) on composed music and on MIDI files.

    python evaluation/planned_motion.py --minutes 180 [FILE.mid ...]

Composed music (`simulator.composition`) has true hands and fingers, which are removed before planning. The table states for each input: the
key press F1 with the notes, the notes that are left out or struck later, the notes whose fingertip is beside its key, the frames in which
the hands intersect by more than 5 mm, the least distance of the wrists while no hand is above the other, the share of notes with the true
hand, and with the true hand and finger, and the seconds of CPU for each minute of music.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np

from handroll.generation.fingering import DEFAULT_COSTS
from handroll.generation.hand_assignment import assign_hands
from handroll.generation.hands_apart import surface_distance_mm
from handroll.generation.planned import FPS, plan_performance
from handroll.hand.skeleton import TIPS
from handroll.keyboard.geometry import is_black, key_centres_x_mm, key_of_pitch
from handroll.metrics.key_press import find_presses, match_presses
from handroll.metrics.smoothness import smoothness
from handroll.music.midi import read_midi
from handroll.rendering.scene import world_joints
from handroll.simulator.composition import compose_score

# Duration of a composed piece.
PIECE_S = 120.0

# Maximum depth by which the hands may intersect.
INTERSECTION_MM = 5.0

# Half the width of a white key and of the top of a black key.
HALF_WIDTH_MM = (11.75, 5.5)


def measure(notes, pedal, duration_s, seed, hand_size, truth=None, fps=FPS, costs=(DEFAULT_COSTS,) * 2):
    """Plan the motion for notes and return the counts of the table; `truth` is (hand, finger) of each note, if known."""
    started = time.process_time()
    plan = plan_performance(notes, pedal, duration_s, seed, fps, (hand_size, hand_size), costs=costs)
    spent_s = time.process_time() - started
    performance = plan.performance
    counts = measure_motion(performance, notes, fps)
    counts |= Counter(left_out=int(plan.left_out.sum()), rolled=int(plan.rolled.sum()), cpu_s=spent_s, music_s=duration_s)
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
        beside=notes_beside_their_key(performance, 1e3 * joints, fps),
        intersecting=int((distance < -INTERSECTION_MM).sum()),
        frames=len(distance),
        acceleration=len(distance) * smoothness(joints, fps, performance.present)["acceleration_m_s2"],
    )


def notes_beside_their_key(performance, joints_mm, fps):
    """Count the notes whose fingertip is not over its key 50 ms after the onset, or in the middle of a shorter note."""
    notes = performance.notes
    key = key_of_pitch(notes["pitch"].astype(int))
    moment = np.minimum(notes["onset_s"] + 0.05, 0.5 * (notes["onset_s"] + notes["key_offset_s"]))
    frame = np.clip(np.rint(moment * fps).astype(int), 0, len(joints_mm) - 1)
    tips = joints_mm[frame, performance.note_hand][:, list(TIPS)][np.arange(len(key)), performance.note_finger]
    return int((np.abs(tips[:, 0] - key_centres_x_mm()[key]) > np.where(is_black(key), HALF_WIDTH_MM[1], HALF_WIDTH_MM[0])).sum())


def row(name, counts):
    """Format the counts of an input as a row of the table."""

    def share(part, whole):
        return f"{counts[part] / counts[whole]:.3f}" if counts[whole] else "-"

    cells = [name[:28], counts["notes"], share("hits", "tried"), counts["left_out"], counts["rolled"], counts["beside"]]
    cells += [f"{counts['intersecting']} of {counts['frames']}"]
    cells += [share("same_hand", "compared"), share("same_finger", "finger_compared")]
    return line(*cells, f"{60.0 * counts['cpu_s'] / counts['music_s']:.1f}")


def line(*cells):
    """Format the cells of a row."""
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, (28, 7, 6, 5, 6, 6, 16, 6, 6, 6), strict=True))


def main():
    """Measure the inputs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.mid", help="MIDI files")
    parser.add_argument("--minutes", type=float, default=10.0, help="minutes of composed music (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=4000, help="random seed of the first piece (default: %(default)s)")
    parser.add_argument("--hand-size", type=float, default=1.0, help="bone scale of both hands (default: %(default)s)")
    options = parser.parse_args()
    print(line("input", "notes", "F1", "left", "rolled", "beside", "intersecting", "hand", "both", "s/min"))
    total = Counter()
    remaining_s, seed = 60.0 * options.minutes, options.first_seed
    while remaining_s > 0.0:
        length_s = min(PIECE_S, max(remaining_s, 20.0))
        score = compose_score(seed, length_s)
        total += measure(score.notes, score.pedal, length_s, seed, options.hand_size, (score.hand, score.finger))
        remaining_s, seed = remaining_s - length_s, seed + 1
    if total:
        print(row(f"composed, seeds {options.first_seed}-{seed - 1}", total))
    for path in options.files:
        notes, pedal = read_midi(path)
        counts = measure(notes, pedal, float(notes["key_offset_s"].max(initial=1.0)) + 1.0, 0, options.hand_size)
        print(row(path.name[:28], counts))


if __name__ == "__main__":
    main()
