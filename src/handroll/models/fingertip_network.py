"""Motion from a plan: a network that learns the difference between planned motion and a player's motion.

The plan (`generation.planned`) presses the right keys. The network predicts residuals of fingertips, wrists and joint rotations. While a
finger is at its key, the residual of its fingertip is zero along the keyboard and in height, so that the network cannot unlearn playing.
The idea of a residual under a mask, and of a wrist relative to the mean of the fingertips, is that of Tipiano (arXiv:2604.09692, 2026); the
network, the plan and the poses are handroll's own.

Axis letters: B clip in batch; T frame; F feature of fingered notes; D width.
"""

from dataclasses import dataclass

import torch
from torch import nn

from handroll.hand.skeleton import FINGERS, HANDS, N_ROTATIONS, TIPS
from handroll.keyboard.geometry import STANDARD
from handroll.models.audio_context import FeatureContext
from handroll.models.channel_joints import channel_joints
from handroll.training_data.model_frame import N_POSE, N_POSITION

N_TIPS = len(HANDS) * len(FINGERS) * 3
"""Number of fingertip channels: hand, finger and xyz."""

PLAN = {"scale": len(HANDS), "position": N_POSITION, "pose": N_POSE, "tips": N_TIPS, "aim": len(HANDS) * len(FINGERS)}
"""Channels of a plan, which follow the features of fingered notes, and their number. All have the right hand first; the left hand is
mirrored (`training_data.model_frame`).

scale: bone scale of each hand. position, pose: planned motion (mm, rad). tips: fingertips relative to the wrist (mm). aim: how far each
finger has moved to its key, 0 at its rest position and 1 at the key."""

N_PLAN = sum(PLAN.values())
"""Number of channels of a plan."""

TIP_MM, WRIST_MM, POSE_RAD = 10.0, 20.0, 0.1
"""Units of the network's residuals: fingertips, wrists, joint rotations."""

# Units in which planned positions and fingertips are given to the network.
_POSITION_MM, _REACH_MM = 200.0, 100.0


@dataclass(frozen=True)
class FingertipSettings:
    """Settings of a `FingertipNetwork`.

    Attributes
    ----------
    features : int
        Number of features of a frame: F features of fingered notes, then `N_PLAN` channels of the plan.
    width : int
        Width of the network (D).
    context_layers : int
        Number of residual blocks of the `FeatureContext` of each stage; at least 1.
    masked : bool
        Whether the residual of a fingertip is zero along the keyboard and in height while its finger is at its key.
    dropout : float
        Dropout rate.
    """

    features: int
    width: int = 128
    context_layers: int = 4
    masked: bool = True
    dropout: float = 0.0


class FingertipNetwork(nn.Module):
    """Network that predicts fingertips and wrists from fingered notes and a plan, and then poses from both.

    Parameters
    ----------
    settings : FingertipSettings
    """

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        width = settings.width
        # Convolutions see about a second before and after a frame, which is enough, because the plan knows the whole piece.
        sizes = width, settings.context_layers, settings.dropout
        self.tip_stage = FeatureContext(settings.features, *sizes)
        self.tip_head = nn.Linear(width, N_TIPS + N_POSITION)
        self.pose_stage = FeatureContext(settings.features + N_TIPS + N_POSITION, *sizes)
        self.pose_head = nn.Linear(width, N_POSE)
        # The untrained network returns the plan.
        for head in (self.tip_head, self.pose_head):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, features):
        """Predict a motion.

        Parameters
        ----------
        features : tensor (B, T, F + `N_PLAN`)

        Returns
        -------
        tips : tensor (B, T, hand 2, finger 5, xyz 3)
            Fingertips, mm; right hand first, the left hand mirrored.
        position : tensor (B, T, 6)
            Wrists, mm.
        pose : tensor (B, T, 96)
            Joint rotations, rad. Their fingertips may differ from `tips` by some millimetres.
        """
        plan = split_plan(features)
        shape = (*features.shape[:-1], len(HANDS), len(FINGERS), 3)
        wrist = plan["position"].unflatten(-1, (len(HANDS), 1, 3))
        tips = wrist + plan["tips"].view(shape)
        inputs = scaled_inputs(features)
        residual = self.tip_head(self.tip_stage(inputs))
        moved = TIP_MM * residual[..., :N_TIPS].view(shape)
        if self.settings.masked:
            free = 1.0 - plan["aim"].unflatten(-1, (len(HANDS), len(FINGERS), 1))
            moved = moved * torch.cat([free, torch.ones_like(free), free], dim=-1)
        # The wrist keeps its planned place relative to the mean of the fingertips, plus a residual.
        wrist = wrist[..., 0, :] + moved.mean(dim=-2) + WRIST_MM * residual[..., N_TIPS:].unflatten(-1, (len(HANDS), 3))
        tips = tips + moved
        reach = (tips - wrist[..., None, :]).flatten(-3) / _REACH_MM
        offset = (wrist.flatten(-2) - plan["position"]) / WRIST_MM
        pose = plan["pose"] + POSE_RAD * self.pose_head(self.pose_stage(torch.cat([inputs, reach, offset], dim=-1)))
        return tips, wrist.flatten(-2), pose


