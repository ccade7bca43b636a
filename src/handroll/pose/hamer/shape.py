"""Estimate one shape of a hand in a video from the shapes that HaMeR predicts for single frames, which differ from crop to crop."""

import numpy as np
import torch

from handroll.pose.differentiable_hand import exponential
from handroll.pose.levenberg_marquardt import minimise

HUBER = 1.345
"""Deviation, as a multiple of the robust standard deviation, above which a frame gets less weight. With this value the mean is 95 %
efficient on Gaussian data (Huber 1964, doi:10.1214/aoms/1177703732)."""

STEPS = 20
"""Number of iterations of the reweighted mean, which converges in about ten iterations."""

MAD_TO_SIGMA = 1.4826
"""Ratio of the standard deviation to the median absolute deviation of a normal distribution."""

MIN_SIGMA = 1e-6
"""Minimum standard deviation of a component of the shape, which avoids a division by 0 if all frames are equal."""

ROTATION_SIGMA_RAD = 0.1
"""Rotation of a joint (rad) that costs as much as a displacement by `POSITION_SIGMA_M` when a pose is refitted to another shape."""

POSITION_SIGMA_M = 0.001
"""Displacement of a joint (m) that costs as much as a rotation by `ROTATION_SIGMA_RAD` when a pose is refitted to another shape."""

ITERATIONS = 4
"""Number of optimisation steps when poses are refitted."""

BATCH = 512
"""Number of hands that are refitted in parallel."""


def robust_mean(values):
    """Return Huber's robust mean of each component. Frames that deviate strongly have little weight.

    Parameters
    ----------
    values : array (frame, component)
        The values of all frames.

    Returns
    -------
    array (component,), float64; NaN without frames
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return np.full(values.shape[1], np.nan)
    mean = np.median(values, axis=0)
    sigma = np.maximum(MAD_TO_SIGMA * np.median(np.abs(values - mean), axis=0), MIN_SIGMA)
    for _ in range(STEPS):
        weight = 1.0 / np.maximum(np.abs(values - mean) / (HUBER * sigma), 1.0)
        mean = (weight * values).sum(axis=0) / weight.sum(axis=0)
    return mean


def refit(skinning, rotations, predicted_betas, betas):
    """Refit poses to one shape, so that the joints stay close to their positions with the original shapes.

    With other bone lengths, not all joints can keep their positions. `ROTATION_SIGMA_RAD` and `POSITION_SIGMA_M` weigh changes of
    rotation against changes of position. Positions are relative to the wrist, so no translation is needed.

    Parameters
    ----------
    skinning : handroll.hand.skinning.Skinning
        Skinning of MANO's right hand.
    rotations : array (hand, joint 16, 3, 3)
        Predicted rotations, of right hands.
    predicted_betas : array (hand, 10)
        Predicted shapes of these hands.
    betas : array (10,)
        The common shape.

    Returns
    -------
    array (hand, joint 16, 3, 3), float32
    """
    rotations, predicted_betas = (torch.as_tensor(array, dtype=torch.float32) for array in (rotations, predicted_betas))
    shape = torch.as_tensor(betas, dtype=torch.float32)
    out = [_refit_batch(skinning, *part, shape) for part in zip(rotations.split(BATCH), predicted_betas.split(BATCH), strict=True)]
    return torch.cat(out).numpy() if out else rotations.numpy()


def _refit_batch(skinning, rotations, predicted_betas, betas):
    """Refit a batch of poses by least squares; see `refit`."""
    target = _from_wrist(skinning.joints(rotations, predicted_betas))
    numbers = 3 * rotations.shape[1]

    def residuals(step, current, start, target):
        """Return the residuals (111,) of one hand after a rotation step (48,) from its pose `current`: 63 of position, 48 of rotation.

        `start` are the rotations before the refit, and `target` the joints (21, xyz 3) before the refit, in metres from the wrist.
        """
        stepped = current @ exponential(step.view(-1, 3))[0]
        position = (_from_wrist(skinning.joints(stepped, betas)) - target) / POSITION_SIGMA_M
        # For small angles the antisymmetric part of R_start' R is the rotation vector.
        relative = start.transpose(-1, -2) @ stepped
        rotation = 0.5 * torch.stack(
            [relative[:, 2, 1] - relative[:, 1, 2], relative[:, 0, 2] - relative[:, 2, 0], relative[:, 1, 0] - relative[:, 0, 1]], dim=-1
        )
        return torch.cat([position.flatten(), rotation.flatten() / ROTATION_SIGMA_RAD])

    no_step = torch.zeros(len(rotations), numbers)
    jacobian_of = torch.func.vmap(torch.func.jacfwd(residuals))

    def evaluate(state):
        (current,) = state
        residual = torch.func.vmap(residuals)(no_step, current, rotations, target)
        jacobian = jacobian_of(no_step, current, rotations, target)
        transposed = jacobian.transpose(1, 2)
        return 0.5 * (residual**2).sum(-1), (transposed @ residual[..., None]).squeeze(-1), transposed @ jacobian

    def retract(state, step):
        return (state[0] @ exponential(step.view(len(step), -1, 3))[0],)

    (refitted,), _ = minimise((rotations,), evaluate, retract, ITERATIONS)
    return refitted


def _from_wrist(joints):
    """Return joints (..., 21, 3) relative to the wrist."""
    return joints - joints[..., :1, :]
