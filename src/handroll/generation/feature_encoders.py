"""Encoders of the features that motion models receive. An encoder is selected by the name of its features.

Features of audio and of notes are those of `models.audio_features`. This module adds two kinds that know hands and fingers: `fingering`
(`finger_features`), and `planned`, which adds a planned motion.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from handroll.generation.channels import to_channels
from handroll.generation.finger_features import VERSION as FINGER_VERSION
from handroll.generation.finger_features import finger_features
from handroll.generation.fingering import DEFAULT_COSTS, UNPLAYED, finger_notes
from handroll.generation.hand_assignment import UNKNOWN, assign_hands
from handroll.generation.labelled_notes import COLUMNS, labelled_notes
from handroll.generation.pianist import compute_trajectories
from handroll.generation.planned import plan_performance
from handroll.generation.style import PLANNED
from handroll.generation.wrist_trajectory import presses_of
from handroll.hand.skeleton import FINGERS, HANDS, TIPS
from handroll.keyboard.geometry import STANDARD
from handroll.models.audio_features import SPAN, FeatureEncoder, clip_frames, feature_encoder
from handroll.models.feature_names import FINGERED_FEATURES
from handroll.models.fingertip_network import PLAN
from handroll.rendering.scene import world_joints
from handroll.training_data.model_frame import RIGHT_FIRST

VERSION = 2
"""Version of the features. Increase it manually when the same notes give another fingering or another plan."""

HELD_OUT = ("valid", "test")
"""Splits in which labels of hand and finger are not used: there, hands and fingers are chosen as for a new recording."""

# Random seed of the variations of planned motion.
_SEED = 0


def encoder_of(name, rate_hz, folder="", device="cpu", costs=(DEFAULT_COSTS,) * 2):
    """Create the encoder that computes the features with a given name.

    Parameters
    ----------
    name : str
        "fingering", "planned", or a name of `models.audio_features.feature_encoder`.
    rate_hz, folder, device
        See `models.audio_features.feature_encoder`.
    costs : (FingeringCosts, FingeringCosts)
        Costs with which fingers are chosen where they are not given; left and right hand.

    Returns
    -------
    models.audio_features.FeatureEncoder
    """
    if name not in FINGERED_FEATURES:
        return feature_encoder(name, rate_hz, folder, device)
    encode = _encode_fingering if name == "fingering" else _encode_plan
    version = f"handroll {name} {FINGER_VERSION}.{VERSION}"
    # Planned positions in half precision would tremble by a quarter of a millimetre.
    dtype = "<f2" if name == "fingering" else "<f4"
    return FeatureEncoder(partial(encode, rate_hz=rate_hz, costs=costs), ("split", *COLUMNS, *SPAN), version, dtype)


def clip_notes(row):
    """Read the notes of a clip, in seconds since its first frame of motion. Labels of clips in `HELD_OUT` splits are removed.

    Parameters
    ----------
    row : dict of str to value
        Row of `tables.SHARD` with the columns `split`, `audio_delay_s` and `labelled_notes.COLUMNS`.

    Returns
    -------
    labelled_notes.LabelledNotes
    """
    clip, delay_s = labelled_notes(row), row["audio_delay_s"]
    if row["split"] in HELD_OUT:
        clip.hand[:], clip.finger[:] = UNKNOWN, UNPLAYED
    notes, pedal = ({name: v - delay_s if name.endswith("_s") else v for name, v in table.items()} for table in (clip.notes, clip.pedal))
    return replace(clip, notes=notes, pedal=pedal)


def _encode_fingering(row, rate_hz, costs):
    """Compute the features (frame, feature) of the fingered notes of a clip from its row."""
    clip = clip_notes(row)
    hand = assign_hands(clip.notes, clip.hand, clip.hand_scale)
    finger = finger_notes(clip.notes, clip.pedal, hand, clip.finger, costs, clip.hand_scale)
    return finger_features(clip.notes, hand, finger, rate_hz, clip_frames(row, rate_hz))


def _encode_plan(row, rate_hz, costs):
    """Compute the features (frame, feature) of the fingered notes of a clip, and its plan, from its row."""
    clip, frames = clip_notes(row), clip_frames(row, rate_hz)
    known = clip.hand_scale, clip.hand, clip.finger
    played = plan_performance(clip.notes, clip.pedal, frames / rate_hz, _SEED, rate_hz, *known, costs).performance
    channels = plan_channels(played, rate_hz)
    fingers = finger_features(played.notes, played.note_hand, played.note_finger, rate_hz, frames)
    return np.concatenate([fingers, *(channels[name] for name in PLAN)], axis=1).astype(np.float32)


def plan_channels(performance, rate_hz):
    """Compute the channels `models.fingertip_network.PLAN` of a planned performance: arrays (frame, channel) by name."""
    frames = len(performance.time_s)
    position, pose = to_channels(performance, rate_hz)
    tips_mm = 1e3 * world_joints(performance)[:, :, list(TIPS)]
    aim = np.zeros((frames, len(HANDS), len(FINGERS)))
    notes = performance.notes
    for side, name in enumerate(HANDS):
        mirror = -1 if name == "left" else 1
        if mirror < 0:
            tips_mm[:, side, :, 0] = STANDARD.width_mm - tips_mm[:, side, :, 0]
        presses = presses_of(notes, performance.note_hand == side, performance.note_finger, mirror, notes["key_offset_s"])
        courses = compute_trajectories(presses, performance.time_s, PLANNED)
        np.maximum.at(aim[:, side], (courses.frame, presses.finger[courses.press]), courses.aim)
    reach = tips_mm[:, RIGHT_FIRST] - position.reshape(frames, len(HANDS), 1, 3)
    return {
        "scale": np.tile(performance.bone_scale[list(RIGHT_FIRST)], (frames, 1)),
        "position": position,
        "pose": pose,
        "tips": reach.reshape(frames, -1),
        "aim": np.minimum(aim[:, RIGHT_FIRST], 1.0).reshape(frames, -1),
    }
