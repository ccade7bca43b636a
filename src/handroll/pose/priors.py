"""Priors: joint angles and heights of playing hands, and errors of the detector's landmarks.

The priors of angles are wide where players differ and narrow where bones hardly move. Heights are those of hands over a keyboard;
without a registered keyboard only their differences within a hand are used.
"""

import numpy as np

from handroll.hand.skeleton import FINGERS, JOINT_OF_LANDMARK, JOINTS, KNUCKLES, N_JOINTS, TIPS
from handroll.pose.differentiable_hand import BENDS, N_ANGLES

LIMIT_SIGMA_RAD = np.radians(2.0)
"""Softness of the joint limits: standard deviation beyond a limit, radians."""

# joint: (mean, sigma) of flexion, abduction and twist, degrees. The means describe a curved hand whose knuckles hardly bend. They were
# chosen by the aligned joint error on performances of the synthetic pianist with development seeds. Fingers hardly twist, and their
# middle and end joints are hinges; the saddle joint of the thumb is free.
_ANGLES_DEG = {
    "finger1": ((4.0, 20.0), (0.0, 10.0), (0.0, 4.0)),
    "finger2": ((48.0, 20.0), (0.0, 2.0), (0.0, 2.0)),
    "finger3": ((0.0, 10.0), (0.0, 2.0), (0.0, 2.0)),
    "thumb1": ((0.0, 20.0), (0.0, 20.0), (0.0, 8.0)),
    "thumb2": ((10.0, 15.0), (0.0, 5.0), (0.0, 3.0)),
    "thumb3": ((15.0, 20.0), (0.0, 2.0), (0.0, 2.0)),
}

DIP_PER_PIP = 2.0 / 3.0
"""Flexion of a finger's end joint, as a share of that of its middle joint (Rijpkema and Girard 1991, doi:10.1145/127719.122754). The
prior of "finger3" is relative to it."""

HEIGHTS_MM = {"wrist": (50.0, 15.0), "knuckle": (57.0, 12.0), "tip": (22.0, 13.0)}
"""(mean, sigma) of the height of joint centres above the keys: that of a fingertip is 6 mm inside the finger, and idle fingers hover. The
values are close to those of the synthetic pianist (wrist 46, knuckles 50 to 57, tips 12 to 27 mm, development seeds), so errors measured
on it are optimistic. Means that are all wrong by 15 mm increase the aligned joint error there by 0.4 mm."""

HEIGHT_PRESSING_MM = (-3.0, 3.0)
"""(mean, sigma) of the height of a fingertip's joint centre above the resting top of the key that it holds down: the key is 9 mm down,
and the centre is 6 mm inside the finger."""

HEIGHT_FREE_MM = (26.0, 7.0)
"""(mean, sigma) of the height above the white keys of the other fingertips of a hand that holds a key: those of the synthetic pianist,
26 +- 7 mm."""

# Landmark minus joint, template frame (fingers along -x, thumb towards +z), mm. MediaPipe's wrist is nearer to the fingers (by 6 to
# 11 mm) and to the pinky (2 to 4) than the joint of the skeleton, and its base of the thumb is on the outer side (5 to 8). Measured in
# the residuals of fits to overhead videos of two real pianists, and on rendered hands with known joints.
_OFFSETS_MM = {"wrist": (-7.0, 0.0, -4.0), "thumb1": (0.0, 0.0, 6.0)}

# Error of a landmark along an image axis, mm on the hand: about that of MediaPipe on rendered playing hands. Results hardly depend on
# it: 3.5 or 7 mm change the mean joint error by less than 0.2 mm.
_LANDMARK_SIGMA_MM = 5.0
_LANDMARK_SIGMAS_MM = {"wrist": 8.0, "thumb1": 8.0}


def angle_prior():
    """Return the Gaussian prior of the 45 angles.

    Returns
    -------
    mean : array (45,), rad
        Order (finger 5, bend 3, axis 3), as in `articulation.pose_landmarks`.
    precision : array (45, 45), 1 / rad^2
        Diagonal, except for the coupling of each finger's end joint to its middle joint.
    """
    table = np.array([[_ANGLES_DEG[f"{'thumb' if finger == 'thumb' else 'finger'}{bend}"] for bend in (1, 2, 3)] for finger in FINGERS])
    mean, sigma = np.radians(table[..., 0]), np.radians(table[..., 1])
    # Rows of `whitening` give residuals: (angle - expected angle) / sigma.
    whitening = np.diag(1.0 / sigma.ravel())
    flexion = np.arange(N_ANGLES).reshape(5, 3, 3)[:, :, 0]
    for finger in range(1, len(FINGERS)):
        middle, end = flexion[finger, 1], flexion[finger, 2]
        whitening[end, middle] = -DIP_PER_PIP * whitening[end, end]
        mean[finger, 2, 0] += DIP_PER_PIP * mean[finger, 1, 0]
    return mean.ravel(), whitening.T @ whitening


def angle_limits(template):
    """Return the minimum and maximum of the 45 angles: two arrays (45,), rad."""
    limits = template.limits_rad[BENDS].reshape(N_ANGLES, 2)
    return limits[:, 0].copy(), limits[:, 1].copy()


def height_prior():
    """Return the prior heights of wrist, knuckles and fingertips above the white keys.

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
    """Return the offsets of MediaPipe's landmarks from the joints (21, xyz 3), in order of `skeleton.JOINTS`, template frame, metres."""
    offsets = np.zeros((N_JOINTS, 3))
    for name, offset in _OFFSETS_MM.items():
        offsets[JOINTS.index(name)] = offset
    return offsets * 1e-3


def landmark_sigma_m():
    """Return the standard deviation of MediaPipe's landmarks (21,) along an image axis, metres on the hand."""
    return np.array([_LANDMARK_SIGMAS_MM.get(JOINTS[joint], _LANDMARK_SIGMA_MM) for joint in JOINT_OF_LANDMARK]) * 1e-3
