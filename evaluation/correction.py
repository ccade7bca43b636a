"""Train MAPnet and its comparison methods on simulated motion, and compare their errors (Tables 2 to 5 of the paper, for hands).

    python evaluation/correction.py --minutes 60 --steps 2000 --every 1 2 3 --rows all
    python evaluation/correction.py --minutes 360 --steps 20000 --size paper --rows all --device cuda

Each row has the same number of steps, with the same windows and the same noise: that of the paper and the measured errors of handroll, in
turn. The frame rate ratio tau is 1 / `--every`. A table for each noise contains MPJPE with its 95 % interval over clips, MPJAE, and the
MPJPE of fine and gross movements, of inversions and of gaps, all in mm. The last columns are the seconds of training and the parameters in
millions. The size "small" has 64 channels and 3 + 1 layers.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from handroll.evaluation.correction import score_methods, untrained_methods
from handroll.models.audio_features import feature_encoder
from handroll.models.checkpoint import load_checkpoint
from handroll.models.mapnet import FUSIONS
from handroll.simulator.corpus import Recipe, write_corpus
from handroll.storage import write_json
from handroll.training.correction import train_correction
from handroll.training_data.feature_cache import write_features, write_motion
from handroll.training_data.loader import Clips, Source
from handroll.training_data.motion_noise import MEASURED, PAPER
from handroll.training_data.windows import evaluation_windows, measure_scales, subsample, window_ids

WINDOW_S = 3.0

NOISE = {"noise of the paper": PAPER, "measured noise": MEASURED}

# Layers of the pose and music transformers, and of the fusion transformer, by size and fusion.
LAYERS = {"paper": FUSIONS, "small": {"early": (1, 3), "balanced": (2, 2), "late": (3, 1)}}

# Other settings of the transformers and of the LSTM, by size.
TRANSFORMER = {"paper": {}, "small": {"width": 64, "heads": 4, "feedforward": 128, "dropout": 0.0}}
LSTM = {"paper": {}, "small": {"width": 64, "layers": 1}}

LEARNING_RATE = {"paper": 2e-4, "small": 1e-3}


def rows(size):
    """Return kind and settings of each trained row by name."""
    fused = {name: {**TRANSFORMER[size], "layers": layers, "fusion_layers": fusion} for name, (layers, fusion) in LAYERS[size].items()}
    return {
        "LSTM, pose": ("lstm", {**LSTM[size], "music": False}),
        "LSTM, pose and music": ("lstm", LSTM[size]),
        "transformer, pose": ("mapnet", {**fused["late"], "music": False}),
        "MAPnet": ("mapnet", fused["late"]),
        "MAPnet, not rebalanced": ("mapnet", {**fused["late"], "rebalanced": False}),
        "MAPnet, balanced fusion": ("mapnet", fused["balanced"]),
        "MAPnet, early fusion": ("mapnet", fused["early"]),
    }


def prepare(folder, options):
    """Simulate the data and write features and windows. Return the source, the path of training.json, and the number of frames."""
    recipe = Recipe(options.seed, take_s=30.0, fps=options.rate, length_s=15.0, hop_s=15.0, audio_rate_hz=16000)
    write_corpus(folder / "shards", options.minutes / 60.0, recipe, jobs=options.jobs)
    encoder = feature_encoder(options.features, options.rate)
    about = {"features": options.features, "encoder": encoder.version}
    write_features(folder / "shards", folder / "features", encoder.encode, encoder.columns, about, encoder.dtype)
    write_motion(folder / "shards", folder / "motion", "keyboard", options.rate)
    source = Source(folder / "shards", "keyboard", options.rate, folder / "motion", folder / "features")
    frames, valid = round(WINDOW_S * options.rate), Clips(source, "valid")
    windows = window_ids(valid, subsample(evaluation_windows(valid, frames), 32))
    write_json(
        folder / "training.json",
        {"frames": frames, "windows": {"valid": windows}, "scales": measure_scales(Clips(source, "train")).to_dict()},
    )
    return source, folder / "training.json", frames


def main():
    """Train all rows and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="simulated music, minutes (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=2000, help="training steps of each row (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="windows in a batch (default: %(default)s; the paper: 128)")
    parser.add_argument("--every", type=int, nargs="+", default=[3], help="output frames for each input frame (default: 3)")
    parser.add_argument("--rate", type=float, default=50.0, help="frame rate of the output, Hz (default: %(default)s)")
    parser.add_argument("--features", choices=("notes", "descriptors", "logmel"), default="notes", help="music features (default: notes)")
    parser.add_argument("--size", choices=LAYERS, default="small", help="size of the networks (default: %(default)s)")
    parser.add_argument("--rows", nargs="+", default=["transformer, pose", "MAPnet"], choices=("all", *rows("small")), help="trained rows")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes of the simulation (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the training (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="device of the training (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    chosen = {name: row for name, row in rows(options.size).items() if options.rows == ["all"] or name in options.rows}
    settings = {
        "steps": options.steps,
        "batch": options.batch,
        "learning_rate": LEARNING_RATE[options.size],
        "weight_decay": 0.0,
        "schedule": "cosine",
    }
    settings |= {
        "warmup": min(100, options.steps // 4),
        "clip_norm": 1.0,
        "seed": options.seed,
        "precision": "fp32",
        "device": options.device,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, training, frames = prepare(folder, options)
        clips = Clips(source, "test")
        windows = evaluation_windows(clips, frames)
        for every in options.every:
            methods, seconds, parameters = untrained_methods(frames, every, options.rate), {}, {}
            for number, (row, (kind, model)) in enumerate(chosen.items()):
                path, began = folder / f"{every}-{number}.safetensors", time.monotonic()
                train_correction(
                    source, training, kind, {**model, "every": every}, tuple(NOISE.values()), settings, folder / path.stem, path
                )
                methods[row], seconds[row] = load_checkpoint(path, kind).network(), time.monotonic() - began
                parameters[row] = sum(value.numel() for value in methods[row].parameters())
            for title, noise in NOISE.items():
                print(f"\n{title}, tau {1 / every:.2f}, {len(windows)} windows of {len(clips)} clips")
                heads = "".join(f"{head:>8}" for head in ("MPJAE", "fine", "gross", "inv.", "gaps", "s", "M par."))
                print(f"{'':26}{'MPJPE':>8}{'95 % interval':>18}{heads}")
                for row, found in score_methods(methods, clips, windows, frames, every, noise).items():
                    whole = found["mpjpe_mm"]
                    parts = ("mpjae_mm", "fine_mpjpe_mm", "gross_mpjpe_mm", "inversion_mpjpe_mm", "gap_mpjpe_mm")
                    cells = "".join(f"{found[part].value:8.2f}" for part in parts)
                    cost = f"{seconds[row]:8.0f}{1e-6 * parameters[row]:8.2f}" if row in seconds else ""
                    print(f"{row:26}{whole.value:8.2f}{whole.low:9.2f} to {whole.high:5.2f}{cells}{cost}", flush=True)


if __name__ == "__main__":
    main()
