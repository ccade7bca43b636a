"""Every script of `evaluation/` runs at toy size and prints figures."""

import itertools
import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from handroll.keyboard.geometry import STANDARD, white_index
from handroll.media.frames import read_frames
from handroll.media.write import VideoWriter
from handroll.music.notes import note_table, pedal_table
from handroll.music.synthesis import synthesise
from handroll.storage import write_table
from handroll.tables import NOTES
from support.noisy_project import write_noisy_project

SCRIPTS = Path(__file__).resolve().parents[2] / "evaluation"

LIBRARIES = {"toy_hamer", "pose_noise", "edited_scenes", "edited_video", "foreign_sound", "random_music"}
"""Modules that scripts import."""

TOYS = {
    "check_midi": ["--seeds", "1", "--seconds", "8", "--cache", "{cache}"],
    "clean_motion": ["--frames", "200", "--compared", "60"],
    "corpus": ["--minutes", "1"],
    "correction_pipeline": [
        "{project}",
        "--checkpoint",
        "{project}/mapnet.safetensors",
        "--minutes",
        "1.5",
        "--steps",
        "2",
        "--batch",
        "2",
    ],
    "hamer": ["--part", "video", "--frames", "4", "--frame", "640x360", "--rounds", "1", "--batch", "4", "--hand-px", "80"],
    "loader": ["--hours", "0.1", "--fps", "10", "--sound-rate", "8000", "--windows", "4", "--rounds", "1"],
    "marked_keyboards": ["{folder}"],
    "motion_noise": ["{project}"],
    "overhead": ["--plan", "20"],
    "pianists": ["--pianists", "1", "--minutes", "0.4", "--learn-minutes", "4"],
    "planned_motion": ["--minutes", "0.5"],
    "rendering": ["--seconds", "4", "--size", "320x180", "--threads", "2"],
    "s2c_step": ["--size", "toy", "--batch", "1", "--steps", "1"],
    "screen_editing": ["--seeds", "1", "--first-seed", "9088", "--footage", "{folder}"],
    "screen_hands": ["--seeds", "1", "--kinds", "above"],
    "screen_sound": ["--kinds", "noise", "--levels", "0", "--clean", "1", "--cache", "{cache}"],
    "temporal": ["--seeds", "12", "--seconds", "4", "--fps", "30", "--keys", "with"],
    "train_step": ["--encoder", "tiny", "--batch", "1", "--steps", "1", "--case", "stored", "--predictor", "demo"],
    "transcription": ["{folder}/recording.flac"],
}
"""Arguments of each script at toy size. Seed 9088 makes a short, small video with jumps and a freeze frame."""


def test_every_script_has_a_toy_size():
    scripts = {path.stem for path in SCRIPTS.glob("*.py")} - LIBRARIES
    assert scripts == set(TOYS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a recording of one note and its ground truth, the marked points of a keyboard, and three seconds of two demo videos."""
    folder = tmp_path_factory.mktemp("evaluation")
    no_pedal = pedal_table([], [])
    notes = note_table([0.5], [1.5], [60], [80], no_pedal)
    soundfile.write(folder / "recording.flac", synthesise(notes, no_pedal, 3.0, 0, 44100), 44100)
    (folder / "recording.txt").write_text("0.5 1.5 60\n", encoding="utf-8")
    x_mm = [STANDARD.white_pitch_mm * line for line in (2, 9, 16, 26, 37, 44, 51) for _ in range(2)]
    x_mm += [STANDARD.white_pitch_mm * white_index(key) for key in (9, 21, 33, 52, 69, 81)]
    y_mm = [STANDARD.white_length_mm, 0.0] * 7 + [STANDARD.black_front_mm] * 6
    # A camera straight above, and errors of up to a pixel.
    pixels = np.stack([300.0 + np.array(x_mm), 700.0 - np.array(y_mm)], axis=1) + np.random.default_rng(0).uniform(-1.0, 1.0, (20, 2))
    (folder / "marked.json").write_text(json.dumps({"pixel_points": pixels.tolist()}), encoding="utf-8")
    for name in ("ode", "prelude"):
        frames = list(itertools.islice(read_frames(SCRIPTS.parent / "resources" / "demo" / f"{name}.mp4", max_width_px=640), 90))
        height, width = frames[0].image.shape[:2]
        with VideoWriter(folder / f"{name}.mp4", width, height, 30.0) as writer:
            for frame in frames:
                writer.write(frame.image, frame.time_s)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A folder with transcriptions for the scripts that keep them: the true notes. The script `transcription` runs the engine."""
    monkeypatch.syspath_prepend(SCRIPTS)
    from check_midi import performance
    from foreign_sound import notes_of

    write_table(tmp_path / "2100.parquet", NOTES, performance(2100, 8.0)[0])
    for seed in range(7000, 7010):
        write_table(tmp_path / f"held-out-{seed}.parquet", NOTES, notes_of(seed)[0])
    return tmp_path


@pytest.fixture
def project(tmp_path):
    """A project folder with the results of a simulated performance."""
    write_noisy_project(tmp_path, seconds=12.0)
    return tmp_path


@pytest.mark.parametrize("script", sorted(TOYS))
def test_script_runs_and_prints_figures(script, folder, request, monkeypatch, capfd):
    paths = {"folder": folder}
    for name in ("cache", "project"):
        if any(f"{{{name}}}" in argument for argument in TOYS[script]):
            paths[name] = request.getfixturevalue(name)
    monkeypatch.setattr(sys, "argv", [script, *(argument.format(**paths) for argument in TOYS[script])])
    monkeypatch.syspath_prepend(SCRIPTS)
    # One short segment instead of three: a fifth of the time of the script `transcription`.
    monkeypatch.setattr("handroll.music.transkun.SEGMENT_S", 8.0)
    runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")
    printed = capfd.readouterr().out
    figures = [float(number) for number in re.findall(r"(?<![\w.])\d+\.\d+(?!\w)", printed)]
    assert any(figures), f"no figure above 0 in:\n{printed}"
