"""Every script of `evaluation/` runs at toy size and measures something, so that none stops working unnoticed."""

import re
import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "evaluation"

LIBRARIES = {"toy_hamer", "pose_noise", "edited_scenes", "edited_video", "foreign_sound"}
"""Modules that scripts import."""

TOYS = {
    "check_midi": ["--seeds", "1", "--seconds", "8", "--cache", "{folder}"],
    "clean_motion": ["--frames", "200", "--compared", "60"],
    "corpus": ["--minutes", "1"],
    "hamer": ["--part", "video", "--frames", "4", "--frame", "640x360", "--rounds", "1", "--batch", "4", "--hand-px", "80"],
    "loader": ["--hours", "0.1", "--fps", "10", "--sound-rate", "8000", "--windows", "4", "--rounds", "1"],
    "marked_keyboards": ["{folder}"],
    "overhead": ["--plan", "20"],
    "screen_editing": ["--seeds", "1", "--footage", "{folder}"],
    "screen_hands": ["--seeds", "1", "--kinds", "above"],
    "screen_sound": ["--kinds", "noise", "--levels", "0", "--clean", "1", "--cache", "{folder}"],
    "temporal": ["--seeds", "12", "--seconds", "4", "--fps", "30", "--keys", "with"],
    "train_step": ["--encoder", "tiny", "--batch", "1", "--steps", "1", "--case", "stored", "--predictor", "demo"],
    "transcription": ["{folder}/recording.flac"],
}
"""Arguments of each script at toy size."""


def test_every_script_has_a_toy_size():
    scripts = {path.stem for path in SCRIPTS.glob("*.py")} - LIBRARIES
    assert scripts == set(TOYS)


@pytest.fixture
def folder(tmp_path):
    """A folder with a recording of one struck note and its truth, the marked points of a keyboard, and two demo videos."""
    import json

    import numpy as np
    import soundfile

    from handroll.keyboard.geometry import STANDARD, white_index
    from handroll.music.notes import note_table, pedal_table
    from handroll.music.synthesis import synthesise

    notes = note_table(np.array([0.5]), np.array([1.5]), np.array([60]), np.array([80]), pedal_table(np.empty(0), np.empty(0)))
    pedal = pedal_table(np.empty(0), np.empty(0))
    soundfile.write(tmp_path / "recording.flac", synthesise(notes, pedal, 3.0, 0, 44100), 44100)
    (tmp_path / "recording.txt").write_text("0.5 1.5 60\n", encoding="utf-8")
    x_mm = [STANDARD.white_pitch_mm * line for line in (2, 9, 16, 26, 37, 44, 51) for _ in range(2)]
    x_mm += [STANDARD.white_pitch_mm * white_index(key) for key in (9, 21, 33, 52, 69, 81)]
    y_mm = [STANDARD.white_length_mm, 0.0] * 7 + [STANDARD.black_front_mm] * 6
    # Seen from straight above, each point a pixel off.
    pixels = np.stack([300.0 + np.array(x_mm), 700.0 - np.array(y_mm)], axis=1) + np.random.default_rng(0).uniform(-1.0, 1.0, (20, 2))
    (tmp_path / "marked.json").write_text(json.dumps({"pixel_points": pixels.tolist()}), encoding="utf-8")
    for name in ("ode", "prelude"):
        (tmp_path / f"{name}.mp4").symlink_to(SCRIPTS.parent / "resources" / "demo" / f"{name}.mp4")
    return tmp_path


@pytest.mark.parametrize("script", sorted(TOYS))
def test_script_runs_and_prints_figures(script, folder, monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", [script, *(argument.format(folder=folder) for argument in TOYS[script])])
    monkeypatch.syspath_prepend(SCRIPTS)
    runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")
    printed = capfd.readouterr().out
    figures = [float(number) for number in re.findall(r"(?<![\w.])\d+\.\d+(?!\w)", printed)]
    assert any(figures), f"no figure above 0 in:\n{printed}"
