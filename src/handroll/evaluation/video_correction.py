"""Measure whether the correction of videos helps: errors of the fingertips of simulated performances before and after it.

Gaps are made by removing detections. In a gap, the corrected motion is compared with the motion that cleaning interpolates.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from handroll.camera import Extrinsics, extrinsics_from_metadata
from handroll.evaluation.passage_types import note_textures
from handroll.evaluation.videos import SUBJECT, VIDEO_PATTERN
from handroll.generation.recording import Recording
from handroll.generation.video_correction import correct_video, video_recording
from handroll.hand.skeleton import HANDS, TIPS
from handroll.metrics.correction import difficulties
from handroll.metrics.key_press import key_press_scores
from handroll.motion.clean import CleanSettings, clean_motion
from handroll.pose.engine import load_engine
from handroll.simulator.truth import Truth, read_truth
from handroll.storage import read_json, read_table
from handroll.tables import FINGERED_NOTES, PEDAL, POSE, State, by_frame

GAP_FRAMES = (10, 60)
"""Minimum and maximum length of the gaps that are made, in frames."""

BETWEEN_GAPS_S = (1.5, 4.0)
"""Minimum and maximum time between two gaps of a hand (s)."""

FAST_TEXTURES = ("fast_line", "leap")
"""Textures of a fast passage: its second note follows within 0.2 s, or more than a fifth away within 0.6 s (`passage_types`)."""

PARTS = ("fast passages", "fast movements", "elsewhere", "gaps")
"""Parts of a performance. Observed frames: in fast passages; while the wrist moves fast or turns back (`metrics.correction`); elsewhere.
Frames of the gaps that are made."""

NAMES = ("cleaned", "corrected")
"""Names of the motions that are compared."""


@dataclass(frozen=True)
class SimulatedVideo:
    """A simulated performance and what the pipeline found in its video.

    Attributes
    ----------
    truth : simulator.truth.Truth
    pose, unrefined : dict of str to array (frame, hand 2, ...)
        Columns of `tables.POSE`: refined with the notes, and before.
    extrinsics : handroll.camera.Extrinsics
        Registered keyboard.
    recording : generation.recording.Recording
        Transcribed notes with labels, and audio.
    segments : list of (start_s, end_s)
        Usable segments.
    joints_from : callable
        See `motion.clean.clean_motion`.
    """

    truth: Truth
    pose: dict
    unrefined: dict
    extrinsics: Extrinsics
    recording: Recording
    segments: list
    joints_from: object

    def cleaned(self, settings=None):
        """Return the cleaned motion."""
        return clean_motion(self.pose, settings, self.extrinsics, self.joints_from, self.unrefined, self.segments)[0]

    def corrected(self, motion, path, max_gap_s):
        """Return a motion after its correction with the model of a checkpoint."""
        made, facts = correct_video(motion, self.recording, path, self.extrinsics, self.joints_from, max_gap_s, self.segments)
        if "uncorrected" in facts:
            raise ValueError(f"expected a performance that can be corrected, found none: {facts['uncorrected']}")
        return made

    def without(self, gaps):
        """Return this video without the detections in `gaps`, bool array (frame, hand 2)."""
        tables = []
        for table in (self.pose, self.unrefined):
            columns = {name: np.array(values) for name, values in table.items()}
            columns["found"][gaps] = False
            for name in ("rotation_rad", "translation_m"):
                columns[name][gaps] = np.nan
            tables.append(columns)
        return replace(self, pose=tables[0], unrefined=tables[1])

    @property
    def rate_hz(self):
        """Frame rate."""
        return 1.0 / float(np.median(np.diff(self.truth.time_s)))

    @property
    def true_mm(self):
        """True joints (frame, hand 2, joint 21, xyz 3), keyboard frame."""
        return 1e3 * (self.truth.joints_m @ self.truth.view.rotation + np.array(self.truth.view.position_m))


def read_videos(folder):
    """Read the simulated performances of a project in which the target `evaluation` has run, as a list of `SimulatedVideo`.

    Performances without a registered keyboard or without notes are left out, because they cannot be corrected.

    Raises
    ------
    FileNotFoundError
        The folder contains no performance that can be corrected.
    """
    results, videos = Path(folder) / "results", []
    for path in sorted((Path(folder) / VIDEO_PATTERN).parent.glob("*.truth.npz")):
        name = f"{SUBJECT}/{path.name.removesuffix('.truth.npz')}"
        (pose, facts), (unrefined, _) = (read_table(results / f"hands/{name}/{file}.parquet", POSE) for file in ("refined", "pose"))
        notes, about = read_table(results / f"keyboard/{name}/notes.parquet", FINGERED_NOTES)
        pedal, _ = read_table(results / f"keyboard/{name}/pedal.parquet", PEDAL)
        extrinsics, pose = extrinsics_from_metadata(facts), by_frame(pose)
        if extrinsics is None or not len(notes["pitch"]):
            continue
        duration_s, audio = float(pose["time_s"][-1, 0]), results / f"acquire/{name}/audio.flac"
        recording = video_recording(duration_s, notes, pedal, audio, float(about["audio_delay_s"]))
        segments = read_json(results / f"screening/{name}/survey.json")["segments"]
        joints_from = load_engine(facts["pose_engine"]).joints({})
        videos.append(SimulatedVideo(read_truth(path), pose, by_frame(unrefined), extrinsics, recording, segments, joints_from))
    if not videos:
        raise FileNotFoundError(
            f"{folder}: expected results of simulated performances with a registered keyboard, found none; "
            "run `snakemake evaluation` in this folder first"
        )
    return videos


def fast_passages(truth):
    """Return the frames of fast passages, bool array (frame, hand 2): from the hand's previous note to each note of `FAST_TEXTURES`."""
    fast = np.zeros(truth.present.shape, dtype=bool)
    texture = note_textures(truth.notes, truth.note_hand, truth.note_finger)
    for side in range(len(HANDS)):
        rows = np.flatnonzero(truth.note_hand == side)
        for before, note in pairwise(rows):
            if texture[note] in FAST_TEXTURES:
                first, last = (np.searchsorted(truth.time_s, truth.notes["onset_s"][row]) for row in (before, note))
                fast[first : last + 1, side] = True
    return fast


