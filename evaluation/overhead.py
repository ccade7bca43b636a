"""Measure the CPU time that the workflow spends on rejected videos, and the cost of planning a workflow with many videos.

    python evaluation/overhead.py
    python evaluation/overhead.py --checkout ../older-checkout     # another version, for comparison
    python evaluation/overhead.py --plan 4000

Two small videos, which different rules reject, run through the whole workflow, one job at a time. For each video, the script
prints the CPU time of every rule's process, including the start of Python and imports, and the sum over the rules after the rejection. With
`--plan N` it prints time and memory of `snakemake --dry-run` for a sheet of N videos. If the computer runs other jobs, compare only CPU
times.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from handroll.media.write import VideoWriter

ROOT = Path(__file__).resolve().parents[1]

RECORDER = """\
import atexit, os, sys, time

def _record():
    with open(os.environ["HANDROLL_OVERHEAD"], "a", encoding="utf-8") as file:
        file.write(f"{sys.argv[0]}\\t{time.process_time()}\\n")

atexit.register(_record)
"""
"""Content of the module `sitecustomize`, which Python imports at its start. The module records the CPU time of a process when it ends."""

REJECTED = {"tiny": "its probe: too small", "no_hands": "its frames: no hands"}
"""Reason for the rejection of each video."""

BEFORE = {
    "tiny": ("fetch_video", "probe_video"),
    "no_hands": ("fetch_video", "probe_video", "extract_audio", "survey_video", "measure_audio"),
}
"""Rules that run before a video is rejected. All other rules are overhead."""

# Configuration of the workflow: the minimum sizes are between those of the two videos.
CONFIG = "sheet: videos.tsv\nscreening:\n  resolution: {min_short_side_px: 300, min_long_side_px: 400}\n  duration: {min_s: 1.0}\n"


def write_video(path, width, height, seconds=2.0):
    """Write a video with random pixels and a tone."""
    rng = np.random.default_rng(0)
    audio = (0.1 * np.sin(np.arange(int(seconds * 44100)) * 0.06)).astype(np.float32)
    with VideoWriter(path, width, height, 30, audio=(audio, 44100)) as writer:
        for number in range(int(seconds * 30)):
            writer.write(rng.integers(0, 255, (height, width, 3), dtype=np.uint8), number / 30)


def snakemake(checkout, folder, *arguments, **environment):
    """Run the workflow of a checkout in a folder, and return the finished process."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    python_path = os.pathsep.join(filter(None, (environment.pop("PYTHONPATH", ""), str(checkout / "src"))))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(checkout / "Snakefile"), "--directory", str(folder)]
    command += ["--workflow-profile", str(checkout / "profiles" / "default"), "--configfile", str(folder / "mine.yaml"), *arguments]
    return subprocess.run(
        command, env={**os.environ, "PATH": path, "PYTHONPATH": python_path, **environment}, capture_output=True, text=True, check=False
    )


def measure_rejected(checkout, folder):
    """Measure the CPU time (s) of each rule for each rejected video."""
    (folder / "sitecustomize.py").write_text(RECORDER, encoding="utf-8")
    (folder / "mine.yaml").write_text(CONFIG, encoding="utf-8")
    write_video(folder / "tiny.mp4", 160, 120)
    write_video(folder / "no_hands.mp4", 640, 480)
    times = {}
    for name in REJECTED:
        (folder / "videos.tsv").write_text(f"subject\tvideo\tsource\nown\t{name}\t{name}.mp4\n", encoding="utf-8")
        record = folder / f"{name}.times"
        record.touch()
        done = snakemake(checkout, folder, "--cores", "1", "all", "overlays", PYTHONPATH=str(folder), HANDROLL_OVERHEAD=str(record))
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        times[name] = defaultdict(float)
        for line in record.read_text(encoding="utf-8").splitlines():
            process, seconds = line.split("\t")
            if rule := re.search(r"tmp[^/.]*\.(\w+)\.py$", process):
                times[name][rule[1]] += float(seconds)
    return times


def print_rejected(times):
    """Print a table with a row per rule and a column per video, and the sums of the overhead."""
    collectors = {"split_videos", "write_shards", "describe_dataset", "summarise_screening", "summarise_acquire", "draw_gallery"}
    print(f"{'rule':24}" + "".join(f"{name:>12}" for name in times))
    for rule in dict.fromkeys(rule for of_rule in times.values() for rule in of_rule):
        print(f"{rule:24}" + "".join(f"{of_rule.get(rule, 0.0):12.2f}" for of_rule in times.values()))
    for name, of_rule in times.items():
        below = sum(seconds for rule, seconds in of_rule.items() if rule not in collectors and rule not in BEFORE[name])
        print(f"{name}, rejected by {REJECTED[name]}: {below:.2f} s of CPU time in later rules of the video")


def plan(checkout, folder, count):
    """Print time and memory of a dry run for a sheet of `count` videos."""
    rows = [f"channel{k % 14:02d}\tvideo{k:05d}\thttps://example.org/{k}.mp4" for k in range(count)]
    (folder / "videos.tsv").write_text("subject\tvideo\tsource\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (folder / "mine.yaml").write_text(CONFIG, encoding="utf-8")
    start = time.monotonic()
    done = snakemake(checkout, folder, "--dry-run", "--quiet")
    wall_s, used = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    cpu_s, peak_gib = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
    print(f"dry run over {count} videos: {wall_s:.0f} s ({cpu_s:.0f} s of CPU time), {peak_gib:.2f} GiB")


def main():
    """Measure a checkout of handroll, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkout", type=Path, default=ROOT, help="checkout to measure (default: this one)")
    parser.add_argument("--plan", type=int, metavar="N", help="plan N videos instead of running rejected ones")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.plan:
            plan(options.checkout.resolve(), Path(folder), options.plan)
        else:
            print_rejected(measure_rejected(options.checkout.resolve(), Path(folder)))


if __name__ == "__main__":
    main()
