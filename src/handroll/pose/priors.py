"""What is known before a picture is seen: how a playing hand bends and is held, and how a detector's landmarks err.

Angles are wide where players differ and tight where bones hardly move. Heights are those of hands over a keyboard; where
none is registered, only their differences within a hand are used.
"""

import numpy as np

from handroll.hand.skeleton import FINGERS, JOINT_OF_LANDMARK, JOINTS, KNUCKLES, N_JOINTS, TIPS
from handroll.pose.articulation import BENDS, N_ANGLES

LIMIT_SIGMA_RAD = np.radians(2.0)
"""How softly a joint stops at its limit."""

# joint: (mean, sigma) of flexion, abduction and twist, degrees. Means are a curved hand whose knuckles hardly bend: chosen by
# aligned joint error on performances of the synthetic pianist with development seeds. Fingers hardly twist, and their middle
# and end joints are hinges; the thumb's saddle joint is free.
_ANGLES_DEG = {
    "finger1": ((4.0, 20.0), (0.0, 10.0), (0.0, 4.0)),
    "finger2": ((48.0, 20.0), (0.0, 2.0), (0.0, 2.0)),
    "finger3": ((0.0, 10.0), (0.0, 2.0), (0.0, 2.0)),
    "thumb1": ((0.0, 20.0), (0.0, 20.0), (0.0, 8.0)),
    "thumb2": ((10.0, 15.0), (0.0, 5.0), (0.0, 3.0)),
    "thumb3": ((15.0, 20.0), (0.0, 2.0), (0.0, 2.0)),
}

DIP_PER_PIP = 2.0 / 3.0
"""A finger's end joint follows its middle joint (Rijpkema and Girard 1991, doi:10.1145/127719.122754); the prior of "finger3"
is about that value."""

HEIGHTS_MM = {"wrist": (50.0, 15.0), "knuckle": (57.0, 12.0), "tip": (22.0, 13.0)}
"""(mean, sigma) above the keys, of joint centres: a fingertip's lies 6 mm inside the finger, and idle fingers hover. Near what
the synthetic pianist does (wrist 46, knuckles 50 to 57, tips 12 to 27 mm, development seeds), so errors measured on it flatter;
means that are all 15 mm wrong cost 0.4 mm of aligned joint error there."""

HEIGHT_PRESSING_MM = (-3.0, 3.0)
"""(mean, sigma) of a fingertip's joint centre above the top at rest of the key that it holds down: 9 mm down, 6 mm inside."""

HEIGHT_FREE_MM = (26.0, 7.0)
"""(mean, sigma) above the white keys of the other fingertips of a hand that holds a key: the synthetic pianist's, 26 +- 7 mm."""

# Landmark minus joint, template frame (fingers along -x, thumb towards +z), mm. MediaPipe marks the wrist nearer to the
# fingers (by 6 to 11 mm) and to the pinky (2 to 4) than the joint of the skeleton, and the base of the thumb on its outer
# side (5 to 8): seen in the residuals of fits to overhead videos of two real pianists, and on rendered hands with known joints.
_OFFSETS_MM = {"wrist": (-7.0, 0.0, -4.0), "thumb1": (0.0, 0.0, 6.0)}

# Error of a landmark along an axis of the picture, mm on the hand: about what MediaPipe shows on rendered playing hands.
# Results hardly depend on it: 3.5 or 7 mm change the mean joint error by less than 0.2 mm.
_LANDMARK_SIGMA_MM = 5.0
_LANDMARK_SIGMAS_MM = {"wrist": 8.0, "thumb1": 8.0}


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
    """Heights of wrist, knuckles and tips above the white keys.

    Returns
    -------
    rows : array (k,), int
        Indices into the landmarks of `articulation.pose_landmarks`.
    mean, sigma : array (k,), m
    """
    kinds = {0: "wrist", **dict.fromkeys(KNUCKLES, "knuckle"), **dict.fromkeys(TIPS, "tip")}
    rows = np.array([row for row, joint in enumerate(JOINT_OF_LANDMARK) if joint in kinds])
    mean, sigma = np.array([HEIGHTS_MM[kinds[JOINT_OF_LANDMARK[row]]] for row in rows]).T * 1e-3
    return rows, mean, sigma


def landmark_offsets_m():
    """Where MediaPipe puts its landmarks: landmark minus joint (21, xyz 3) for each of `skeleton.JOINTS`, template frame, metres."""
    offsets = np.zeros((N_JOINTS, 3))
    for name, offset in _OFFSETS_MM.items():
        offsets[JOINTS.index(name)] = offset
    return offsets * 1e-3


def landmark_sigma_m():
    """Standard deviation of each of MediaPipe's landmarks (21,) along an axis of the picture, metres on the hand."""
    return np.array([_LANDMARK_SIGMAS_MM.get(JOINTS[joint], _LANDMARK_SIGMA_MM) for joint in JOINT_OF_LANDMARK]) * 1e-3
