"""Synthetic videos: render a piece, or a random medley, as video with audio, and write the ground truth.

Command line::

    python -m handroll.simulator.video --demo resources/demo
    python -m handroll.simulator.video --piece minuet --seed 7 --out videos
    python -m handroll.simulator.video --seed 1001 --seconds 20 --out videos     # a medley
"""

import argparse
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from handroll.generation.performance import Performance
from handroll.generation.pianist import perform
from handroll.hand.skeleton import HANDS
from handroll.music.synthesis import synthesise
from handroll.rendering.render import render_video
from handroll.rendering.scene import Scene, cover_hand, random_scene, world_joints
from handroll.simulator.pieces import pieces
from handroll.simulator.score import Score, random_score, score
from handroll.simulator.truth import build_truth, write_truth

LOGGER = logging.getLogger("handroll")

MEDLEY = "medley"
"""First part of a medley's file name."""

FPS = 30.0
"""Default frame rate."""

WIDTH_PX, HEIGHT_PX = 1920, 1080
"""Default size of the frames."""

AUDIO_RATE_HZ = 44100
"""Sampling rate of the audio."""

DEMO_SEEDS = {"prelude": 20, "study": 28, "ode": 45, "minuet": 35}
"""Seed of each demo video, by piece."""

DEMO_CRF = 26
"""Constant rate factor of x264 for the demo videos. It keeps each video below 4 MB."""

# Duration of sliding in a cover, and time from the start of sliding until its edge reaches the hand.
_COVER_SLIDE_S, _COVER_LEAD_S = 0.40, 0.26

# Margin of the cover around the hand. It is small, so that the cover does not hide the other hand.
_COVER_MARGIN_M = 0.03

# Colours of covers, RGB, 0..1.
_COVER_COLOURS = ((0.88, 0.87, 0.83), (0.80, 0.74, 0.60), (0.25, 0.30, 0.42), (0.15, 0.15, 0.16))

# Minimum length of a cover, along the fingers.
_MIN_COVER_LENGTH_M = 0.30


@dataclass(frozen=True)
class Take:
    """Score, performance, scene and audio of a video: everything except the frames.

    Attributes
    ----------
    score : Score
    performance : Performance
    scene : Scene
    audio : float32 array (sample,)
        Mono, at `AUDIO_RATE_HZ`; sample 0 is at time 0.
    """

    score: Score
    performance: Performance
    scene: Scene
    audio: np.ndarray


def prepare_take(piece, seed, duration_s=None, fps=FPS, closer=None):
    """Simulate a take: everything of a video except its frames.

    Parameters
    ----------
    piece : str or None
        A key of `pieces.pieces`, or None for a medley (`score.random_score`), which requires `duration_s`.
    seed : int
        Random seed of music, dynamics, hands, scene and audio.
    duration_s : float, optional
        Duration of the video. Default: the duration of the piece.
    fps : float
    closer : bool, optional
        Same as in `scene.random_scene`.

    Returns
    -------
    Take
    """
    if piece is None and duration_s is None:
        raise ValueError("expected a piece, or a duration for a medley; found neither")
    music = random_score(seed, duration_s) if piece is None else score(piece, seed, duration_s)
    scene = random_scene(seed, closer)
    performance = perform(music, seed, fps, (scene.appearance.hand_size,) * len(HANDS))
    rng = np.random.default_rng([seed, 0])
    scene = replace(scene, covers=tuple(_make_cover(performance, *interval, rng) for interval in music.covers))
    return Take(music, performance, scene, synthesise(performance.notes, music.pedal, music.duration_s, seed, AUDIO_RATE_HZ))


def _make_cover(performance, hand, start_s, end_s, rng):
    """Return a `Cover` of about the width of a hand, which hides the hand from `start_s` to `end_s`."""
    during = (performance.time_s >= start_s) & (performance.time_s <= end_s)
    joints = world_joints(performance)[during, HANDS.index(hand)].reshape(-1, 3)
    width, length = np.ptp(joints[:, :2], axis=0) + 2.0 * _COVER_MARGIN_M
    return cover_hand(
        performance,
        hand,
        start_s - _COVER_LEAD_S,
        end_s + _COVER_LEAD_S,
        size_m=(float(width), float(max(length, _MIN_COVER_LENGTH_M))),
        slide_s=_COVER_SLIDE_S,
        yaw_rad=0.0,
        rgb=_COVER_COLOURS[rng.integers(len(_COVER_COLOURS))],
    )


def make_video(
    piece,
    seed,
    folder,
    duration_s=None,
    name=None,
    fps=FPS,
    width_px=WIDTH_PX,
    height_px=HEIGHT_PX,
    supersample=2,
    closer=None,
    crf=23,
    preset="veryfast",
    sound_delay_s=0.0,
):
    """Render a video and write its truth, as `<name>.mp4` and `<name>.truth.npz`.

    Parameters
    ----------
    piece, seed, duration_s, fps, closer
        Same as in `prepare_take`.
    folder : path
        Created if it does not exist.
    name : str, optional
        Name of the files, without suffix. Default: the piece (or "medley") and the seed, such as "minuet-7".
    width_px, height_px : int
    supersample : {1, 2}
        Samples per pixel along each axis. 2 gives smoother edges and takes twice as long.
    crf, preset
        Same as in `media.write.VideoWriter`.
    sound_delay_s : float
        Delay of the audio relative to the frames, s. It imitates the delay of real recordings. Negative: the audio is early. The truth
        stores the delay as `about["sound_delay_s"]`.

    Returns
    -------
    pathlib.Path
        Path of the video.
    """
    take = prepare_take(piece, seed, duration_s, fps, closer)
    path = Path(folder) / f"{name or f'{piece or MEDLEY}-{seed}'}.mp4"
    LOGGER.info("%s: %s, %.1f s, %d notes", path.name, take.score.title, take.score.duration_s, len(take.score.hand))
    shift = round(sound_delay_s * AUDIO_RATE_HZ)
    delayed = np.concatenate([np.zeros(max(shift, 0), take.audio.dtype), take.audio[max(-shift, 0) :]])[: len(take.audio)]
    audio = delayed, AUDIO_RATE_HZ
    visible = render_video(path, take.performance, take.scene, fps, width_px, height_px, supersample, audio, seed, crf, preset)
    about = {"title": take.score.title, "source": take.score.source, "piece": piece, "seed": seed, "sound_delay_s": sound_delay_s}
    truth = build_truth(take.performance, take.scene, visible, width_px, height_px, take.score.pedal, about)
    write_truth(path.with_suffix(".truth.npz"), truth)
    LOGGER.info("%s: %.2f MB", path, path.stat().st_size / 1e6)
    return path


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m handroll.simulator.video", description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, metavar="FOLDER", help="render the four demo videos into this folder")
    parser.add_argument("--piece", choices=list(pieces()), help="piece to play (default: a medley)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of music, dynamics, hands, scene and audio (default: 0)")
    parser.add_argument("--seconds", type=float, help="duration of the video (default: the duration of the piece)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="render one video into this folder")
    options = parser.parse_args(arguments)
    if (options.demo is None) == (options.out is None):
        parser.error("expected either --demo FOLDER or --out FOLDER")
    if options.out and options.piece is None and options.seconds is None:
        parser.error("expected --piece, or --seconds for a medley")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.out:
        make_video(options.piece, options.seed, options.out, options.seconds)
        return
    for piece, seed in DEMO_SEEDS.items():
        make_video(piece, seed, options.demo, name=piece, closer=False, crf=DEMO_CRF, preset="medium")


if __name__ == "__main__":
    main()
