"""Synthetic training sets without videos: takes of randomly composed music with motion, notes and audio, as shards of a dataset.

Each take has its own music, camera and tuning of the piano. One pianist (`simulator.pianists`) plays all takes. No video is rendered, so an
hour of music takes about a minute on one core. docs/how-to/synthetic-data.md explains how to interpret results on synthetic data. Command
line::

    python -m handroll.simulator.corpus --hours 2 --seed 1 --out FOLDER --jobs 2
"""

import argparse
import logging
import tempfile
from collections import Counter, deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, islice
from math import ceil
from pathlib import Path

import numpy as np
import soundfile

from handroll import __version__
from handroll.camera import Camera, Extrinsics, joints_in_keyboard_frame
from handroll.dataset.clip_content import VideoRecord, clip_row
from handroll.dataset.clips import cut_clips
from handroll.dataset.shards import TARGET_BYTES, write_rows
from handroll.dataset.splits import SPLITS
from handroll.generation.pianist import perform
from handroll.hand.kinematics import hand_joints
from handroll.hand.rotations import rotvec_from_matrix
from handroll.hand.skeleton import HANDS, N_ROTATIONS
from handroll.keyboard.fingertips_at_onsets import landings
from handroll.logs import LOGGER, progress
from handroll.metrics.key_press import find_presses, key_press_scores
from handroll.music.synthesis import synthesise
from handroll.provenance import stamp
from handroll.rendering.scene import random_scene, to_camera
from handroll.simulator.composition import MIN_DURATION_S, compose_score
from handroll.simulator.pianists import STANDARD_PIANIST, pianist_of
from handroll.tables import FINGERED_NOTES, MOTION, State, frame_keys

VERSION = 1
"""Version of the takes. Increase it when a change of the code gives different takes for the same `Recipe`."""

SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}
"""Default share of the takes for each split."""

# Image size of the stored camera. No video is rendered.
_WIDTH_PX, _HEIGHT_PX = 1920, 1080


@dataclass(frozen=True)
class Recipe:
    """Settings of takes and of their clips.

    Attributes
    ----------
    seed : int
        Random seed of all takes.
    take_s : float
        Duration of a take.
    fps : float
        Frames per second.
    audio_rate_hz : int or None
        Sampling rate of the audio; None: no audio.
    length_s, hop_s, min_visibility : float
        See `dataset.clips.cut_clips`.
    pianist : int
        Number of the pianist who plays all takes; see `simulator.pianists.pianist_of`.
    """

    seed: int
    take_s: float = 120.0
    fps: float = 30.0
    audio_rate_hz: int | None = 16000
    length_s: float = 30.0
    hop_s: float = 24.0
    min_visibility: float = 0.8
    pianist: int = STANDARD_PIANIST

    def __post_init__(self):
        minimum_s = max(MIN_DURATION_S, self.length_s)
        if self.take_s < minimum_s:
            raise ValueError(f"take_s: expected at least {minimum_s} s, enough for a phrase and a clip, found {self.take_s}")
        if self.pianist < STANDARD_PIANIST:
            raise ValueError(
                f"pianist: expected {STANDARD_PIANIST} (standard pianist) or the number of a random pianist, found {self.pianist}"
            )


def write_corpus(out_dir, hours, recipe, shares=SHARES, jobs=1, target_bytes=TARGET_BYTES, row_group_rows=8):
    """Simulate takes and write their clips as shards with `shards.json`.

    Parameters
    ----------
    out_dir : path
    hours : float
        Duration of the music, rounded up to whole takes; at least one take for each split that has a share.
    recipe : Recipe
    shares : dict of split to float
        Shares of the takes, relative to their sum.
    jobs : int
        Number of processes; it does not change the result.
    target_bytes, row_group_rows : int
        See `dataset.shards.write_shards`.

    Returns
    -------
    dict
        See `dataset.shards.write_shards`.

    Raises
    ------
    ValueError
        `hours` is not above 0, `jobs` is below 1, or no split has a share.
    """
    if hours <= 0.0 or jobs < 1:
        raise ValueError(f"expected hours above 0 and at least 1 job, found {hours} hours and {jobs} jobs")
    splits = assign_splits(ceil(hours * 3600.0 / recipe.take_s), shares)
    counts = Counter(splits.values())
    metadata = stamp("synthesise_corpus", str(VERSION), asdict(recipe) | {"hours": hours, "shares": shares})
    with closing(_in_order(partial(take_rows, recipe), splits.items(), jobs)) as made:
        takes = progress(made, len(splits), "takes")
        rows = {split: chain.from_iterable(islice(takes, counts[split])) for split in SPLITS}
        return write_rows(rows, out_dir, target_bytes, row_group_rows, metadata)


