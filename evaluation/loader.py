"""Windows of 8 s a second: from shards by `training_data.loader`, and from PianoMotion10M's released layout as its training reads it.

    python evaluation/loader.py                          # half an hour of synthetic takes at 44.1 kHz, some minutes
    python evaluation/loader.py --sound-rate 16000       # nothing to resample, which is in favour of the released layout
    python evaluation/loader.py --shards results/dataset --frame camera

The same clips are exported to the released layout, sound as MP3. For each window its training parses the whole clip's JSON,
decodes the whole MP3 and resamples it to 16 kHz, cuts, adds the clip's offset, and interpolates what is not at 30 Hz. Ours are batches of
`Windows`: motion as `prepare_training` keeps it, with stored features of the notes or the spectrogram, or with the sound at 16 kHz.

- first pass: three windows of each clip, from opening the folder on; each clip is decoded once.
- streaming: a later pass, when memory holds a quarter of the clips; each is decoded anew.
- in memory: a later pass, when it holds all.

In turn, in one process, by its processor time: one core. Files are in the system's cache, so disks have no say. Keeping motion and features
is not counted: it happens once. Fingers' rotations of both sides are compared.
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

WINDOW_S, RATE_HZ, SOUND_HZ = 8, 30, 16000
BATCH = 16
HANDS = "right", "left"


def released_clip(tree, name):
    """Annotation and sound (sample,) of a clip of the released layout, whole."""
    subject, video, clip = name
    stem = f"{subject}/{video}/{video}_seq_{clip:04d}"
    annotation = json.loads((tree / "annotation" / f"{stem}.json").read_text(encoding="utf-8"))
    return annotation, librosa.load(tree / "audio" / f"{stem}.mp3", sr=SOUND_HZ)[0]


def released_window(tree, name):
    """A random window: sound (sample,), and rows (frame, 52) of each hand."""
    annotation, sound = released_clip(tree, name)
    fps, frames = annotation["fps"], len(annotation["left"])
    window = WINDOW_S * fps
    begin = random.randint(0, min(frames, int(len(sound) / SOUND_HZ * fps)) - window)
    first = -(-len(sound) * begin // frames)
    item = {"audio": sound[first : first + WINDOW_S * SOUND_HZ]}
    for hand in HANDS:
        rows = np.array(annotation[hand][begin : begin + window], dtype=np.float32)[:, :52]
        rows[:, 2:4] += np.array(annotation["adjust"][1:3], dtype=np.float32)
        if fps != RATE_HZ:
            rows = functional.interpolate(torch.from_numpy(rows.T)[None], WINDOW_S * RATE_HZ, mode="linear")[0].T.numpy()
        item[hand] = rows
    return item


def rate(windows, job):
    """Windows a second of processor time."""
    started = time.process_time()
    job()
    return windows / (time.process_time() - started)


def ours(source):
    """Windows a second of the three ways, by name."""

    def dealt(keep):
        return Windows(Clips(source, "train", keep), WINDOW_S * RATE_HZ, BATCH, 0, keep)

    def read(windows, epoch):
        steps = windows.epoch_windows // BATCH
        for step in range(epoch * steps, (epoch + 1) * steps):
            windows[step]

    every = dealt(10**9)
    count = every.epoch_windows // BATCH * BATCH
    few = dealt(len(every.clips) // 4)
    read(few, 0)
    rates = {"first pass": rate(count, lambda: read(dealt(10**9), 0)), "streaming": rate(count, lambda: read(few, 1))}
    read(every, 0)
    return rates | {"in memory": rate(count, lambda: read(every, 1))}


def fingers_differ(tree, source):
    """Greatest difference (rad) of the fingers' rotations in visible frames of the first clip, at its own rate."""
    annotation, _ = released_clip(tree, Clips(source, "train").names[0])
    clip = Clips(replace(source, rate_hz=annotation["fps"], motion=None), "train")[0]
    released = np.stack([np.array(annotation[hand]) for hand in HANDS], axis=1)
    difference = clip.pose.reshape(-1, 2, 48)[..., 3:] - released[..., 7:52]
    return np.abs(difference[clip.visible]).max()


def folder_mb(folder):
    """Size of what is in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main():
    """Make the data, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, help="a dataset to read, with sound (default: synthetic takes)")
    parser.add_argument("--frame", choices=FRAMES, default="keyboard", help="in which ours are (default: %(default)s)")
    parser.add_argument("--hours", type=float, default=0.5, help="of synthetic takes (default: %(default)s)")
    parser.add_argument("--fps", type=float, default=30.0, help="of synthetic takes (default: %(default)s)")
    parser.add_argument("--sound-rate", type=int, default=44100, help="of synthetic takes, Hz; videos have 44.1 or 48 kHz (default: 44100)")
    parser.add_argument("--windows", type=int, default=32, help="of the released layout, a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="medians are told (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        shards, tree = options.shards or folder / "shards", folder / "released"
        if not options.shards:
            write_corpus(shards, options.hours, Recipe(0, fps=options.fps, audio_rate_hz=options.sound_rate), {"train": 1.0})
        export_tree(shards, tree)
        seen = Source(shards, options.frame, RATE_HZ, motion=folder / "seen")
        write_motion(shards, seen.motion, seen.frame, seen.rate_hz)
        sources = {"sound": replace(seen, audio_rate_hz=SOUND_HZ)}
        for features in ("notes", "logmel"):
            encoder = feature_encoder(features, RATE_HZ)
            write_features(shards, folder / features, encoder.encode, encoder.columns, {})
            sources[features] = replace(seen, features=folder / features)
        names = Clips(sources["sound"], "train").names
        print(
            f"{len(names)} clips; MB: "
            + ", ".join(f"{part.name} {folder_mb(part):.1f}" for part in (tree, shards, seen.motion, *folder.glob("[nl]*")))
        )
        print(f"fingers' rotations differ by at most {fingers_differ(tree, sources['sound']):.2g} rad")
        random.seed(0)
        # What is loaded or compiled at the first call is, before the clock runs.
        released_window(tree, names[0])
        released, found = [], {features: [] for features in sources}
        for _ in range(options.rounds):
            chosen = random.choices(names, k=options.windows)
            released.append(rate(len(chosen), lambda chosen=chosen: [released_window(tree, name) for name in chosen]))
            for features, source in sources.items():
                found[features].append(ours(source))
        base = np.median(released)
        print(
            f"\n{'windows/s':16}{'first pass':>18}{'streaming':>18}{'in memory':>18}\n{'released layout':16}" + f"{base:>10.1f}{'':8}" * 3
        )
        for features, rounds in found.items():
            medians = [np.median([rates[way] for rates in rounds]) for way in ("first pass", "streaming", "in memory")]
            print(f"{features:16}" + "".join(f"{median:>10.0f}{median / base:>6.0f} x" for median in medians))


if __name__ == "__main__":
    main()