def split_plan(features):
    """Split the channels of the plan from features (..., F + `N_PLAN`): tensors by the names of `PLAN`."""
    return dict(zip(PLAN, features[..., -N_PLAN:].split(list(PLAN.values()), dim=-1), strict=True))


def scaled_inputs(features):
    """Return features (..., F + `N_PLAN`) whose plan has a magnitude of about 1."""
    return torch.cat([features[..., :-N_PLAN], *_scaled(split_plan(features))], dim=-1)


def _scaled(plan):
    """List the channels of a plan with a magnitude of about 1."""
    middle = torch.tensor([0.5 * STANDARD.width_mm, 0.0, 0.0] * len(HANDS)).to(plan["position"])
    position = (plan["position"] - middle) / _POSITION_MM
    return 10.0 * (plan["scale"] - 1.0), position, plan["pose"], plan["tips"] / _REACH_MM, plan["aim"]


def fingertips_of(position, pose, scale):
    """Compute the fingertips of a motion in the models' convention of the keyboard frame.

    Parameters
    ----------
    position : tensor (..., 6)
        Wrists, mm.
    pose : tensor (..., 96)
        Joint rotations, rad.
    scale : tensor (..., hand 2)
        Bone scales, right hand first.

    Returns
    -------
    tensor (..., hand 2, finger 5, xyz 3)
        Fingertips, mm; the left hand mirrored.
    """
    return channel_joints(position, pose, scale)[..., list(TIPS), :]


def fingertip_loss(predicted, target, scale, visible):
    """Compute the loss: mean absolute errors of fingertips, wrists and poses, and of their changes from frame to frame.

    The fingertips count twice: as predicted by the first stage, and as they follow from wrists and poses.

    Parameters
    ----------
    predicted : tuple of tensors
        Result of `FingertipNetwork.forward`.
    target : (tensor (B, T, 6), tensor (B, T, 96))
        True positions and poses.
    scale : tensor (B, T, hand 2)
        Bone scales, right hand first.
    visible : bool tensor (B, T, hand 2)
        Visibility of the right hand, then the left.

    Returns
    -------
    scalar tensor
    """
    tips, position, pose = predicted
    true_position, true_pose = target
    true_tips = fingertips_of(true_position, true_pose, scale)
    both = visible[:, 1:] & visible[:, :-1]
    errors = (
        ((tips - true_tips) / TIP_MM).flatten(-2),
        ((fingertips_of(position, pose, scale) - true_tips) / TIP_MM).flatten(-2),
        ((position - true_position) / TIP_MM).unflatten(-1, (len(HANDS), 3)),
        ((pose - true_pose) / POSE_RAD).unflatten(-1, (len(HANDS), 3 * N_ROTATIONS)),
    )
    total = 0.0
    for error in errors:
        change = error[:, 1:] - error[:, :-1]
        # An empty selection has the loss 0.
        total = total + sum(part[shown].abs().sum() / max(part[shown].numel(), 1) for part, shown in ((error, visible), (change, both)))
    return total
