"""Correct the motion of a video with a trained model (`mapnet`, `correction_baselines`): correct observed frames, and fill gaps.

Axis letters: B window; I input frame; T output frame; F music feature.
"""

from dataclasses import dataclass

import numpy as np
import torch

from handroll.device import torch_device
from handroll.editing.segments import bounds
from handroll.hand.kinematics import open_hand_joints
from handroll.hand.rotations import compose, unwrap_rotvec
from handroll.hand.skeleton import HANDS, N_ROTATIONS
from handroll.mask_runs import in_runs, runs
from handroll.models.checkpoint import load_checkpoint
from handroll.models.correction_input import input_frames
from handroll.models.two_stage import BATCH, blend_weights, window_starts
from handroll.motion.resampling import resample
from handroll.tables import State
from handroll.training_data.model_frame import N_POSE, N_POSITION, RIGHT_FIRST, clip_motion, from_channels, table_row, true_hands

VERSION = 1
"""Version of the correction. Increase it manually when the same motion and model give another motion."""

MAPNETS = ("mapnet", "planned_mapnet")
"""Kinds of models that `motion.correction: mapnet` accepts."""

MAX_GAP_S = 1.0
"""Default maximum duration of a gap that is filled (s): the time from the observed frame before it to the one after it."""


@dataclass(frozen=True)
class Shares:
    """Shares of the model's correction that observed frames receive; 0 keeps the observed value, 1 takes that of the model.

    A camera above the hands sees the position of a hand to 2 or 3 mm, but hardly its height and how far its fingers are bent. The defaults
    are the best of the shares that were compared on the performances of `motion_noise.MEASURED`.

    Attributes
    ----------
    wrist : tuple of 3
        Position of the wrist along x, y and z of the keyboard frame.
    palm, finger : float
        Global rotation, and rotations of the finger joints.
    """

    wrist: tuple[float, ...] = (0.0, 0.0, 1.0)
    palm: float = 0.0
    finger: float = 0.5


class Corrector:
    """Trained model that corrects motion.

    Parameters
    ----------
    network : Mapnet or LstmCorrector
    rate_hz : float
        Frame rate of the output and of the music features.
    device : str
        Device on which the network runs.

    Attributes
    ----------
    settings : MapnetSettings or LstmSettings
    rate_hz : float
    parameters : int
        Number of parameters.
    """

    def __init__(self, network, rate_hz, device="cpu"):
        self._device = torch_device(device)
        self._network = network.eval().requires_grad_(False).to(self._device)
        self.settings, self.rate_hz = network.settings, rate_hz
        self.parameters = sum(value.numel() for value in network.parameters())

    @torch.inference_mode()
    def correct_windows(self, position, pose, observed, scale, music):
        """Correct windows.

        Parameters
        ----------
        position : array (B, I, 6)
            Wrists, mm, right hand first. Values in frames that are not observed have no influence, but must be finite.
        pose : array (B, I, 96)
            Joint rotations, rad.
        observed : bool array (B, I, hand 2)
        scale : array (B, hand 2)
            Bone scales.
        music : array (B, T, F)

        Returns
        -------
        position : array (B, T, 6), float32
        pose : array (B, T, 96), float32
        """
        arrays = [np.array(values, dtype=np.float32) for values in (position, pose, scale, music)]
        position, pose, scale, music = (torch.from_numpy(values).to(self._device) for values in arrays)
        observed = torch.from_numpy(np.asarray(observed, dtype=bool)).to(self._device)
        return tuple(part.cpu().numpy() for part in self._network(position, pose, observed, scale, music))

    def correct_long(self, position, pose, observed, scale, music):
        """Correct a motion of any length. Windows overlap by half, and their motions are blended.

        Parameters
        ----------
        position, pose, observed : arrays (I, 6), (I, 96), (I, hand 2)
            See `correct_windows`.
        scale : array (hand 2,)
        music : array (T, F)
            Features of at least I * `every` output frames.

        Returns
        -------
        position : array (I * every, 6)
        pose : array (I * every, 96)
        """
        window, every, given = self.settings.frames, self.settings.every, len(observed)
        inputs = input_frames(window, every)
        # One more input frame, so that the windows contain all output frames even if a window has no whole number of input frames.
        starts = window_starts(given + 1, inputs)
        missing = starts[-1] + inputs - given
        position, pose, observed = (np.pad(values, ((0, missing), (0, 0))) for values in (position, pose, observed))
        frames = (given + missing) * every
        music = np.pad(music[:frames], ((0, max(0, frames - len(music))), (0, 0)))
        weight = blend_weights(window)[:, None]
        total = np.zeros((frames, 1))
        motion = [np.zeros((frames, channels)) for channels in (N_POSITION, N_POSE)]
        for first in range(0, len(starts), BATCH):
            batch = starts[first : first + BATCH]
            cut = [np.stack([values[start : start + inputs] for start in batch]) for values in (position, pose, observed)]
            played = np.stack([music[start * every : start * every + window] for start in batch])
            made = self.correct_windows(*cut, np.broadcast_to(scale, (len(batch), len(HANDS))), played)
            for k, start in enumerate(batch):
                part = slice(start * every, start * every + window)
                total[part] += weight
                for series, values in zip(motion, made, strict=True):
                    series[part] += weight * values[k]
        whole = slice(given * every)
        return tuple(series[whole] / total[whole] for series in motion)


