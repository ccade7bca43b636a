"""What is known before a picture is seen: how a playing hand bends and is held, and how a detector's landmarks err.

Angles are wide where players differ and tight where bones hardly move. Heights are those of hands over a keyboard; only
their differences within a hand are used, since no keyboard is registered at this step.
"""

import numpy as np

from handroll.hand.skeleton import FINGERS, JOINT_OF_LANDMARK, JOINTS, KNUCKLES, N_JOINTS, TIPS
from handroll.pose.articulation import BENDS, N_ANGLES

LIMIT_SIGMA_RAD = np.radians(2.0)
"""How softly a joint stops at its limit."""

# joint: (mean, sigma) of flexion, abduction and twist, degrees. Means are a relaxed, slightly curved hand. Fingers hardly
# twist, and their middle and end joints are hinges; the thumb's saddle joint is free.
_ANGLES_DEG = {
    "finger1": ((15.0, 20.0), (0.0, 10.0), (0.0, 4.0)),
    "finger2": ((40.0, 20.0), (0.0, 2.0), (0.0, 2.0)),
    "finger3": ((0.0, 10.0), (0.0, 2.0), (0.0, 2.0)),
    "thumb1": ((0.0, 20.0), (0.0, 20.0), (0.0, 8.0)),
    "thumb2": ((10.0, 15.0), (0.0, 5.0), (0.0, 3.0)),
    "thumb3": ((15.0, 20.0), (0.0, 2.0), (0.0, 2.0)),
}

DIP_PER_PIP = 2.0 / 3.0
"""A finger's end joint follows its middle joint (Rijpkema and Girard 1991, doi:10.1145/127719.122754); the prior of "finger3"
is about that value."""

_HEIGHTS_MM = {"wrist": (55.0, 15.0), "knuckle": (62.0, 10.0), "tip": (15.0, 12.0)}
"""(mean, sigma) above the keys, of joint centres: a fingertip's lies 6 mm inside the finger, and idle fingers hover."""

# Landmark minus joint, template frame (fingers along -x, thumb towards +z), mm. MediaPipe marks the wrist nearer to the
# fingers (by 6 to 11 mm) and to the pinky (2 to 4) than the joint of the skeleton, and the base of the thumb on its outer
# side (5 to 8): seen in the residuals of fits to overhead videos of two real pianists, and on rendered hands with known joints.
_OFFSETS_MM = {"wrist": (-7.0, 0.0, -4.0), "thumb1": (0.0, 0.0, 6.0)}

# Error of a landmark along an axis of the picture, mm on the hand: about what MediaPipe shows on rendered playing hands.
# Results hardly depend on it: 2.5 or 5 mm change the mean joint error by less than 0.3 mm.
_LANDMARK_SIGMA_MM = 3.5
_LANDMARK_SIGMAS_MM = {"wrist": 6.0, "thumb1": 6.0}


def angle_prior():
    """Gaussian prior of the 45 angles.

    Returns
    -------
    mean : array (45,), rad
        Order (finger 5, bend 3, axis 3), as in `articulation.pose_landmarks`.
    precision : array (45, 45), 1 / rad^2
        Diagonal but for the coupling of each finger's end joint to its middle joint.
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
    """Heights of wrist, knuckles and tips above a plane of unknown height, as whitened residuals.

    With heights h and prior mean m, sigma s, the best plane is the weighted mean of h - m, so that residual i is
    (h_i - m_i - mean(h - m)) / s_i: linear in h.

    Returns
    -------
    rows : array (k,), int
        Indices into the landmarks of `articulation.pose_landmarks`.
    residual_of_height : array (k, k), 1 / m
    residual_of_mean : array (k,)
        Residuals are residual_of_height @ h - residual_of_mean.
    """
    kinds = {0: "wrist", **dict.fromkeys(KNUCKLES, "knuckle"), **dict.fromkeys(TIPS, "tip")}
    rows = np.array([row for row, joint in enumerate(JOINT_OF_LANDMARK) if joint in kinds])
    mean, sigma = np.array([_HEIGHTS_MM[kinds[JOINT_OF_LANDMARK[row]]] for row in rows]).T * 1e-3
    weight = sigma**-2 / np.sum(sigma**-2)
    residual_of_height = (np.eye(len(rows)) - weight) / sigma[:, None]
    return rows, residual_of_height, residual_of_height @ mean


def landmark_offsets_m():
    """Where MediaPipe puts its landmarks: landmark minus joint (21, xyz 3) for each of `skeleton.JOINTS`, template frame, metres."""
    offsets = np.zeros((N_JOINTS, 3))
    for name, offset in _OFFSETS_MM.items():
        offsets[JOINTS.index(name)] = offset
    return offsets * 1e-3


def landmark_sigma_m():
    """Standard deviation of each of MediaPipe's landmarks (21,) along an axis of the picture, metres on the hand."""
    return np.array([_LANDMARK_SIGMAS_MM.get(JOINTS[joint], _LANDMARK_SIGMA_MM) for joint in JOINT_OF_LANDMARK]) * 1e-3
