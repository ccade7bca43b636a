"""Measure the pianists of the synthetic sets (`simulator.pianists`), and planned motion on their music.

    python evaluation/pianists.py --minutes 10 --learn-minutes 60

For each pianist, the first row of the table is the true motion at 30 frames/s. The other rows are motion that is planned for the notes
without hands and fingers (`generation.planned`), with the pianist's hand size. In the rows `learned`, the fingering costs were learned
from other music of the pianist. The columns are: key press F1 with the notes; notes whose fingertip is beside its key; notes that are left
out; frames in which the hands intersect by more than 5 mm; mean acceleration of the joints, m/s^2; share of notes with the true hand, and
with the true hand and finger. In the first row, the last column is the share of notes to which the default costs give the true finger if
the hands are known.
"""

import argparse
from collections import Counter

import numpy as np

from handroll.generation.fingering import DEFAULT_COSTS, finger_notes
from handroll.generation.fingering_training import learn_hands
from handroll.generation.labelled_notes import LabelledNotes
from handroll.generation.pianist import perform
from handroll.hand.skeleton import HANDS
from handroll.rendering.scene import random_scene
from handroll.simulator.composition import compose_score
from handroll.simulator.pianists import pianist_of
from planned_motion import PIECE_S, measure, measure_motion

# Frame rate of the true motion, and frame rates of planned motion (frames/s).
TRUE_FPS, PLANNED_FPS = 30.0, (60.0, 30.0)

# First seed of the music that is measured, and of the music from which costs are learned.
MEASURED_SEED, LEARNED_SEED = 1000, 2000

# Share of the music for learning that selects the variant of the costs.
VALID_SHARE = 0.1


def pieces(number, minutes, first_seed):
    """Compose pieces for the pianist with a number. Yield the seed, the score and the hand size of each."""
    pianist = pianist_of(number)
    for piece in range(max(1, round(60.0 * minutes / PIECE_S))):
        seed = np.random.SeedSequence([first_seed + piece, number]).generate_state(1)[0]
        size = pianist.hand_size or random_scene(seed, closer=False).appearance.hand_size
        yield seed, compose_score(seed, min(PIECE_S, max(60.0 * minutes, 20.0)), pianist.costs, pianist.hand_size or 1.0), size


def learned_costs(number, minutes):
    """Learn the fingering costs of a pianist from true hands and fingers."""
    clips = [
        LabelledNotes(score.notes, score.pedal, score.hand, score.finger, np.ones(len(score.hand)), (size, size))
        for _, score, size in pieces(number, minutes, LEARNED_SEED)
    ]
    valid = max(1, round(VALID_SHARE * len(clips)))
    players, _ = learn_hands(clips[valid:], clips[:valid])
    return tuple(player.costs for player in players)


def measure_true_motion(number, minutes):
    """Return the counts of the true motion of a pianist."""
    pianist, total = pianist_of(number), Counter()
    for seed, score, size in pieces(number, minutes, MEASURED_SEED):
        performance = perform(score, seed, TRUE_FPS, (size, size), pianist.style)
        usual = finger_notes(score.notes, score.pedal, score.hand, hand_scale=(size, size))
        total += measure_motion(performance, performance.notes, TRUE_FPS)
        total += Counter(finger_compared=len(usual), same_finger=int((usual == score.finger).sum()))
    return total


def row(*names, counts):
    """Format the counts of a motion as a row of the table."""

    def share(part, whole):
        return f"{counts[part] / counts[whole]:.3f}" if counts[whole] else "-"

    cells = [counts["notes"], share("hits", "tried"), counts["beside"], counts["left_out"], f"{counts['intersecting']}/{counts['frames']}"]
    cells += [f"{counts['acceleration'] / counts['frames']:.2f}", share("same_hand", "compared"), share("same_finger", "finger_compared")]
    return line(*names, *cells)


def line(*cells):
    """Format the cells of a row."""
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, (7, 12, 6, 6, 6, 6, 12, 6, 6, 6), strict=True))


def main():
    """Measure the pianists and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pianists", type=int, nargs="+", default=[0, 1, 2, 3], help="numbers of the pianists (default: 0 1 2 3)")
    parser.add_argument("--minutes", type=float, default=10.0, help="minutes of music of each pianist (default: %(default)s)")
    parser.add_argument(
        "--learn-minutes", type=float, default=0.0, help="minutes of music from which costs are learned, 0 or at least 4 (default: 0)"
    )
    parser.add_argument("--true-only", action="store_true", help="measure only the true motion")
    options = parser.parse_args()
    print(line("pianist", "motion", "notes", "F1", "beside", "left", "intersecting", "m/s2", "hand", "both"))
    for number in options.pianists:
        print(row(number, "true", counts=measure_true_motion(number, options.minutes)), flush=True)
        costs_of = {} if options.true_only else {"planned": (DEFAULT_COSTS,) * len(HANDS)}
        if options.learn_minutes and costs_of:
            costs_of["learned"] = learned_costs(number, options.learn_minutes)
        for name, costs in costs_of.items():
            for fps in PLANNED_FPS:
                total = Counter()
                for seed, score, size in pieces(number, options.minutes, MEASURED_SEED):
                    truth = score.hand, score.finger
                    total += measure(score.notes, score.pedal, score.duration_s, seed, size, truth, fps, costs)
                print(row(number, f"{name} {fps:.0f}", counts=total), flush=True)


if __name__ == "__main__":
    main()
