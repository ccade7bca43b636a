"""Measure the accuracy of cameras that are fitted to marked points of real keyboards, by leave-one-out cross-validation.

    python evaluation/marked_keyboards.py FOLDER

FOLDER contains JSON files with "pixel_points": 20 points in frames of 1920x1080 px. The first 14 are the ends of seven lines between white
keys, from the fallboard to the player's edge (`MARKED_LINES`; back end first). The other 6 are each at a black key (`MARKED_BLACKS`): the
point where the line between the two neighbouring white keys meets the front edge of the black key. Each line and each black key is left
out of the fit in turn, except the two outer lines. `snakemake evaluation` measures registration without marked points, by kind of scene.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from handroll.keyboard.geometry import STANDARD, white_index
from handroll.keyboard.marked_registration import fit_landmarks

# Marked lines: number of white keys to the left of each line.
MARKED_LINES = (2, 9, 16, 26, 37, 44, 51)

# Marked black keys, as indices of keys.
MARKED_BLACKS = (9, 21, 33, 52, 69, 81)


def measure_marked(folder):
    """Compute the errors (point,) along the keyboard, mm, at the points that are left out of the fit."""
    points = [(STANDARD.white_pitch_mm * line, y, 0.0) for line in MARKED_LINES for y in (STANDARD.white_length_mm, 0.0)]
    points += [(STANDARD.white_pitch_mm * white_index(key), STANDARD.black_front_mm, 0.0) for key in MARKED_BLACKS]
    points_mm, errors = np.array(points), []
    first_black = 2 * len(MARKED_LINES)
    groups = [[2 * i, 2 * i + 1] for i in range(1, len(MARKED_LINES) - 1)] + [[first_black + i] for i in range(len(MARKED_BLACKS))]
    for path in sorted(Path(folder).glob("*.json")):
        pixels = np.array(json.loads(path.read_text(encoding="utf-8"))["pixel_points"], dtype=float)
        for left_out in groups:
            kept = np.setdiff1d(np.arange(len(points_mm)), left_out)
            view, _ = fit_landmarks(pixels[kept], points_mm[kept], 1920, 1080)
            errors += np.abs(view.on_plane(pixels[left_out])[:, 0] - points_mm[left_out, 0]).tolist()
    return np.array(errors)


def main():
    """Print the error along the keyboard at points that are left out of the fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="marked frames of real keyboards")
    left_out = measure_marked(parser.parse_args().folder)
    print(f"marked keys left out: mean {left_out.mean():.2f} mm, p95 {np.percentile(left_out, 95):.2f} mm, {len(left_out)} points")


if __name__ == "__main__":
    main()
