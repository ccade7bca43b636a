"""Compare the speed of reading training windows: from handroll's shards, and from PianoMotion10M's layout as its training code reads it.

    python evaluation/loader.py                          # half an hour of simulated takes at 44.1 kHz; takes some minutes
    python evaluation/loader.py --sound-rate 16000       # no resampling, which favours the released layout
    python evaluation/loader.py --shards results/dataset --frame camera

The result is the number of windows of 8 s per second of CPU time. The same clips are exported to PianoMotion10M's layout, with audio as
MP3. For each window, its training code parses the JSON of the whole clip, decodes the whole MP3 and resamples it to 16 kHz, cuts the
window, adds the offset of the clip, and interpolates motion that is not at 30 Hz. handroll reads batches of `Windows`: cached motion with
cached features (notes or log-mel spectrograms), or cached motion with audio at 16 kHz. Cases:

- first pass: three windows of each clip, including opening the folder; each clip is decoded once.
- streaming: a later pass, if a quarter of the clips fits in memory; each clip is decoded again.
- in memory: a later pass, if all clips are in memory.

Everything runs in one process on one core. Files are in the cache of the operating system, so disks have no influence. The time for caching
motion and features is not included, because this is done only once. Finger rotations from both sources are compared.
"""

import argparse
import json
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import torch
from torch.nn import functional

from handroll.exchange.pianomotion10m_export import export_tree
from handroll.models.audio_features import feature_encoder
from handroll.simulator.corpus import Recipe, write_corpus
from handroll.training_data.feature_cache import write_features, write_motion
from handroll.training_data.loader import Clips, Source, Windows
from handroll.training_data.model_frame import FRAMES

# Length of a window (s), frame rate of the motion (Hz), and sampling rate of the audio (Hz).
WINDOW_S, RATE_HZ, AUDIO_HZ = 8, 30, 16000

# Number of windows in a batch.
BATCH = 16

# Order of the hands in models.
HANDS = "right", "left"


def released_clip(tree, name):
    """Read the annotation and the audio (sample,) of a whole clip from PianoMotion10M's layout."""
    subject, video, clip = name
    stem = f"{subject}/{video}/{video}_seq_{clip:04d}"
    annotation = json.loads((tree / "annotation" / f"{stem}.json").read_text(encoding="utf-8"))
    return annotation, librosa.load(tree / "audio" / f"{stem}.mp3", sr=AUDIO_HZ)[0]