def assign_splits(count, shares):
    """Assign takes to splits by number: the first takes to train, the next to valid, the last to test.

    Takes are independent of each other, so their order does not matter.

    Parameters
    ----------
    count : int
        Requested number of takes.
    shares : dict of split to float
        Shares of the takes, relative to their sum; a split with a share has at least one take.

    Returns
    -------
    dict of int to str
        Split of each take, by number of the take.

    Raises
    ------
    ValueError
        No split has a share.
    """
    wanted = [split for split in SPLITS if shares.get(split, 0.0) > 0.0]
    if not wanted:
        raise ValueError(f"shares of the splits {shares}: expected at least one above 0")
    count, total = max(count, len(wanted)), sum(shares[split] for split in wanted)
    counts = {split: max(1, round(count * shares[split] / total)) for split in wanted}
    # The largest split absorbs the rounding error.
    largest = max(wanted, key=counts.get)
    counts[largest] += count - sum(counts.values())
    return dict(enumerate(split for split in wanted for _ in range(counts[split])))


def _in_order(function, items, jobs):
    """Yield function(item) for each item in order, computed by `jobs` processes. At most `jobs` results are computed in advance."""
    if jobs == 1:
        yield from map(function, items)
        return
    with ProcessPoolExecutor(jobs) as pool:
        pending = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > jobs:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def take_rows(recipe, numbered):
    """Simulate a take and return the rows of its accepted clips.

    Parameters
    ----------
    recipe : Recipe
    numbered : (int, str)
        Number of the take, and its split.

    Returns
    -------
    list of dict
        Rows of `tables.SHARD`, from `dataset.clip_content.clip_row`.
    """
    number, split = numbered
    # Each pianist plays different music. Otherwise, models would be scored on another pianist's performance of the training music.
    entropy = [recipe.seed, number] if recipe.pianist == STANDARD_PIANIST else [recipe.seed, number, recipe.pianist]
    seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
    pianist, scene = pianist_of(recipe.pianist), random_scene(seed, closer=False)
    hand_size = pianist.hand_size or scene.appearance.hand_size
    # The music and the fingering of the standard pianist do not depend on the hand size of the take.
    score = compose_score(seed, recipe.take_s, pianist.costs, pianist.hand_size or 1.0)
    performance = perform(score, seed, recipe.fps, (hand_size,) * len(HANDS), pianist.style)
    extrinsics = view_extrinsics(scene.view)
    motion = motion_of(performance, scene, extrinsics)
    notes = fingered_notes(performance, motion)
    with tempfile.TemporaryDirectory() as folder:
        audio_path = None
        if recipe.audio_rate_hz is not None:
            audio_path = Path(folder) / "audio.wav"
            samples = synthesise(performance.notes, score.pedal, recipe.take_s, seed, recipe.audio_rate_hz)
            soundfile.write(audio_path, samples, recipe.audio_rate_hz, subtype="PCM_16")
        record = VideoRecord(
            motion=motion,
            notes=notes,
            pedal=score.pedal,
            audio_delay_s=0.0,
            audio_path=audio_path,
            camera=Camera(_WIDTH_PX, _HEIGHT_PX, scene.view.focal_widths * _WIDTH_PX, "truth", scene.view.k1),
            extrinsics=extrinsics,
            fps=recipe.fps,
            detector="synthetic",
            pose_engine="synthetic",
            transcriber="synthetic score",
            permission="granted",
            licence="CC0-1.0",
            source="synthetic",
            source_sha256="",
            provenance={"handroll_version": __version__, "take": number} | asdict(recipe),
        )
        clips = _clips_of(record, pianist.name, f"take-{number:05d}", recipe)
        accepted = np.flatnonzero(clips["accepted"])
        return [clip_row({name: values[row] for name, values in clips.items()}, split, record) for row in accepted]


def _clips_of(record, subject, video, recipe):
    """Cut a take into clips (`tables.CLIPS`) with their key-press scores."""
    time_s, joints = record.motion["time_s"][:, 0], record.motion["joints_keyboard_mm"]
    return cut_clips(
        record.motion,
        subject,
        video,
        recipe.length_s,
        recipe.hop_s,
        recipe.min_visibility,
        audio_path=record.audio_path,
        note_onset_s=record.notes["onset_s"],
        scores_of=partial(key_press_scores, record.notes, time_s, joints, presses=find_presses(time_s, joints)),
    )


