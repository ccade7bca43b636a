"""Motions by every method of a benchmark, for its windows: the truth and other baselines, and the models."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from handroll.generation.motion_file import GENERATED
from handroll.models.baselines import mean_motion, nearest_motion
from handroll.training_data.feature_cache import feature_manifest
from handroll.training_data.loader import Clips, cut_windows
from handroll.training_data.windows import RELEASED_SCALES, Scales

BATCH = 16
"""Windows that a model is given at a time."""


def generate(method, source, windows_path, models, seed=0, samples=1, device="cpu"):
    """Motions for the windows of a benchmark.

    Parameters
    ----------
    method : dict
        `kind`, one of `KINDS`; of models also `sampler` and `steps`.
    source : dataset.loader.Source
        With the features that the method hears.
    windows_path : path of windows.json
    models : list of paths
        The method's checkpoints.
    seed : int
        Of the noise.
    samples : int
        Motions for each window; methods without noise give one.
    device : str

    Returns
    -------
    columns : dict of str to array
        `generation.motion_file.GENERATED`.
    facts : dict
        What it cost: parameters, training_s, sampling_ms (a window), as far as they apply; and features, decoder, sampler, steps.
    """
    chosen = json.loads(Path(windows_path).read_text(encoding="utf-8"))
    clips = Clips(source, chosen["split"])
    number_of = {name: number for number, name in enumerate(clips.names)}
    places = [(number_of[tuple(name)], first) for *name, first in chosen["windows"][chosen["split"]]]
    return KINDS[method["kind"]](method, clips, chosen, places, models, {"seed": seed, "samples": samples, "device": device})


def _truth(method, clips, chosen, places, models, run):
    return _columns(clips, places, *_motion(clips, places, chosen["frames"])), {}


def _other_half(method, clips, chosen, places, models, run):
    """The truth of the second half of the windows, for those of the first."""
    half = len(places) // 2
    if not half:
        raise ValueError("other half of the truth: expected at least 2 windows, found 1; score on more clips")
    return _columns(clips, places[:half], *_motion(clips, places[-half:], chosen["frames"])), {}


def _mean_pose(method, clips, chosen, places, models, run):
    scales = Scales.from_dict(chosen["scales"])
    return _columns(clips, places, *(part[:, None] for part in mean_motion(scales, len(places), chosen["frames"]))), {}


def _nearest(method, clips, chosen, places, models, run):
    asked = np.concatenate([batch["features"] for batch in _batches(clips, places, chosen["frames"])])
    place, pose, _ = nearest_motion(Clips(clips.source, "train"), asked, chosen["frames"])
    return _columns(clips, places, place[:, None], pose[:, None]), {"features": method["features"]}


def _two_stage(method, clips, chosen, places, models, run):
    from handroll.models.checkpoint import check_features
    from handroll.models.two_stage import load_two_stage

    model, about = load_two_stage(*models[:2], run["device"])
    check_features(models[1], about, feature_manifest(clips.source.features))
    told = [json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8")) for path in models[:2]]
    facts = {"features": about["features"], "decoder": method["decoder"], "training_s": sum(part["seconds"] for part in told)}
    return _sampled(model, lambda batch: batch["features"], method, clips, chosen, places, run, facts)


def _released(method, clips, chosen, places, models, run):
    """PianoMotion10M's released weights; each clip's sound by itself and one mask at any batch size, unlike its released code."""
    import torch

    from handroll.models.released import load_gesture
    from handroll.models.speech_encoder import RATE_HZ
    from handroll.models.two_stage import TwoStage

    released = load_gesture(models[0])
    speech = released.position.speech.to(run["device"])
    model = TwoStage(released.position.predictor, released.unet, RELEASED_SCALES, chosen["frames"], run["device"])

    @torch.inference_mode()
    def hear(batch):
        return speech(torch.from_numpy(batch["audio"]).to(run["device"]), chosen["frames"]).cpu().numpy()

    network = speech.network.config
    facts = {"features": f"{network.model_type} {network.hidden_size}", "decoder": released.unet.settings.decoder}
    heard = Clips(replace(clips.source, audio_rate_hz=RATE_HZ, features=None), chosen["split"])
    return _sampled(model, hear, method, heard, chosen, places, run, facts)


def _sampled(model, hear, method, clips, chosen, places, run, facts):
    """Motions of a model: its places and poses of every window, over all samples, and how long they took."""
    made, spent = [], 0.0
    for first, batch in zip(range(0, len(places), BATCH), _batches(clips, places, chosen["frames"]), strict=True):
        heard = hear(batch)
        motions = []
        for number in range(run["samples"]):
            # Of a window's own number: what else is scored does not change its noise.
            seeds = [(run["seed"] * 1_000_003 + window) * 1009 + number for window in range(first, first + len(heard))]
            started = time.perf_counter()
            motions.append(model.generate(heard, method["sampler"], method["steps"], seeds))
            spent += time.perf_counter() - started
        made.append([np.stack(part, axis=1) for part in zip(*motions, strict=True)])
    place, pose = (np.concatenate(part) for part in zip(*made, strict=True))
    facts |= {"sampler": method["sampler"], "steps": method["steps"], "parameters": model.parameters}
    facts["sampling_ms"] = round(1e3 * spent / (len(places) * run["samples"]), 3)
    return _columns(clips, places, place, pose), facts


def _batches(clips, places, frames):
    for first in range(0, len(places), BATCH):
        yield cut_windows(clips, places[first : first + BATCH], frames)


def _motion(clips, places, frames):
    """True motions as one sample each: place (window, 1, frame, 6), pose (window, 1, frame, 96)."""
    batch = cut_windows(clips, places, frames)
    return batch["place"][:, None], batch["pose"][:, None]


def _columns(clips, places, place, pose):
    """Motions (window, sample, frame, channel) as rows of `GENERATED`."""
    windows, samples = place.shape[:2]
    names = [clips.names[number] for number, _ in places]
    columns = {
        name: np.repeat(np.array([entry[k] for entry in names], dtype=object), samples) for k, name in enumerate(("subject", "video"))
    }
    columns["clip"] = np.repeat([entry[2] for entry in names], samples)
    columns["first_frame"] = np.repeat([first for _, first in places], samples)
    columns["sample"] = np.tile(np.arange(samples), windows)
    columns |= {"place": list(place.reshape(-1, *place.shape[2:])), "pose": list(pose.reshape(-1, *pose.shape[2:]))}
    return {name: columns[name] for name in (column.name for column in GENERATED.columns)}


KINDS = {
    "ground_truth": _truth,
    "other_half": _other_half,
    "mean_pose": _mean_pose,
    "nearest": _nearest,
    "two_stage": _two_stage,
    "released": _released,
}
"""Methods: the truth; the truth of other windows; the mean; the training motion that sounds most alike; trained models; released ones."""
