"""How fast is music made for training, stage by stage, and how good is it? One core, processor time.

    python evaluation/corpus.py --minutes 20

Stages: the score; motion (planning, inverse kinematics, the camera's view of it); sound; packing (scores, clips, shards). Known runs:
the share of runs of so many notes of later takes that earlier takes hold, in any key.
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

RUN_NOTES = 12, 16, 24


@contextmanager
def timed(spent, stage):
    """Add the block's processor time (s) to a stage."""
    started = time.process_time()
    yield
    spent[stage] += time.process_time() - started


def runs(pitch, length):
    """Every run of so many notes, as intervals from its first."""
    pitch = np.asarray(pitch, dtype=int)
    return [tuple(pitch[k : k + length] - pitch[k]) for k in range(len(pitch) - length + 1)]


def main():
    """Time the stages on takes of their own, then all of it; print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="of music (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    recipe = Recipe(options.seed)
    takes = max(3, ceil(60.0 * options.minutes / recipe.take_s))
    # What is compiled is compiled before the clock runs.
    take_rows(replace(recipe, take_s=30.0), (0, "train"))

    spent, pitches = Counter(), []
    for seed in range(takes):
        with timed(spent, "score"):
            score = compose_score(seed, recipe.take_s)
        with timed(spent, "motion"):
            scene = random_scene(seed, closer=False)
            performance = perform(score, seed, recipe.fps, (scene.appearance.hand_size,) * len(HANDS))
            motion = motion_of(performance, scene, view_extrinsics(scene.view))
            fingered_notes(performance, motion)
        with timed(spent, "sound"):
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
    spent["packing"] = spent["all"] - spent["score"] - spent["motion"] - spent["sound"]
    for stage in ("score", "motion", "sound", "packing", "all"):
        print(f"{stage:8} {1e3 * spent[stage] / music_s:6.2f} ms a second of music: {music_s / spent[stage]:6.0f} s of music a second")
    print(f"{size / music_s / 1e3:.1f} kB a second of music; {np.mean([len(p) for p in pitches]) / recipe.take_s:.1f} notes a second")
    print(f"key-press F1 of the true motion: mean {np.mean(f1):.3f}, least {np.min(f1):.3f} of {len(f1)} clips")
    later = max(1, takes // 5)
    for length in RUN_NOTES:
        known = {run for pitch in pitches[:-later] for run in runs(pitch, length)}
        found = [run in known for pitch in pitches[-later:] for run in runs(pitch, length)]
        print(f"runs of {length} notes of the last {later} takes that earlier takes hold: {100 * np.mean(found):.2f} %")


if __name__ == "__main__":
    main()
