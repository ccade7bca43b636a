"""Measure the CPU time of each step in making synthetic training data, and the quality of the data.

    python evaluation/corpus.py --minutes 20

The steps are: score; motion (planning, inverse kinematics, conversion to the camera frame); audio; packing (scores, clips, shards). One
core is used. Quality is measured by the key press F1 of the motion, and by the repetition of music: the share of note sequences in later
takes that also occur in earlier takes, in any key.
"""

import argparse
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from math import ceil

import numpy as np

from handroll.generation.pianist import perform
from handroll.hand.skeleton import HANDS
from handroll.music.synthesis import synthesise
from handroll.rendering.scene import random_scene
from handroll.simulator.composition import compose_score
from handroll.simulator.corpus import Recipe, fingered_notes, motion_of, take_rows, view_extrinsics, write_corpus

SEQUENCE_NOTES = 12, 16, 24
"""Lengths of the note sequences whose repetition is measured, in notes."""

MIN_TAKES = 3
"""Minimum number of takes. If there are few minutes of music, takes are shorter than usual."""

MIN_TAKE_S = 30.0
"""Minimum duration of a take (s)."""


@contextmanager
def timed(spent, stage):
    """Add the CPU time of the block (s) to the entry of a step, `stage`, in `spent`."""
    started = time.process_time()
    yield
    spent[stage] += time.process_time() - started


def sequences(pitch, length):
    """List all sequences of `length` successive notes, as tuples of intervals relative to their first note."""
    pitch = np.asarray(pitch, dtype=int)
    return [tuple(pitch[k : k + length] - pitch[k]) for k in range(len(pitch) - length + 1)]


def main():
    """Measure the steps one by one, then a whole corpus, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="minutes of music (default: 20)")
    options = parser.parse_args()
    recipe = Recipe(0, take_s=min(Recipe.take_s, max(60.0 * options.minutes / MIN_TAKES, MIN_TAKE_S)))
    takes = max(MIN_TAKES, ceil(60.0 * options.minutes / recipe.take_s))
    # Functions are compiled in this call, so that the measurement does not include it.
    take_rows(replace(recipe, take_s=MIN_TAKE_S), (0, "train"))

    spent, pitches = Counter(), []
    for seed in range(takes):
        with timed(spent, "score"):
            score = compose_score(seed, recipe.take_s)
        with timed(spent, "motion"):
            scene = random_scene(seed, closer=False)
            performance = perform(score, seed, recipe.fps, (scene.appearance.hand_size,) * len(HANDS))
            motion = motion_of(performance, scene, view_extrinsics(scene.view))
            fingered_notes(performance, motion)
        with timed(spent, "audio"):
            synthesise(performance.notes, score.pedal, recipe.take_s, seed, recipe.audio_rate_hz)
        pitches.append(score.notes["pitch"])
    f1 = []
    with tempfile.TemporaryDirectory() as folder:
        with timed(spent, "all"):
            made = write_corpus(folder, takes * recipe.take_s / 3600.0, replace(recipe, seed=recipe.seed + 1))
        size = sum(shard["bytes"] for shard in made["shards"])
    for number in range(min(takes, 20)):
        f1 += [row["key_press_f1"] for row in take_rows(replace(recipe, audio_rate_hz=None), (number, "train"))]
    music_s = takes * recipe.take_s
    spent["packing"] = spent["all"] - spent["score"] - spent["motion"] - spent["audio"]
    for stage in ("score", "motion", "audio", "packing", "all"):
        print(f"{stage:8} {1e3 * spent[stage] / music_s:6.2f} ms per second of music: {music_s / spent[stage]:6.0f} s of music per second")
    print(f"{size / music_s / 1e3:.1f} kB per second of music; {np.mean([len(p) for p in pitches]) / recipe.take_s:.1f} notes per second")
    print(f"key-press F1 of the true motion: mean {np.mean(f1):.3f}, minimum {np.min(f1):.3f} of {len(f1)} clips")
    later = max(1, takes // 5)
    for length in SEQUENCE_NOTES:
        known = {sequence for pitch in pitches[:-later] for sequence in sequences(pitch, length)}
        found = [sequence in known for pitch in pitches[-later:] for sequence in sequences(pitch, length)]
        print(f"sequences of {length} notes of the last {later} takes that occur in earlier takes: {100 * np.mean(found):.2f} %")


if __name__ == "__main__":
    main()