def view_extrinsics(view):
    """Return the `Extrinsics` of a scene's `View`. The world frame is the keyboard frame in metres instead of millimetres."""
    return Extrinsics(rotvec_from_matrix(view.rotation), -1e3 * view.rotation @ np.array(view.position_m))


def motion_of(performance, scene, extrinsics):
    """Convert a performance to motion (`tables.MOTION`) in the camera frame of a scene.

    Parameters
    ----------
    performance : Performance
    scene : scene.Scene
    extrinsics : Extrinsics
        Extrinsics of the scene's view, from `view_extrinsics`.

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        Columns of `tables.MOTION`, by frame. A hand is observed where it is present, and hidden (NaN) where it is absent.
    """
    rotation, translation = to_camera(performance, scene)
    frames, absent = len(performance.time_s), ~performance.present
    joints = np.stack(
        [
            hand_joints(rotation[:, side].reshape(frames, 3 * N_ROTATIONS), translation[:, side], performance.bone_scale[side], hand)
            for side, hand in enumerate(HANDS)
        ],
        axis=1,
    )
    pose = {
        "rotation_rad": rotation,
        "translation_m": translation,
        "betas": np.zeros((frames, len(HANDS), 10)),
        "bone_scale": np.broadcast_to(performance.bone_scale, (frames, len(HANDS))),
        "joints_m": joints,
        "joints_keyboard_mm": joints_in_keyboard_frame(joints, extrinsics),
        "residual_px": np.zeros((frames, len(HANDS))),
    }
    pose = {name: values.astype(np.float32) for name, values in pose.items()}
    for values in pose.values():
        values[absent] = np.nan
    state = np.where(absent, State.HIDDEN, State.OBSERVED).astype(MOTION.empty()["state"].dtype)
    return frame_keys(performance.time_s) | {"state": state} | pose


def fingered_notes(performance, motion):
    """Label the notes of a performance with the true hand and finger.

    Parameters
    ----------
    performance : Performance
    motion : dict of str to array (frame, hand 2, ...)
        Columns of `tables.MOTION` of the performance, by frame.

    Returns
    -------
    dict of str to array (note,)
        Columns of `tables.FINGERED_NOTES`; `landing_error_mm` is the error of the finger that plays the note.
    """
    landing = landings(performance.notes, motion["time_s"][:, 0], motion["joints_keyboard_mm"], motion["state"])
    hand, finger = performance.note_hand, performance.note_finger
    outside = np.maximum(np.abs(landing.offset_mm) - landing.half_width_mm, 0.0)
    labels = {
        "hand": np.array(HANDS, dtype=object)[hand],
        "finger": finger + 1,
        "finger_confidence": np.ones(len(hand)),
        "landing_error_mm": outside[np.arange(len(hand)), hand, finger],
    }
    columns = performance.notes | labels
    return {name: columns[name].astype(blank.dtype) for name, blank in FINGERED_NOTES.empty().items()}


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m handroll.simulator.corpus", description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, required=True, help="hours of music, rounded up to whole takes")
    parser.add_argument("--seed", type=int, default=0, help="random seed of music, hands, cameras and pianos (default: 0)")
    parser.add_argument("--pianist", type=int, default=STANDARD_PIANIST, help="0: the standard pianist; N: random pianist N (default: 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder for the shards and shards.json")
    parser.add_argument("--take-s", type=float, default=Recipe.take_s, help="duration of a take, seconds (default: %(default)s)")
    parser.add_argument("--no-audio", action="store_true", help="write no audio")
    parser.add_argument("--jobs", type=int, default=1, help="number of processes (default: 1)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rate_hz = None if options.no_audio else Recipe.audio_rate_hz
    try:
        recipe = Recipe(options.seed, options.take_s, audio_rate_hz=rate_hz, pianist=options.pianist)
        made = write_corpus(options.out, options.hours, recipe, jobs=options.jobs)
    except ValueError as error:
        parser.error(str(error))
    for shard in made["shards"]:
        LOGGER.info("%s: %d clips, %.1f MB", shard["name"], shard["rows"], shard["bytes"] / 1e6)


if __name__ == "__main__":
    main()
