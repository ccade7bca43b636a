"""What is known about a playing hand before a picture is seen: Gaussian priors and limits on joint angles, and heights.

Angles are wide where players differ and tight where bones hardly move. Heights are those of hands over a keyboard; only
their differences within a hand are used, since no keyboard is registered at this step.
"""

import numpy as np

from handroll.hand.skeleton import FINGERS, JOINT_OF_LANDMARK, KNUCKLES, TIPS
from handroll.pose.articulation import BENDS, N_ANGLES

LIMIT_SIGMA_RAD = np.radians(2.0)
"""How softly a joint stops at its limit."""

# joint: (mean, sigma) of flexion, abduction and twist, degrees. Means are a relaxed, slightly curved hand. Fingers hardly
# twist, and their middle and end joints are hinges; the thumb's saddle joint is free.
_ANGLES_DEG = {
    "finger1": ((20.0, 25.0), (0.0, 10.0), (0.0, 4.0)),
    "finger2": ((35.0, 25.0), (0.0, 2.0), (0.0, 2.0)),
    "finger3": ((0.0, 10.0), (0.0, 2.0), (0.0, 2.0)),
    "thumb1": ((0.0, 20.0), (0.0, 20.0), (0.0, 8.0)),
    "thumb2": ((10.0, 15.0), (0.0, 5.0), (0.0, 3.0)),
    "thumb3": ((15.0, 20.0), (0.0, 2.0), (0.0, 2.0)),
}

DIP_PER_PIP = 2.0 / 3.0
"""A finger's end joint follows its middle joint (Rijpkema and Girard 1991, doi:10.1145/127719.122754); the prior of "finger3"
is about that value."""

_HEIGHTS_MM = {"wrist": (55.0, 20.0), "knuckle": (65.0, 15.0), "tip": (8.0, 12.0)}
"""(mean, sigma) above the keys. Means: a level playing hand of the synthetic pianist, wide enough to be wrong by 20 mm."""


def angle_prior():
    """Gaussian prior of the 45 angles.

    Returns
    -------
    mean : array (45,), rad
        Order (finger 5, bend 3, axis 3), as `articulation.pose_landmarks`.
    precision : array (45, 45), 1 / rad^2
    """
    table = np.array([[_ANGLES_DEG[f"{'thumb' if finger == 'thumb' else 'finger'}{bend}"] for bend in (1, 2, 3)] for finger in FINGERS])
    mean, sigma = np.radians(table[..., 0]), np.radians(table[..., 1])
    # Rows of `whitening` are residuals: (angle - what it should be) / sigma.
    whitening = np.diag(1.0 / sigma.ravel())
    flexion = np.arange(N_ANGLES).reshape(5, 3, 3)[:, :, 0]
    for finger in range(1, len(FINGERS)):
        middle, end = flexion[finger, 1], flexion[finger, 2]
        whitening[end, middle] = -DIP_PER_PIP * whitening[end, end]
        mean[finger, 2, 0] += DIP_PER_PIP * mean[finger, 1, 0]
    return mean.ravel(), whitening.T @ whitening


def angle_limits(template):
    """Least and greatest of the 45 angles: two arrays (45,), rad."""
    limits = template.limits_rad[BENDS].reshape(N_ANGLES, 2)
    return limits[:, 0].copy(), limits[:, 1].copy()


def height_prior():
    """Heights of some landmarks above a plane.

    Returns
    -------
    rows : array (k,), int
        Indices into the landmarks of `articulation.pose_landmarks`: wrist, knuckles, tips.
    mean_m, sigma_m : array (k,)
    """
    kinds = {0: "wrist", **dict.fromkeys(KNUCKLES, "knuckle"), **dict.fromkeys(TIPS, "tip")}
    rows = np.array([row for row, joint in enumerate(JOINT_OF_LANDMARK) if joint in kinds])
    mean, sigma = np.array([_HEIGHTS_MM[kinds[JOINT_OF_LANDMARK[row]]] for row in rows]).T * 1e-3
    return rows, mean, sigma


_OFFSETS_MM = {
    "wrist": (-7.0, 0.0, -4.0),
    "thumb_tip": (0.0, 0.0, 0.0),
}

def landmark_offsets():
    out = np.zeros((21, 3))
    out[0] = _OFFSETS_MM["wrist"]
    return out * 1e-3
