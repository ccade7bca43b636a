"""Generate the motions of a method for the windows of a benchmark. The method is a trained model or a reference, such as the ground
truth."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from handroll.generation.channels import to_channels, to_performance
from handroll.generation.feature_encoders import clip_notes
from handroll.generation.fingering import DEFAULT_COSTS, finger_notes
from handroll.generation.fingering_costs_file import read_costs
from handroll.generation.hand_assignment import assign_hands
from handroll.generation.labelled_notes import COLUMNS
from handroll.generation.motion_file import GENERATED
from handroll.generation.planned import plan_performance
from handroll.models.baselines import mean_motion, nearest_motion
from handroll.models.feature_names import input_of
from handroll.models.methods import MODELS, is_sampled, load_model
from handroll.storage import read_table
from handroll.training_data.feature_cache import feature_manifest
from handroll.training_data.loader import Clips, cut_windows
from handroll.training_data.windows import RELEASED_SCALES, Scales

BATCH = 16
"""Number of windows in a batch of a model."""

DEFAULT_COSTS_OF_HANDS = (DEFAULT_COSTS, DEFAULT_COSTS)
"""Costs of the fingering without learning; left and right hand."""

CLIP_COLUMNS = ("split", "audio_delay_s", *COLUMNS)
"""Columns of `tables.SHARD` for the notes of a clip."""

# Time before the start and after the end of a window within which its notes are played.
_MARGIN_S = 0.3


def generate(method, source, windows_path, models, seed=0, samples=1, device="cpu"):
    """Generate the motions of a method for the windows of a benchmark.

    Parameters
    ----------
    method : dict
        Description of the method (`models.methods.comparison_methods`): `kind`, one of `KINDS`; for models also `sampler` and `steps`.
    source : training_data.loader.Source
        Dataset, with the features that the method needs.
    windows_path : path of windows.json
        Windows, their length, and scales.
    models : list of paths
        What the method needs: checkpoints, then their training logs, of a trained model; the motions to correct, their report and, if the
        fingering is learned, its costs; the costs of planned motion; the released checkpoint. Empty for reference methods.
    seed : int
        Random seed of the noise.
    samples : int
        Number of motions per window. Methods without noise generate one.
    device : str
        Device on which models run.

    Returns
    -------
    columns : dict of str to array
        Columns of `generation.motion_file.GENERATED`.
    facts : dict
        Costs and description of the method: parameters, training_s, sampling_ms (per window), input (`notes` or `audio`), features,
        decoder, sampler, steps, variant, ablation; of corrected motion also contacts_s_per_min, missed_notes and notes. Entries that do not
        apply to the kind of method are missing.
    """
    chosen = json.loads(Path(windows_path).read_text(encoding="utf-8"))
    clips = Clips(source, chosen["split"])
    number_of = {name: number for number, name in enumerate(clips.names)}
    windows = [(number_of[tuple(name)], first) for *name, first in chosen["windows"][chosen["split"]]]
    columns, facts = KINDS[method["kind"]](method, clips, chosen, windows, models, {"seed": seed, "samples": samples, "device": device})
    if "features" in facts:
        facts = {"input": input_of(facts["features"])} | facts
    return columns, facts | {name: method[name] for name in ("variant", "ablation") if name in method}


def _ground_truth(method, clips, chosen, windows, models, run):
    """Return the ground truth of each window."""
    return _columns(clips, windows, *_true_motion(clips, windows, chosen["frames"])), {}


def _other_half(method, clips, chosen, windows, models, run):
    """Use the ground truth of windows in the second half as motions of the windows in the first half."""
    half = len(windows) // 2
    if not half:
        raise ValueError("method other_half: expected at least 2 windows, found 1; use more clips")
    return _columns(clips, windows[:half], *_true_motion(clips, windows[-half:], chosen["frames"])), {}


def _mean_pose(method, clips, chosen, windows, models, run):
    """Return the mean of the training motion for each window."""
    scales = Scales.from_dict(chosen["scales"])
    return _columns(clips, windows, *(part[:, None] for part in mean_motion(scales, len(windows), chosen["frames"]))), {}


def _nearest(method, clips, chosen, windows, models, run):
    """Return the training motion with the most similar features for each window."""
    features = np.concatenate([batch["features"] for batch in _batches(clips, windows, chosen["frames"])])
    position, pose, _ = nearest_motion(Clips(clips.source, "train"), features, chosen["frames"])
    return _columns(clips, windows, position[:, None], pose[:, None]), {"features": method["features"]}


def _trained(method, clips, chosen, windows, models, run):
    """Generate motions with a trained model."""
    from handroll.models.checkpoint import check_features

    paths = models[: len(MODELS[method["model"]].stages)]
    model, about = load_model(method["model"], paths, run["device"])
    check_features(paths[-1], about, feature_manifest(clips.source.features))
    logs = [json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8")) for path in paths]
    facts = {"features": about["features"], "training_s": sum(log["seconds"] for log in logs)}
    facts |= {"decoder": method["decoder"]} if "decoder" in method else {}
    if is_sampled(method):
        return _sample(model, lambda batch: batch["features"], method, clips, chosen, windows, run, facts)
    made, spent = [], 0.0
    for batch in _batches(clips, windows, chosen["frames"]):
        started = time.perf_counter()
        made.append(model.generate(batch["features"]))
        spent += time.perf_counter() - started
    position, pose = (np.concatenate(part)[:, None] for part in zip(*made, strict=True))
    facts |= {"parameters": model.parameters, "sampling_ms": round(1e3 * spent / len(windows), 3)}
    return _columns(clips, windows, position, pose), facts


def _released(method, clips, chosen, windows, models, run):
    """Generate motions with PianoMotion10M's released weights.

    Unlike in the released code, the audio of each clip is normalised separately, and self-attention does not depend on the batch size.
    """
    import torch

    from handroll.models.released import load_gesture
    from handroll.models.speech_encoder import RATE_HZ
    from handroll.models.two_stage import TwoStage

    released = load_gesture(models[0])
    speech = released.position.speech.to(run["device"])
    model = TwoStage(released.position.predictor, released.unet, RELEASED_SCALES, chosen["frames"], run["device"])

    @torch.inference_mode()
    def encode(batch):
        return speech(torch.from_numpy(batch["audio"]).to(run["device"]), chosen["frames"]).cpu().numpy()

    network = speech.network.config
    facts = {"features": f"{network.model_type} {network.hidden_size}", "decoder": released.unet.settings.decoder}
    with_audio = Clips(replace(clips.source, audio_rate_hz=RATE_HZ, features=None), chosen["split"])
    return _sample(model, encode, method, with_audio, chosen, windows, run, facts)


def _planned(method, clips, chosen, windows, models, run):
    """Plan the motion of whole clips from their notes, with default costs of the fingering or with learned ones."""
    costs = read_costs(models[0]) if models else DEFAULT_COSTS_OF_HANDS
    motion_of, rate_hz = {}, clips.source.rate_hz
    for number in dict.fromkeys(number for number, _ in windows):
        clip = clip_notes(clips.rows(number, CLIP_COLUMNS))
        duration_s = int(clips.frames[number]) / rate_hz
        plan = plan_performance(clip.notes, clip.pedal, duration_s, run["seed"], rate_hz, clip.hand_scale, costs=costs)
        motion_of[number] = to_channels(plan.performance, rate_hz)
    cut = ([part[first : first + chosen["frames"]] for part in motion_of[number]] for number, first in windows)
    position, pose = (np.stack(parts)[:, None] for parts in zip(*cut, strict=True))
    return _columns(clips, windows, position, pose), {"input": "notes"}


def _contacts(method, clips, chosen, windows, models, run):
    """Correct the motions of another method so that they play the notes. `models` contains its motions, its report, and the costs."""
    from handroll.generation.contacts import make_playable

    columns, _ = read_table(models[0], GENERATED)
    facts = json.loads(Path(models[1]).read_text(encoding="utf-8"))
    costs = read_costs(models[2]) if len(models) > 2 else DEFAULT_COSTS_OF_HANDS
    number_of, rate_hz = {name: number for number, name in enumerate(clips.names)}, clips.source.rate_hz
    positions, poses, missed, total, started, music_of = [], [], 0, 0, time.perf_counter(), {}
    for row in range(len(columns["clip"])):
        number = number_of[columns["subject"][row], columns["video"][row], int(columns["clip"][row])]
        if number not in music_of:
            music_of[number] = _fingered(clip_notes(clips.rows(number, CLIP_COLUMNS)), costs)
        clip = music_of[number]
        notes, pedal, *fingers = _window_of(clip, int(columns["first_frame"][row]) / rate_hz, chosen["frames"] / rate_hz)
        performance = to_performance(columns["position"][row], columns["pose"][row], rate_hz, notes, clip.hand_scale)
        played, lost = make_playable(performance, notes, pedal, run["device"], *fingers, costs, method["fits"])
        position, pose = to_channels(played, rate_hz)
        positions.append(position)
        poses.append(pose)
        missed, total = missed + int(lost.sum()), total + len(lost)
    minutes = len(positions) * chosen["frames"] / rate_hz / 60.0
    # Whatever the model receives, its corrected motion depends on the notes.
    facts |= {
        "input": "notes",
        "contacts_s_per_min": round((time.perf_counter() - started) / minutes, 3),
        "missed_notes": missed,
        "notes": total,
    }
    return columns | {"position": positions, "pose": poses}, facts


def _fingered(clip, costs):
    """Return a `LabelledNotes` in which hands and fingers are chosen for all notes that can be played."""
    hand = assign_hands(clip.notes, clip.hand, clip.hand_scale)
    return replace(clip, hand=hand, finger=finger_notes(clip.notes, clip.pedal, hand, clip.finger, costs, clip.hand_scale))


def _window_of(clip, start_s, length_s):
    """Return notes, pedal, hands and fingers of a `LabelledNotes` that concern a window, in seconds since its start."""
    notes, pedal = ({name: v - start_s if name.endswith("_s") else v for name, v in table.items()} for table in (clip.notes, clip.pedal))
    near = (notes["key_offset_s"] > -_MARGIN_S) & (notes["onset_s"] < length_s + _MARGIN_S)
    return {name: values[near] for name, values in notes.items()}, pedal, clip.hand[near], clip.finger[near]


def _sample(model, encode, method, clips, chosen, windows, run, facts):
    """Sample the motions of a model for all windows. Return columns of `GENERATED`, and `facts` with the sampling time.

    `encode` is a function that computes the features of a batch.
    """
    made, spent = [], 0.0
    for first, batch in zip(range(0, len(windows), BATCH), _batches(clips, windows, chosen["frames"]), strict=True):
        features = encode(batch)
        motions = []
        for number in range(run["samples"]):
            # A seed depends only on the numbers of window and sample. Therefore the noise of a window does not depend on other windows.
            seeds = [(run["seed"] * 1_000_003 + window) * 1009 + number for window in range(first, first + len(features))]
            started = time.perf_counter()
            motions.append(model.generate(features, method["sampler"], method["steps"], seeds, **method.get("options", {})))
            spent += time.perf_counter() - started
        made.append([np.stack(part, axis=1) for part in zip(*motions, strict=True)])
    position, pose = (np.concatenate(part) for part in zip(*made, strict=True))
    facts |= {"sampler": method["sampler"], "steps": method["steps"], "parameters": model.parameters}
    facts["sampling_ms"] = round(1e3 * spent / (len(windows) * run["samples"]), 3)
    return _columns(clips, windows, position, pose), facts


def _batches(clips, windows, frames):
    """Yield the windows in batches of `BATCH`, as dicts of arrays."""
    for first in range(0, len(windows), BATCH):
        yield cut_windows(clips, windows[first : first + BATCH], frames)


def _true_motion(clips, windows, frames):
    """Return the ground truth as one sample per window: position (window, 1, frame, 6) and pose (window, 1, frame, 96)."""
    batch = cut_windows(clips, windows, frames)
    return batch["position"][:, None], batch["pose"][:, None]


def _columns(clips, windows, position, pose):
    """Convert motions (window, sample, frame, channel) to columns of `GENERATED`."""
    samples = position.shape[1]
    names = [clips.names[number] for number, _ in windows]
    columns = {
        name: np.repeat(np.array([entry[k] for entry in names], dtype=object), samples) for k, name in enumerate(("subject", "video"))
    }
    columns["clip"] = np.repeat([entry[2] for entry in names], samples)
    columns["first_frame"] = np.repeat([first for _, first in windows], samples)
    columns["sample"] = np.tile(np.arange(samples), len(windows))
    columns |= {"position": list(position.reshape(-1, *position.shape[2:])), "pose": list(pose.reshape(-1, *pose.shape[2:]))}
    return {name: columns[name] for name in (column.name for column in GENERATED.columns)}


KINDS = {
    "ground_truth": _ground_truth,
    "other_half": _other_half,
    "mean_pose": _mean_pose,
    "nearest": _nearest,
    "trained": _trained,
    "released": _released,
    "planned": _planned,
    "contacts": _contacts,
}
"""Function that generates the motions of each kind of method, by the name of the kind (`models.methods.comparison_methods`)."""
