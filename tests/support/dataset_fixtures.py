"""Three made-up videos and the dataset that is packed from them."""

import numpy as np
import pytest
import soundfile

from handroll.camera import Camera, Extrinsics, joints_in_keyboard_frame
from handroll.dataset.card import card
from handroll.dataset.clip_content import VideoRecord
from handroll.dataset.clips import cut_clips
from handroll.dataset.plots import plot_keys, plot_velocities
from handroll.dataset.shards import survey_shards, write_shards
from handroll.dataset.splits import split_videos
from handroll.dataset.statistics import describe
from handroll.hand.skeleton import HANDS
from handroll.storage import write_json, write_table
from handroll.tables import CLIPS, MOTION, SPLITS, State, frame_keys, join_rows

RATE_HZ = 16000
VIDEOS = {("ann", "long"): 70.0, ("bob", "long"): 70.0, ("bob", "short"): 20.0}
OVER_KEYS = Extrinsics(np.array([np.pi - 0.1, 0.0, 0.02]), np.array([-600.0, 50.0, 1000.0]))
"""The keyboard of ann's videos; bob's has none."""
PINS = {("ann", "long"): "train", ("bob", "long"): "test", ("bob", "short"): None}


def make_motion(duration_s, fps=30.0, seed=0, extrinsics=None):
    """MOTION columns (frame, hand, ...): smooth noise, with the left hand hidden in frames 100 to 199."""
    rng = np.random.default_rng(seed)
    columns = frame_keys(np.arange(round(duration_s * fps)) / fps)
    shape = columns["time_s"].shape
    columns["state"] = np.full(shape, State.OBSERVED, dtype=np.int8)
    columns["state"][100:200, 0] = State.HIDDEN
    columns["state"][50:60, 1] = State.INTERPOLATED
    for column in MOTION.columns[4:]:
        steps = rng.normal(0.0, 0.01, (*shape, *column.shape))
        columns[column.name] = np.cumsum(steps, axis=0).astype(np.float32)
    for name in ("betas", "bone_scale"):
        columns[name][:] = columns[name][-1]
    for column in MOTION.columns[4:]:
        columns[column.name][columns["state"] == State.HIDDEN] = np.nan
    columns["joints_keyboard_mm"] = joints_in_keyboard_frame(columns["joints_m"], extrinsics)
    assert set(columns) == {c.name for c in MOTION.columns} and shape[1] == len(HANDS)
    return columns


def make_notes(duration_s):
    """One note every half second, pitches from 40 upwards, velocities from 30 upwards, each sounding for 3 s by the pedal.

    Fingers go from 0, the label withheld, to 5; hands alternate.
    """
    onset_s = np.arange(0.0, duration_s, 0.5)
    return {
        "onset_s": onset_s,
        "key_offset_s": onset_s + 0.4,
        "sounding_offset_s": onset_s + 3.0,
        "pitch": (40 + np.arange(len(onset_s)) % 40).astype(np.int8),
        "velocity": (30 + np.arange(len(onset_s)) % 60).astype(np.int8),
        "hand": np.array([("", *HANDS)[(n % 6 > 0) * (1 + n % 2)] for n in range(len(onset_s))], dtype=object),
        "finger": (np.arange(len(onset_s)) % 6).astype(np.int8),
        "finger_confidence": np.linspace(0.5, 1.0, len(onset_s), dtype=np.float32),
        "landing_error_mm": np.where(np.arange(len(onset_s)) % 6 > 0, 1.5, np.nan).astype(np.float32),
    }


def make_record(folder, subject, video):
    duration_s, extrinsics = VIDEOS[subject, video], OVER_KEYS if subject == "ann" else None
    path = folder / f"{subject}_{video}.flac"
    tone = 0.3 * np.sin(2 * np.pi * 440.0 * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ)
    soundfile.write(path, tone, RATE_HZ, subtype="PCM_16")
    return VideoRecord(
        motion=make_motion(duration_s, seed=len(subject + video), extrinsics=extrinsics),
        notes=make_notes(duration_s),
        pedal={"onset_s": np.array([10.0, 23.0]), "offset_s": np.array([12.0, 26.0])},
        audio_path=path,
        audio_delay_s=0.04 if subject == "ann" else 0.0,
        camera=Camera(1920, 1080, 1480.0, "keyboard", -0.03, (5.0, -4.0)) if subject == "ann" else Camera(1920, 1080, 37500.0, "hamer"),
        extrinsics=extrinsics,
        fps=30.0,
        detector="finder 1",
        pose_engine="fitter 2",
        transcriber="hearer 3",
        permission="granted",
        licence="CC-BY-4.0" if subject == "ann" else "",
        source=f"https://example.org/{video}",
        source_sha256="0" * 64,
        provenance={"handroll": "1", "settings": {"length_s": 30.0}},
    )


@pytest.fixture(scope="session")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return {name: make_record(folder, *name) for name in VIDEOS}


@pytest.fixture(scope="session")
def clips(records):
    def scores_of(record):
        score = {"key_press_precision": 0.9, "key_press_recall": 0.8, "key_press_f1": 0.847, "landing_error_mm": 2.5}
        return (lambda start_s, end_s: {**score, "key_press_recall": start_s / end_s}) if record.extrinsics else None

    cut = [cut_clips(r.motion, *name, audio_path=r.audio_path, scores_of=scores_of(r)) for name, r in records.items()]
    return join_rows(CLIPS, cut)


@pytest.fixture(scope="session")
def splits():
    return split_videos([(*name, PINS[name]) for name in VIDEOS], {"train": 1.0}, seed=0)


@pytest.fixture(scope="session")
def statistics_of(clips, splits):
    screenings = [
        {"subject": subject, "video": video, "usable_for_dataset": video == "long", "reasons": [] if video == "long" else ["too_short"]}
        for subject, video in VIDEOS
    ]
    return lambda manifest, survey: describe(screenings, clips, splits, manifest, survey)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory, records, clips, splits, statistics_of):
    """A working directory with results/dataset as the workflow leaves it."""
    root = tmp_path_factory.mktemp("work")
    folder = root / "results" / "dataset"
    manifest = write_shards(clips, splits, lambda *name: records[name], folder, row_group_rows=2)
    statistics = statistics_of(manifest, survey_shards(folder, manifest))
    write_table(folder / "splits.parquet", SPLITS, splits)
    write_json(folder / "statistics.json", statistics)
    plot_keys(folder / "keys.png", statistics["notes"]["pitch"])
    plot_velocities(folder / "velocities.png", statistics["notes"]["velocity"])
    (folder / "README.md").write_text(card('A <test> | of *cards*: "quoted"', statistics, {"clips.length_s": 30.0}), encoding="utf-8")
    return root