def released_window(tree, name):
    """Read a random window of a clip from PianoMotion10M's layout: audio (sample,), and values (frame, 52) of each hand."""
    annotation, audio = released_clip(tree, name)
    fps, frames = annotation["fps"], len(annotation["left"])
    window = WINDOW_S * fps
    begin = random.randint(0, min(frames, int(len(audio) / AUDIO_HZ * fps)) - window)
    first = -(-len(audio) * begin // frames)
    item = {"audio": audio[first : first + WINDOW_S * AUDIO_HZ]}
    for hand in HANDS:
        rows = np.array(annotation[hand][begin : begin + window], dtype=np.float32)[:, :52]
        rows[:, 2:4] += np.array(annotation["adjust"][1:3], dtype=np.float32)
        if fps != RATE_HZ:
            rows = functional.interpolate(torch.from_numpy(rows.T)[None], WINDOW_S * RATE_HZ, mode="linear")[0].T.numpy()
        item[hand] = rows
    return item


def rate(windows, job):
    """Run a job that reads a number of windows. Return windows per second of CPU time."""
    started = time.process_time()
    job()
    return windows / (time.process_time() - started)


def shard_rates(source):
    """Measure the windows per second of the three cases, by name of the case."""

    def batches(keep):
        return Windows(Clips(source, "train", keep), WINDOW_S * RATE_HZ, BATCH, 0, keep)

    def read(windows, epoch):
        steps = windows.epoch_windows // BATCH
        for step in range(epoch * steps, (epoch + 1) * steps):
            windows[step]

    in_memory = batches(10**9)
    count = in_memory.epoch_windows // BATCH * BATCH
    streaming = batches(len(in_memory.clips) // 4)
    read(streaming, 0)
    rates = {"first pass": rate(count, lambda: read(batches(10**9), 0)), "streaming": rate(count, lambda: read(streaming, 1))}
    read(in_memory, 0)
    return rates | {"in memory": rate(count, lambda: read(in_memory, 1))}


def finger_difference_rad(tree, source):
    """Compute the maximum difference of the finger rotations from both sources, over visible frames of the first clip."""
    annotation, _ = released_clip(tree, Clips(source, "train").names[0])
    clip = Clips(replace(source, rate_hz=annotation["fps"], motion=None), "train")[0]
    released = np.stack([np.array(annotation[hand]) for hand in HANDS], axis=1)
    difference = clip.pose.reshape(-1, 2, 48)[..., 3:] - released[..., 7:52]
    return np.abs(difference[clip.visible]).max()


def folder_mb(folder):
    """Return the size of a folder in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main():
    """Make the data, measure, and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, help="dataset with audio (default: synthetic takes)")
    parser.add_argument("--frame", choices=FRAMES, default="keyboard", help="coordinate frame of shards (default: %(default)s)")
    parser.add_argument("--hours", type=float, default=0.5, help="duration of synthetic takes (default: %(default)s)")
    parser.add_argument("--fps", type=float, default=30.0, help="frame rate of synthetic takes (default: %(default)s)")
    parser.add_argument("--sound-rate", type=int, default=44100, help="audio rate of simulated takes, Hz (default: %(default)s)")
    parser.add_argument(
        "--windows", type=int, default=32, help="windows that are read from PianoMotion10M's layout per round (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds; medians are printed (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        shards, tree = options.shards or folder / "shards", folder / "released"
        if not options.shards:
            write_corpus(shards, options.hours, Recipe(0, fps=options.fps, audio_rate_hz=options.sound_rate), {"train": 1.0})
        export_tree(shards, tree)
        cached = Source(shards, options.frame, RATE_HZ, motion=folder / "motion")
        write_motion(shards, cached.motion, cached.frame, cached.rate_hz)
        sources = {"audio": replace(cached, audio_rate_hz=AUDIO_HZ)}
        for features in ("notes", "logmel"):
            encoder = feature_encoder(features, RATE_HZ)
            write_features(shards, folder / features, encoder.encode, encoder.columns, {})
            sources[features] = replace(cached, features=folder / features)
        names = Clips(sources["audio"], "train").names
        print(
            f"{len(names)} clips; MB: "
            + ", ".join(f"{part.name} {folder_mb(part):.1f}" for part in (tree, shards, cached.motion, *folder.glob("[nl]*")))
        )
        print(f"finger rotations differ by at most {finger_difference_rad(tree, sources['audio']):.2g} rad")
        random.seed(0)
        # The first window is not measured, because it includes the time of initialisation.
        released_window(tree, names[0])
        released, found = [], {features: [] for features in sources}
        for _ in range(options.rounds):
            chosen = random.choices(names, k=options.windows)
            released.append(rate(len(chosen), lambda chosen=chosen: [released_window(tree, name) for name in chosen]))
            for features, source in sources.items():
                found[features].append(shard_rates(source))
        base = np.median(released)
        print(
            f"\n{'windows/s':16}{'first pass':>18}{'streaming':>18}{'in memory':>18}\n{'released layout':16}" + f"{base:>10.1f}{'':8}" * 3
        )
        for features, rounds in found.items():
            medians = [np.median([rates[name] for rates in rounds]) for name in ("first pass", "streaming", "in memory")]
            print(f"{features:16}" + "".join(f"{median:>10.0f}{median / base:>6.0f} x" for median in medians))


if __name__ == "__main__":
    main()
