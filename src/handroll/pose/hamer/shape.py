"""One shape a hand and video, from a shape a frame: HaMeR guesses a player's hand anew in each crop."""

import numpy as np
import torch

from handroll.pose.articulation import exponential
from handroll.pose.levenberg_marquardt import minimise

HUBER = 1.345
"""Deviations, in robust standard deviations, from which a frame counts less: 95 % efficient on Gaussian data (Huber 1964,
doi:10.1214/aoms/1177703732)."""

STEPS = 20
"""Reweighted means that are taken; they have converged after about ten."""

MAD_TO_SIGMA = 1.4826
LEAST_SIGMA = 1e-6

TURN_SIGMA_RAD, JOINT_SIGMA_M = 0.1, 0.001
"""How a pose gives way to another shape: a joint's turn of 0.1 rad costs as much as a joint that is 1 mm off."""

ITERATIONS, BATCH = 4, 512


def robust_mean(values):
    """Mean that bears with frames that are far off: Huber's, each component by itself.

    Parameters
    ----------
    values : array (frame, component)

    Returns
    -------
    array (component,), float64; NaN without frames
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return np.full(values.shape[1], np.nan)
    mean = np.median(values, axis=0)
    sigma = np.maximum(MAD_TO_SIGMA * np.median(np.abs(values - mean), axis=0), LEAST_SIGMA)
    for _ in range(STEPS):
        weight = 1.0 / np.maximum(np.abs(values - mean) / (HUBER * sigma), 1.0)
        mean = (weight * values).sum(axis=0) / weight.sum(axis=0)
    return mean


def refit(skinning, rotations, betas_seen, betas):
    """Poses with which a hand of one shape has its joints where hands of other shapes had theirs.

    Bones of other lengths cannot all end where they did: turns and joints give way in the ratio of `TURN_SIGMA_RAD` and
    `JOINT_SIGMA_M`. Joints are compared relative to the wrist, so that no translation is asked for.

    Parameters
    ----------
    skinning : handroll.hand.skinning.Skinning
    rotations : array (hand, joint 16, 3, 3)
        Right hands, as the network saw them.
    betas_seen : array (hand, 10)
        Their shapes.
    betas : array (10,)
        The one they get.

    Returns
    -------
    array (hand, joint 16, 3, 3), float32
    """
    rotations, betas_seen = (torch.as_tensor(array, dtype=torch.float32) for array in (rotations, betas_seen))
    shape = torch.as_tensor(betas, dtype=torch.float32)
    out = [_refit_batch(skinning, *part, shape) for part in zip(rotations.split(BATCH), betas_seen.split(BATCH), strict=True)]
    return torch.cat(out).numpy() if out else rotations.numpy()


def _refit_batch(skinning, rotations, betas_seen, betas):
    target = _from_wrist(skinning.joints(rotations, betas_seen))
    numbers = 3 * rotations.shape[1]

    def residuals(step, turned, start, wanted):
        """Of one hand whose joints are turned by a step (48,) from `turned`: off its target, and off where it started."""
        now = turned @ exponential(step.view(-1, 3))[0]
        joints = (_from_wrist(skinning.joints(now, betas)) - wanted) / JOINT_SIGMA_M
        # For small turns the antisymmetric part of R_start' R is the turn itself.
        apart = start.transpose(-1, -2) @ now
        turn = 0.5 * torch.stack(
            [apart[:, 2, 1] - apart[:, 1, 2], apart[:, 0, 2] - apart[:, 2, 0], apart[:, 1, 0] - apart[:, 0, 1]], dim=-1
        )
        return torch.cat([joints.flatten(), turn.flatten() / TURN_SIGMA_RAD])

    still = torch.zeros(len(rotations), numbers)
    slopes = torch.func.vmap(torch.func.jacfwd(residuals))

    def evaluate(state):
        (turned,) = state
        off = torch.func.vmap(residuals)(still, turned, rotations, target)
        by_step = slopes(still, turned, rotations, target)
        across = by_step.transpose(1, 2)
        return 0.5 * (off**2).sum(-1), (across @ off[..., None]).squeeze(-1), across @ by_step

    def retract(state, step):
        return (state[0] @ exponential(step.view(len(step), -1, 3))[0],)

    (turned,), _ = minimise((rotations,), evaluate, retract, ITERATIONS)
    return turned


def _from_wrist(joints):
    return joints - joints[..., :1, :]