def draw_gaps(observed, rate_hz, rng):
    """Draw gaps inside the observed runs of each hand, bool array (frame, hand 2). `observed` has the same shape."""
    gaps = np.zeros_like(observed)
    for side in range(len(HANDS)):
        start = 0
        while True:
            start += int(rate_hz * rng.uniform(*BETWEEN_GAPS_S))
            stop = start + int(rng.integers(GAP_FRAMES[0], GAP_FRAMES[1] + 1))
            if stop >= len(observed):
                break
            if observed[start - 1 : stop + 1, side].all():
                gaps[start:stop, side] = True
            start = stop
    return gaps


def compare(video, path, rng):
    """Score the motion of a video before and after its correction, and the motion in gaps that are made.

    Parameters
    ----------
    video : SimulatedVideo
    path : path
        Checkpoint of the model.
    rng : numpy.random.Generator
        Draws the gaps.

    Returns
    -------
    dict of str to dict
        For each of `NAMES`: `errors`, a dict of `PARTS` to arrays (n,) of the mean error of the fingertips of a hand and frame (mm);
        `key_press_f1`, and `key_press_f1_with_gaps`, that of the motion with gaps.
    """
    truth, motion = video.truth, video.cleaned()
    shown = truth.visible.all(axis=2) & (motion["state"] == State.OBSERVED)
    gaps = draw_gaps(shown, video.rate_hz, rng)
    moving = difficulties(np.where(np.isfinite(video.true_mm), video.true_mm, 0.0), video.rate_hz)
    moving, fast = moving["gross"] | moving["inversion"], fast_passages(truth)
    # Cleaning interpolates even the longest gaps, so that every gap has two motions to compare.
    interpolated = video.without(gaps).cleaned(CleanSettings(gap_shorter_than=GAP_FRAMES[1] + 1))
    gaps &= interpolated["state"] != State.HIDDEN
    max_gap_s = (GAP_FRAMES[1] + 2) / video.rate_hz
    scores = {}
    for name in NAMES:
        whole, filled = (
            (motion, interpolated) if name == "cleaned" else (video.corrected(m, path, max_gap_s) for m in (motion, interpolated))
        )
        masks = (shown & fast, shown & moving, shown & ~fast & ~moving)
        errors = {part: _tip_errors(video, whole, mask) for part, mask in zip(PARTS, masks, strict=False)}
        f1, f1_with_gaps = (
            key_press_scores(truth.notes, truth.time_s, made["joints_keyboard_mm"])["key_press_f1"] for made in (whole, filled)
        )
        errors[PARTS[-1]] = _tip_errors(video, filled, gaps)
        scores[name] = {"errors": errors, "key_press_f1": f1, "key_press_f1_with_gaps": f1_with_gaps}
    return scores


def _tip_errors(video, motion, chosen):
    """Return the mean errors of the fingertips (n,), mm, of the chosen frames and hands, bool array (frame, hand 2)."""
    offset = (motion["joints_keyboard_mm"] - video.true_mm)[chosen][:, list(TIPS)]
    return np.linalg.norm(offset, axis=-1).mean(axis=-1)
