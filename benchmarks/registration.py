"""How right is the registered keyboard? By kind of scene over the synthetic piano, and by points marked on real keyboards.

    python benchmarks/registration.py --seeds 9
    python benchmarks/registration.py --seeds 0 --marked FOLDER

A scene (`handroll.synth.keyboard_scenes`): one of the kinds there, drawn by seed, with hands that play. The registration has temporal
medians of 16 rendered frames, the notes, and the true landmarks of the hands with a detector's noise; no detector runs. Printed are,
by kind, the share registered, the problems of the others, and errors along and across the keys at the playing points in the picture,
and how many registrations are accepted that are more than 3 mm off along or 10 mm across.

FOLDER holds JSON files with "pixel_points" of 20 points in pictures of 1920x1080: seven lines between white keys, top and
bottom, and where six black keys meet the line between the white heads. Each key but the outer two is left out in turn.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

from handroll.keyboard.geometry import STANDARD, white_index
from handroll.keyboard.landmarks import fit_landmarks
from handroll.synth.keyboard_scenes import ACROSS_MM, ALONG_MM, KINDS, measure_scene

MARKED_LINES = (2, 9, 16, 26, 37, 44, 51)
MARKED_BLACKS = (9, 21, 33, 52, 69, 81)


def line_of(row):
    """One scene in words."""
    name = f"{row['kind']:10s} {row['seed']:5d}"
    if row["problem"]:
        return f"{name}  {row['problem']}"
    errors = ", ".join(f"{where} {row[f'{where}_p95_mm']:.2f} (max {row[f'{where}_max_mm']:.2f}) mm" for where in ("along", "across"))
    return f"{name}  {errors}; {100 * row['confidence']:.0f} % of the edges; octave by the {row['octave_source']}{'; WRONG' * row['wrong']}"


def table_of(rows):
    """The rows of scenes by kind, as lines of a Markdown table."""
    lines = [
        "| scenes | registered | along p95, max (mm) | across p95, max (mm) | accepted and wrong | problems |",
        "|---|---|---|---|---|---|",
    ]
    for kind in (*dict.fromkeys(row["kind"] for row in rows), "all"):
        of_kind = [row for row in rows if kind in (row["kind"], "all")]
        right = [row for row in of_kind if not row["problem"]]
        problems = Counter(row["problem"] for row in of_kind if row["problem"])
        cells = [f"{kind}: {len(of_kind)}", f"{len(right)}"]
        for where in ("along", "across"):
            worst = [max(row[f"{where}_{what}_mm"] for row in right) for what in ("p95", "max")] if right else []
            cells.append(", ".join(f"{value:.2f}" for value in worst))
        cells += [str(sum(row["wrong"] for row in right)), ", ".join(f"{name} {count}" for name, count in problems.items())]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def measure_marked(folder):
    """Errors (n,) mm along the keys at keys left out of the fit."""
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
    """Print a line a scene and the table; exit with an error where a wrong registration is accepted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="scenes of each kind (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first (default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--silent", action="store_true", help="without notes, as of a video without sound")
    parser.add_argument("--marked", type=Path, metavar="FOLDER", help="marked pictures of real keyboards")
    options = parser.parse_args()
    rows = []
    for kind in options.kinds:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            rows.append(measure_scene(kind, seed, not options.silent))
            print(line_of(rows[-1]), flush=True)
    if rows:
        print("\n".join(table_of(rows)))
    if options.marked:
        left_out = measure_marked(options.marked)
        print(f"marked keys left out: mean {left_out.mean():.2f} mm, p95 {np.percentile(left_out, 95):.2f} mm, {len(left_out)} points")
    if any(row["wrong"] for row in rows):
        raise SystemExit(f"a registration is accepted that is more than {ALONG_MM:g} mm off along the keys or {ACROSS_MM:g} mm across")


if __name__ == "__main__":
    main()