def load_corrector(path, kind, device="cpu"):
    """Load a model from a checkpoint.

    Parameters
    ----------
    path : path
    kind : {"mapnet", "planned_mapnet", "lstm"}, or a tuple of them
        Kind of the model, or kinds that it may have.
    device : str

    Returns
    -------
    model : Corrector
    about : dict
        The `about` of the checkpoint.

    Raises
    ------
    FileNotFoundError, CheckpointError
        The file is missing, is not a checkpoint, or contains another kind of model.
    """
    checkpoint = load_checkpoint(path, *([kind] if isinstance(kind, str) else kind))
    return Corrector(checkpoint.network(), checkpoint.about["rate_hz"], device), checkpoint.about


def correct(motion, music, model, extrinsics, joints_from=open_hand_joints, max_gap_s=MAX_GAP_S, segments=None, shares=Shares()):
    """Correct the motion of a video, each segment separately.

    Parameters
    ----------
    motion : dict of str to array (frame, hand 2, ...)
        Columns of `tables.MOTION` by frame, such as the result of `motion.clean.clean_motion`.
    music : array (T, F)
        Music features at the model's frame rate. Row 0 is at time 0 of the video.
    model : Corrector
    extrinsics : handroll.camera.Extrinsics
        Position and orientation of the camera over the keyboard.
    joints_from : callable
        Computes the joints of a pose; see `clean_motion`.
    max_gap_s : float
        Gaps up to this duration are filled. Only frames that are observed in the input are given to the model.
    segments : sequence of (start_s, end_s), optional
        The usable segments of the video (s); by default the whole video. No gap is filled across a cut.
    shares : Shares
        Shares of the correction in observed frames. What they keep of the difference to the model is interpolated in gaps, so that the
        motion does not jump at their ends.

    Returns
    -------
    motion : dict of str to array (frame, hand 2, ...)
        Columns of `tables.MOTION`. The state says where a pose comes from: it is corrected in observed frames, and made by the model in
        interpolated frames. Frames that `clean_motion` has interpolated are made again. All other frames are hidden. The residual is
        NaN in frames that the model made; in observed frames it is still that of the pose engine.
    counts : dict of str to dict of str to int
        Numbers of frames for each hand: `observed`, `interpolated`, `hidden`, and `filled` (made by the model, and hidden in the input).

    Raises
    ------
    ValueError
        There are no joints in the keyboard frame, or the music has another width than in training or is too short.
    """
    time_s = np.asarray(motion["time_s"][:, 0], dtype=np.float64)
    if extrinsics is None:
        raise ValueError("correction of a motion: expected a registered keyboard, found none; leave out the correction of this video")
    needed = int(time_s[-1] * model.rate_hz) + 1 if len(time_s) else 0
    if np.ndim(music) != 2 or np.shape(music)[1] != model.settings.features or len(music) < needed:
        raise ValueError(
            f"correction of a motion: expected music features of at least {needed} frames with {model.settings.features} values each, "
            f"found an array of shape {np.shape(music)}; compute the features of the whole video that the model was trained with"
        )
    state = np.full(motion["state"].shape, State.HIDDEN, dtype=np.int8)
    result = {name: np.array(values) for name, values in motion.items()}
    for first, stop in bounds(time_s, segments) if segments is not None else [(0, len(time_s))] if len(time_s) else []:
        part = slice(first, stop)
        state[part] = _new_states(motion["state"][part], time_s[part], max_gap_s)
        _correct_part(result, part, state[part], motion, music, model, extrinsics, joints_from, shares)
    hidden, made = state == State.HIDDEN, state == State.INTERPOLATED
    for name in ("rotation_rad", "translation_m", "betas", "bone_scale", "joints_m", "joints_keyboard_mm", "residual_px"):
        result[name][hidden] = np.nan
    result["residual_px"][made] = np.nan
    result["state"] = state
    filled = made & (motion["state"] == State.HIDDEN)
    counts = {
        name: {value.name.lower(): int((state[:, side] == value).sum()) for value in reversed(State)}
        | {"filled": int(filled[:, side].sum())}
        for side, name in enumerate(HANDS)
    }
    return result, counts


