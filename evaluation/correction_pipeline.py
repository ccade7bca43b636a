"""Measure whether the correction of motion (`motion.correction`) helps on simulated performances; train its model if there is none.

    python evaluation/correction_pipeline.py --checkpoint mapnet.safetensors
    python evaluation/correction_pipeline.py FOLDER ... --checkpoint mapnet.safetensors

Each folder is a project in which the target `evaluation` has run, with other seeds than those of the noise (5101 to 5106). The script
compares the cleaned motion with the corrected motion: errors of the fingertips in observed frames, in fast passages, during fast movements
and elsewhere, and in gaps of 10 to 60 frames that are made by removing detections. Intervals are over performances. The first command only
trains. The model is trained on simulated music, to whose true motion the errors of handroll's own motion are added.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from handroll.evaluation.video_correction import NAMES, PARTS, compare, read_videos
from handroll.generation.feature_encoders import encoder_of
from handroll.generation.video_correction import FEATURES
from handroll.metrics.bootstrap import mean_over_clips
from handroll.models.checkpoint import load_checkpoint
from handroll.models.correction import MAPNETS
from handroll.simulator.corpus import Recipe, write_corpus
from handroll.storage import write_json
from handroll.training.correction import train_correction
from handroll.training_data.feature_cache import write_features, write_motion
from handroll.training_data.loader import Clips, Source
from handroll.training_data.motion_noise import MEASURED_BY_AXIS
from handroll.training_data.windows import evaluation_windows, measure_scales, subsample, window_ids

RATE_HZ = 30.0

WINDOW_S = 4.0

MUSIC_SEED = 901
"""Random seed of the simulated music."""

AUDIO = ("logmel", "descriptors")

NOISE = replace(MEASURED_BY_AXIS, gaps_per_min=12.0, gap_s=(0.0333, 0.1, 0.5, 1.1, 2.2))
"""Errors of the training: as measured, but with longer gaps, because the measured ones are those of hands that leave the frame."""

MODEL = {"every": 1, "steps": 120, "width": 64, "layers": 3, "fusion_layers": 1, "heads": 4, "feedforward": 128, "dropout": 0.0}


def train(path, options):
    """Simulate music and motion, and train a MAPnet. Write its checkpoint to `path`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = Recipe(
            MUSIC_SEED, take_s=40.0, fps=RATE_HZ, length_s=20.0, hop_s=20.0, audio_rate_hz=16000 if options.features in AUDIO else None
        )
        write_corpus(folder / "shards", options.minutes / 60.0, recipe)
        encoder = encoder_of(options.features, RATE_HZ)
        about = {"features": options.features, "encoder": encoder.version}
        write_features(folder / "shards", folder / "features", encoder.encode, encoder.columns, about, encoder.dtype)
        write_motion(folder / "shards", folder / "motion", "keyboard", RATE_HZ)
        source = Source(folder / "shards", "keyboard", RATE_HZ, folder / "motion", folder / "features")
        frames, valid = round(WINDOW_S * RATE_HZ), Clips(source, "valid")
        windows = {"valid": window_ids(valid, subsample(evaluation_windows(valid, frames), 64))}
        scales = measure_scales(Clips(source, "train")).to_dict()
        write_json(folder / "training.json", {"frames": frames, "windows": windows, "scales": scales})
        settings = {"steps": options.steps, "batch": options.batch, "learning_rate": 1.5e-3, "weight_decay": 0.0, "schedule": "cosine"}
        settings |= {"warmup": min(100, options.steps // 4), "clip_norm": 1.0, "seed": options.seed, "precision": "fp32", "device": "cpu"}
        kind = "planned_mapnet" if options.features == "planned" else "mapnet"
        train_correction(source, folder / "training.json", kind, MODEL, (NOISE,), settings, folder / "state", path)


def main():
    """Train the model if there is none, and print the errors before and after the correction."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", help="project folders with the results of the target `evaluation`")
    parser.add_argument("--checkpoint", default="mapnet.safetensors", help="model; trained if there is no such file (default: %(default)s)")
    parser.add_argument("--features", choices=FEATURES, default="planned", help="music features of the training (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=24.0, help="simulated music of the training, minutes (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=800, help="training steps (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=12, help="windows in a batch (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the training and of the gaps (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = Path(options.checkpoint)
    if not path.is_file():
        train(path, options)
        history = load_checkpoint(path, *MAPNETS).about["history"][-1]
        print(f"trained {path}: validation error {history['error']:.2f} mm, of the input {history['error_of_input']:.2f} mm")
    rng = np.random.default_rng(options.seed)
    found = [compare(video, path, rng) for folder in options.folders for video in read_videos(folder)]
    for part in PARTS if found else ():
        before, after = ([one[name]["errors"][part] for one in found] for name in NAMES)
        means = [mean_over_clips([errors.mean() if len(errors) else np.nan for errors in motion]) for motion in (before, after)]
        change = np.concatenate(after).mean() / np.concatenate(before).mean() - 1.0
        cells = "".join(f"{mean.value:8.2f}{mean.low:8.2f} to {mean.high:5.2f}" for mean in means)
        print(f"{part:20}{cells}{100.0 * change:+8.1f} %{sum(map(len, before)):8d}")
    for score in ("key_press_f1", "key_press_f1_with_gaps") if found else ():
        before, after = (mean_over_clips([one[name][score] for one in found]) for name in NAMES)
        print(f"{score:30}{before.value:8.3f}{after.value:8.3f}")


if __name__ == "__main__":
    main()
