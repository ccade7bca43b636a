"""Priors: joint angles and heights of playing hands, and errors of the detector's landmarks.

The priors of angles are wide where players differ, and narrow for axes about which joints hardly rotate. The priors of heights describe
hands over a keyboard. Without a registered keyboard, only differences of heights within a hand are used.

Several values were chosen or checked on simulated performances (`handroll.simulator`), with random seeds that no reported measurement
uses.
"""

import numpy as np

from handroll.hand.skeleton import FINGERS, JOINT_OF_LANDMARK, JOINTS, KNUCKLES, N_JOINTS, TIPS
from handroll.pose.differentiable_hand import BENDS, N_ANGLES

LIMIT_SIGMA_RAD = np.radians(2.0)
"""Softness of the joint limits: standard deviation (rad) of the excess beyond a limit."""

# Prior of the angles of each joint: (mean, standard deviation) of flexion, abduction and twist, in degrees. The means describe a curved
# hand whose knuckles hardly bend. They minimise the aligned joint error on simulated performances. "finger1" to "finger3" are the base,
# middle and end joints of the fingers from index to pinky. Fingers hardly twist, and their middle and end joints are hinges. The saddle
# joint of the thumb ("thumb1") rotates about all axes.
_ANGLES_DEG = {
    "finger1": ((4.0, 20.0), (0.0, 10.0), (0.0, 4.0)),
    "finger2": ((48.0, 20.0), (0.0, 2.0), (0.0, 2.0)),
    "finger3": ((0.0, 10.0), (0.0, 2.0), (0.0, 2.0)),
    "thumb1": ((0.0, 20.0), (0.0, 20.0), (0.0, 8.0)),
    "thumb2": ((10.0, 15.0), (0.0, 5.0), (0.0, 3.0)),
    "thumb3": ((15.0, 20.0), (0.0, 2.0), (0.0, 2.0)),
}

DIP_PER_PIP = 2.0 / 3.0
"""Ratio of the flexion of a finger's end joint to that of its middle joint (Rijpkema and Girard 1991, doi:10.1145/127719.122754). The prior
of the end joint ("finger3") applies to the deviation from this ratio."""

HEIGHTS_MM = {"wrist": (50.0, 15.0), "knuckle": (57.0, 12.0), "tip": (22.0, 13.0)}
"""Mean and standard deviation (mm) of the height of joint centres above the white keys. The centre of a fingertip is 6 mm inside the
finger, and idle fingers hover. The values are close to those of simulated performances (wrist 46, knuckles 50 to 57, tips 12 to 27 mm), so
errors measured on simulated performances are optimistic: if all means are wrong by 15 mm, the aligned joint error increases by 0.4 mm."""

HEIGHT_PRESSING_MM = (-3.0, 3.0)
"""Mean and standard deviation (mm) of the height of a fingertip's centre relative to the key that it holds down. The height is measured
from the top of the key when it is not pressed. The pressed key is 9 mm lower, and the centre is 6 mm above it, inside the finger."""

HEIGHT_FREE_MM = (26.0, 7.0)
"""Mean and standard deviation (mm) of the height above the white keys of the free fingertips of a hand that holds down a key. Source:
simulated performances."""

# Position of a landmark minus that of its joint, in the template frame (fingers along -x, thumb towards +z), in mm. MediaPipe's wrist is
# nearer to the fingers than the joint (by 6 to 11 mm) and nearer to the pinky (by 2 to 4 mm). MediaPipe's base of the thumb is farther
# towards the thumb's side (by 5 to 8 mm). The offsets were measured in the residuals of fits to overhead videos of two real pianists, and
# on rendered hands with known joints.
_OFFSETS_MM = {"wrist": (-7.0, 0.0, -4.0), "thumb1": (0.0, 0.0, 6.0)}

# Standard deviation of a landmark along an image axis, in mm at the depth of the hand: about that of MediaPipe on rendered playing hands.
# Results hardly depend on it: 3.5 or 7 mm change the mean joint error by less than 0.2 mm.
_LANDMARK_SIGMA_MM = 5.0

# Standard deviation of the landmarks for which it is larger than `_LANDMARK_SIGMA_MM`, in mm at the depth of the hand.
_LANDMARK_SIGMAS_MM = {"wrist": 8.0, "thumb1": 8.0}


def angle_prior():
    """Return the Gaussian prior of the 45 angles.

    Returns
    -------
    mean : array (45,), rad
        Mean angles in the order (finger 5, bend 3, axis 3), as in `differentiable_hand.pose_landmarks`.
    precision : array (45, 45), 1 / rad^2
        Diagonal, except for the coupling of the flexion of each finger's end joint to that of its middle joint.
    """
    table = np.array([[_ANGLES_DEG[f"{'thumb' if finger == 'thumb' else 'finger'}{bend}"] for bend in (1, 2, 3)] for finger in FINGERS])
    mean, sigma = np.radians(table[..., 0]), np.radians(table[..., 1])
    # Each row of `whitening` computes one residual: (angle - expected angle) / sigma.
    whitening = np.diag(1.0 / sigma.ravel())
    flexion = np.arange(N_ANGLES).reshape(5, 3, 3)[:, :, 0]
    for finger in range(1, len(FINGERS)):
        middle, end = flexion[finger, 1], flexion[finger, 2]
        whitening[end, middle] = -DIP_PER_PIP * whitening[end, end]
        mean[finger, 2, 0] += DIP_PER_PIP * mean[finger, 1, 0]
    return mean.ravel(), whitening.T @ whitening


def angle_limits(template):
    """Return the minimum and the maximum of the 45 angles: two arrays (45,), rad, in the order of `angle_prior`."""
    limits = template.limits_rad[BENDS].reshape(N_ANGLES, 2)
    return limits[:, 0].copy(), limits[:, 1].copy()


def height_prior():
    """Return the prior heights of wrist, knuckles and fingertips above the white keys.

    Returns
    -------
    rows : array (k,), int
        Indices of these points in the landmarks of `differentiable_hand.pose_landmarks`.
    mean, sigma : array (k,), m
        Mean and standard deviation of their heights.
    """
    kinds = {0: "wrist", **dict.fromkeys(KNUCKLES, "knuckle"), **dict.fromkeys(TIPS, "tip")}
    rows = np.array([row for row, joint in enumerate(JOINT_OF_LANDMARK) if joint in kinds])
    mean, sigma = np.array([HEIGHTS_MM[kinds[JOINT_OF_LANDMARK[row]]] for row in rows]).T * 1e-3
    return rows, mean, sigma


def landmark_offsets_m():
    """Return the offsets (21, xyz 3) of MediaPipe's landmarks from `skeleton.JOINTS`, in metres and the template frame."""
    offsets = np.zeros((N_JOINTS, 3))
    for name, offset in _OFFSETS_MM.items():
        offsets[JOINTS.index(name)] = offset
    return offsets * 1e-3


def landmark_sigma_m():
    """Return the standard deviations (21,) of landmarks along an image axis, in MediaPipe's order, in metres at the depth of the hand."""
    return np.array([_LANDMARK_SIGMAS_MM.get(JOINTS[joint], _LANDMARK_SIGMA_MM) for joint in JOINT_OF_LANDMARK]) * 1e-3