def _new_states(state, time_s, max_gap_s):
    """Return the states (frame, hand 2) after the correction of a segment with these states and times (frame,), s."""
    out = np.array(state)
    for side in range(state.shape[1]):
        start, stop = runs(state[:, side] != State.OBSERVED)
        inside = (start > 0) & (stop < len(state))
        start, stop = start[inside], stop[inside]
        short = time_s[stop] - time_s[start - 1] <= max_gap_s
        out[in_runs(start[short], stop[short], len(state)), side] = State.INTERPOLATED
    return out


def _correct_part(result, part, state, motion, music, model, extrinsics, joints_from, shares):
    """Correct the frames `part` (a slice) of a motion, and write them into `result`. `state`: the new states of these frames."""
    sides = [side for side in range(len(HANDS)) if (motion["state"][part, side] == State.OBSERVED).any()]
    if not sides:
        return
    observed = motion["state"] == State.OBSERVED
    columns = {name: np.array(motion[name]) for name in ("rotation_rad", "joints_keyboard_mm")}
    for values in columns.values():
        values[~observed] = np.nan
    columns |= {"time_s": motion["time_s"], "state": np.where(observed, motion["state"], State.HIDDEN)}
    row = table_row(columns, extrinsics, part.start, part.stop)
    # The first input frame is at the time of a music frame.
    begin = int(motion["time_s"][part.start, 0] * model.rate_hz)
    time_s = np.asarray(motion["time_s"][part, 0], dtype=np.float64) - begin / model.rate_hz
    rate_hz = model.rate_hz / model.settings.every
    inputs = int(np.ceil(time_s[-1] * rate_hz)) + 1
    given = clip_motion(row | {"time_s": time_s, "end_s": inputs / rate_hz}, rate_hz, "keyboard")
    scale = np.ones(len(HANDS))
    scale[sides] = [np.nanmedian(motion["bone_scale"][part, side][observed[part, side]]) for side in sides]
    corrected = model.correct_long(*given.channels(), given.visible[:, RIGHT_FIRST], scale[list(RIGHT_FIRST)], music[begin:])
    position, rotation = from_channels(*corrected)
    at = np.arange(len(position)) / model.rate_hz
    turned, moved = zip(*(resample(at, rotation[:, side], position[:, side], time_s) for side in range(len(HANDS))), strict=True)
    position, rotation = true_hands(np.stack(moved, axis=1), np.stack(turned, axis=1), "keyboard")
    rotation[:, :, 0] = compose(np.broadcast_to(extrinsics.rotation_rad, rotation[:, :, 0].shape), rotation[:, :, 0])
    for side in sides:
        known = np.flatnonzero(observed[part, side])
        wrist, turn = (motion[name][part, side][known].astype(np.float64) for name in ("joints_keyboard_mm", "rotation_rad"))
        kept = (1.0 - np.array(shares.wrist)) * (wrist[:, 0] - position[known, side])
        position[:, side] += _interpolated(known, kept, len(position))
        shares_of_joints = np.where(np.arange(N_ROTATIONS) > 0, shares.finger, shares.palm)
        kept = (1.0 - shares_of_joints)[:, None] * compose(-rotation[known, side], turn)
        rotation[:, side] = compose(rotation[:, side], _interpolated(known, kept, len(position)))
    wrist_m = 1e-3 * extrinsics.to_camera(position)
    for side in sides:
        shown = state[:, side] != State.HIDDEN
        betas = np.median(motion["betas"][part, side][observed[part, side]], axis=0)
        turn = unwrap_rotvec(rotation[shown, side])
        flat = turn.reshape(-1, 3 * N_ROTATIONS)
        at_rest = joints_from(flat, np.zeros((len(flat), 3)), betas, scale[side], HANDS[side])
        translation = wrist_m[shown, side] - at_rest[:, 0]
        joints = at_rest + translation[:, None]
        new = {"rotation_rad": turn, "translation_m": translation, "joints_m": joints}
        new |= {"joints_keyboard_mm": extrinsics.to_keyboard(1e3 * joints), "betas": betas, "bone_scale": scale[side]}
        for name, values in new.items():
            result[name][part.start + np.flatnonzero(shown), side] = values


def _interpolated(known, values, frames):
    """Interpolate values (n, ...) of the frames `known` (n,) linearly to all frames (frame, ...)."""
    flat = values.reshape(len(known), -1)
    columns = [np.interp(np.arange(frames), known, column) for column in flat.T]
    return np.stack(columns, axis=1).reshape(frames, *values.shape[1:])
