"""What every model that corrects motion has in common: its input, the full frame rate, and the loss.

A model receives a noisy motion of both hands in the models' convention of the keyboard frame (`training_data.model_frame`) at a lower frame
rate, a mask of the observed frames, and music features at the full rate. It predicts the difference between the true motion and the
interpolated input: wrists in millimetres and joint rotations. Joints follow from both by forward kinematics (`channel_joints`). Therefore
the bones of a corrected hand keep their lengths, and its rotations can be written into a motion table. Joint positions, as in the paper,
would need another fit for both.

Axis letters: B window; I input frame; T output frame; F music feature. Input frame i is at the time of output frame i * `every`.
"""

import numpy as np
import torch

from handroll.hand.skeleton import HANDS
from handroll.keyboard.geometry import STANDARD
from handroll.models.channel_joints import channel_joints
from handroll.training_data.model_frame import N_POSE, N_POSITION

N_MOTION = N_POSITION + N_POSE
"""Number of channels of a motion: 6 of the wrists, then 96 of the joint rotations."""

N_TOKEN = N_POSITION + N_MOTION + 2 * len(HANDS)
"""Number of values of an input frame: wrists relative to the window, wrists on the keyboard, rotations, mask, and bone scales."""

WRIST_MM, POSE_RAD = 10.0, 0.1
"""Units of the predicted differences: wrists, joint rotations."""

POSE_WEIGHT_MM = 5.0
"""Weight of the mean error of a rotation (mm for each rad). Joint positions do not determine how a bone turns about its own axis, but a
motion table contains this rotation."""

# Units in which wrists are given to a network: relative to their mean over the window, and relative to the middle of the keyboard.
_WINDOW_MM, _KEYBOARD_MM = 50.0, 200.0


def input_frames(frames, every):
    """Return the number of input frames of a window with `frames` output frames."""
    return -(-frames // every)


def fill_missing(values, observed):
    """Interpolate the channels of each hand linearly between observed frames. Values in other frames have no influence.

    Parameters
    ----------
    values : tensor (B, I, channel)
        Channels of the right hand, then as many of the left hand.
    observed : bool tensor (B, I, hand 2)

    Returns
    -------
    tensor (B, I, channel)
        Before the first and after the last observed frame, the values are constant. A hand that is never observed has zeros.
    """
    frames = observed.shape[1]
    index = torch.arange(frames, device=observed.device)[:, None]
    before = torch.where(observed, index, -1).cummax(dim=1).values
    after = torch.where(observed, index, frames).flip(1).cummin(dim=1).values.flip(1)
    before, after = torch.where(before < 0, after, before), torch.where(after >= frames, before, after)
    known = observed.any(dim=1)
    before, after = (edge.clamp(0, frames - 1) for edge in (before, after))
    share = (index - before) / (after - before).clamp(min=1)
    hands = values.unflatten(-1, (len(HANDS), -1))
    ends = (hands.gather(1, edge[..., None].expand_as(hands)) for edge in (before, after))
    first, last = (torch.where(known[:, None, :, None], end, 0.0) for end in ends)
    return (first + share[..., None] * (last - first)).flatten(-2)


def interpolation_weights(wanted, known):
    """Return the float32 tensor (wanted, known) of the linear interpolation from increasing times `known` to times `wanted`."""
    return torch.from_numpy(np.stack([np.interp(wanted, known, unit) for unit in np.eye(len(known))], axis=1).astype(np.float32))


def to_full_rate(values, frames, every):
    """Interpolate values (B, I, channel) linearly to (B, T, channel). After the last input frame, they are constant."""
    weights = interpolation_weights(np.arange(frames), every * np.arange(values.shape[1]))
    return weights.to(values) @ values


def pose_tokens(position, pose, observed, scale):
    """Convert a motion without missing values to the input of a network, with magnitudes of about 1.

    Parameters
    ----------
    position : tensor (B, I, 6)
        Wrists, mm.
    pose : tensor (B, I, 96)
        Joint rotations, rad.
    observed : bool tensor (B, I, hand 2)
    scale : tensor (B, hand 2)
        Bone scales.

    Returns
    -------
    tensor (B, I, `N_TOKEN`)
    """
    middle = position.new_tensor([0.5 * STANDARD.width_mm, 0.0, 0.0] * len(HANDS))
    relative = (position - position.mean(dim=1, keepdim=True)) / _WINDOW_MM
    size = 10.0 * (scale - 1.0)[:, None].expand(observed.shape)
    return torch.cat([relative, (position - middle) / _KEYBOARD_MM, pose, observed.to(position), size], dim=-1)


def corrected(network, every, position, pose, observed, scale, music):
    """Apply the network of a model: fill missing frames, predict the difference, and add it to the input at the full rate.

    Parameters
    ----------
    network : callable (tokens (B, I, `N_TOKEN`), music (B, T, F)) -> tensor (B, T, `N_MOTION`)
        Predicts differences in the units `WRIST_MM` and `POSE_RAD`.
    every : int
        Number of output frames for each input frame.
    position, pose, observed, scale
        See `pose_tokens`; values in frames that are not observed may be anything finite.
    music : tensor (B, T, F)

    Returns
    -------
    position : tensor (B, T, 6)
    pose : tensor (B, T, 96)
    """
    position, pose = fill_missing(position, observed), fill_missing(pose, observed)
    difference = network(pose_tokens(position, pose, observed, scale), music)
    base = to_full_rate(torch.cat([position, pose], dim=-1), difference.shape[1], every)
    motion = base + difference * difference.new_tensor([WRIST_MM] * N_POSITION + [POSE_RAD] * N_POSE)
    return motion.split((N_POSITION, N_POSE), dim=-1)


def correction_loss(predicted, target, scale, visible):
    """Compute the loss: mean distance of the joints (MPJPE, as in the paper), plus a small error of the rotations.

    Parameters
    ----------
    predicted, target : (tensor (B, T, 6), tensor (B, T, 96))
        Positions and poses.
    scale : tensor (B, hand 2)
        Bone scales.
    visible : bool tensor (B, T, hand 2)
        Visibility of the hands in the target.

    Returns
    -------
    loss : scalar tensor
        In mm; 0 if nothing is visible.
    mpjpe : scalar tensor
        The mean distance alone, mm.
    """
    joints, truth = (channel_joints(*motion, scale[:, None]) for motion in (predicted, target))
    count = visible.sum().clamp(min=1)
    mpjpe = ((joints - truth).norm(dim=-1).mean(dim=-1) * visible).sum() / count
    turn = (predicted[1] - target[1]).abs().unflatten(-1, (len(HANDS), -1)).mean(dim=-1)
    return mpjpe + POSE_WEIGHT_MM * (turn * visible).sum() / count, mpjpe
