"""Inverse kinematics of the fingers: find the joint angles that move the fingertips to given points, for all frames at once.

Each finger has three degrees of freedom (dof): flexion and abduction of its base joint, and a curl that bends the two outer joints
together. An angle is the component of a joint's axis-angle vector along an anatomical axis of the hand template. Therefore the joint limits
of the template apply directly to angles, and joints do not twist. The solver is damped Gauss-Newton (Levenberg 1944,
doi:10.1090/qam/10666) with an active set for the limits.

All functions work on right hands in MANO's frame, with the wrist at the origin and bone scale 1. A left hand is solved as its mirror image.
The component axis (xyz) is the first axis of all arrays, because this makes cross products fast.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit

from handroll.hand.skeleton import CHAINS, FINGERS, N_ROTATIONS
from handroll.hand.template import open_hand

FLEXION, ABDUCTION, CURL = range(3)
"""Indices of a finger's degrees of freedom."""

# Bend of a finger's middle and outer joint per radian of curl. The outer (DIP) joint bends by about half the angle of the middle (PIP)
# joint.
_FINGER_COUPLING = (1.0, 0.55)

# Bend of the thumb's middle and outer joint per radian of curl.
_THUMB_COUPLING = (0.6, 1.0)

# Angles (finger, dof) of a curved hand. They are the prior and the default start of the solver, so that it converges to the anatomical
# solution.
_REST_RAD = np.radians([[10.0, 0.0, 15.0], [25.0, 0.0, 45.0], [25.0, 0.0, 45.0], [25.0, 0.0, 45.0], [25.0, 0.0, 45.0]])

# Standard deviation of the errors of fingertips relative to their target points.
_TIP_SIGMA_M = 0.5e-3

# Standard deviation of the prior on angles. The prior is weak: it moves a fingertip by less than 0.1 mm, unless the target is out of reach.
_ANGLE_SIGMA_RAD = 1.5

# Relative increase of the diagonal of the normal equations (Levenberg's damping).
_DAMPING = 1e-3

# Maximum change of an angle per iteration. It prevents a stretched finger from bending backwards.
_STEP_RAD = 0.35


@dataclass(frozen=True)
class Chains:
    """The five fingers as chains of three bones. Fingers are in the order of `skeleton.FINGERS`.

    Attributes
    ----------
    base_m : array (xyz 3, finger 5)
        Base joints relative to the wrist, metres.
    bones_m : array (bone 3, xyz 3, finger 5)
        Vectors along the bones, metres.
    flexion, abduction : array (joint 3, xyz 3, finger 5)
        Anatomical axes of the joints, unit vectors.
    coupling : array (joint 2, finger 5)
        Bend of the middle and outer joint per radian of curl.
    limits_rad : array (dof 3, finger 5, 2)
        Minimum and maximum angle.
    """

    base_m: np.ndarray
    bones_m: np.ndarray
    flexion: np.ndarray
    abduction: np.ndarray
    coupling: np.ndarray
    limits_rad: np.ndarray


@cache
def chains():
    """Return the fingers of the open hand as `Chains`."""
    template = open_hand()
    joints = np.array([CHAINS[finger] for finger in FINGERS])
    points = template.joints_m[joints]
    bends = joints[:, :3]
    coupling = np.array([_THUMB_COUPLING if finger == "thumb" else _FINGER_COUPLING for finger in FINGERS])
    flex_limits = template.limits_rad[bends, 0]
    curl = flex_limits[:, 1:] / coupling[:, :, None]
    limits = np.stack([flex_limits[:, 0], template.limits_rad[bends[:, 0], 1], np.stack([curl[..., 0].max(1), curl[..., 1].min(1)], -1)])
    return Chains(
        base_m=(points[:, 0] - template.joints_m[0]).T,
        bones_m=np.moveaxis(np.diff(points, axis=1), 0, -1),
        flexion=np.moveaxis(template.axes[bends, 0], 0, -1),
        abduction=np.moveaxis(template.axes[bends, 1], 0, -1),
        coupling=coupling.T,
        limits_rad=limits,
    )


@njit(cache=True)
def _cross(a, b):
    """Compute cross products of arrays (3, frame, finger)."""
    out = np.empty(a.shape)
    for t in range(a.shape[1]):
        for f in range(a.shape[2]):
            out[0, t, f] = a[1, t, f] * b[2, t, f] - a[2, t, f] * b[1, t, f]
            out[1, t, f] = a[2, t, f] * b[0, t, f] - a[0, t, f] * b[2, t, f]
            out[2, t, f] = a[0, t, f] * b[1, t, f] - a[1, t, f] * b[0, t, f]
    return out


@njit(cache=True)
def _rotated_sum(w, v, first, second):
    """Compute v + first (w x v) + second (w x (w x v)) in one pass over memory.

    `w` and `v` are vectors (3, frame, finger); `first` and `second` are factors (frame, finger).
    """
    out = np.empty(w.shape)
    for t in range(w.shape[1]):
        for f in range(w.shape[2]):
            x, y, z = w[0, t, f], w[1, t, f], w[2, t, f]
            once = y * v[2, t, f] - z * v[1, t, f], z * v[0, t, f] - x * v[2, t, f], x * v[1, t, f] - y * v[0, t, f]
            twice = y * once[2] - z * once[1], z * once[0] - x * once[2], x * once[1] - y * once[0]
            out[0, t, f] = v[0, t, f] + first[t, f] * once[0] + second[t, f] * twice[0]
            out[1, t, f] = v[1, t, f] + first[t, f] * once[1] + second[t, f] * twice[1]
            out[2, t, f] = v[2, t, f] + first[t, f] * once[2] + second[t, f] * twice[2]
    return out


@dataclass(frozen=True)
class _Turn:
    """Rotations by axis-angle vectors `w` (3, frame, finger).

    `angle` is the length of `w`. `sine` and `versine` are the factors sin(angle) / angle and (1 - cos(angle)) / angle^2 of Rodrigues'
    formula.
    """

    w: np.ndarray
    angle: np.ndarray
    sine: np.ndarray
    versine: np.ndarray

    @staticmethod
    def by(w):
        """Create the rotations by axis-angle vectors `w`."""
        angle = np.sqrt(np.sum(w * w, axis=0))
        return _Turn(w, angle, np.sinc(angle / np.pi), 0.5 * np.sinc(angle / (2.0 * np.pi)) ** 2)

    def of(self, v):
        """Rotate vectors `v` (Rodrigues' formula)."""
        return _rotated_sum(self.w, v, self.sine, self.versine)

    def spin(self, v):
        """Apply the left Jacobian of SO(3) to `v`.

        The result is the rotation vector, in the fixed frame, by which exp(w) changes when `w` changes by `v`.
        """
        angle = np.maximum(self.angle, 1e-6)
        return _rotated_sum(self.w, v, self.versine, (angle - np.sin(angle)) / angle**3)


def tips_from_angles(angles_rad):
    """Compute the positions of the fingertips from joint angles (forward kinematics).

    Parameters
    ----------
    angles_rad : array (dof 3, frame, finger 5)

    Returns
    -------
    array (xyz 3, frame, finger 5)
        Metres, MANO's frame, wrist at the origin.
    """
    return chains().base_m[:, None] + _bend_fingers(angles_rad)[-1]


def _bend_fingers(angles):
    """Return five values: rotations of base and middle joint; vectors (3, frame, finger) to the tip from outer, middle and base joint."""
    c = chains()
    wide = (slice(None), None)
    first = _Turn.by(angles[FLEXION] * c.flexion[0][wide] + angles[ABDUCTION] * c.abduction[0][wide])
    second = _Turn.by(c.coupling[0] * angles[CURL] * c.flexion[1][wide])
    outer = _Turn.by(c.coupling[1] * angles[CURL] * c.flexion[2][wide]).of(np.broadcast_to(c.bones_m[2][wide], angles.shape))
    middle = second.of(c.bones_m[1][wide] + outer)
    return first, second, outer, middle, first.of(c.bones_m[0][wide] + middle)


def _tips_and_jacobian(angles):
    """Return the fingertips (3, frame, finger), and a list of their derivatives by each degree of freedom (3, frame, finger)."""
    c = chains()
    first, second, outer, middle, finger = _bend_fingers(angles)
    flexion, abduction = (np.broadcast_to(axes[:, :, None], (3, *angles.shape)) for axes in (c.flexion, c.abduction))
    bend3 = second.of(_cross(flexion[2], outer))
    bend = c.coupling[0] * _cross(flexion[1], middle) + c.coupling[1] * bend3
    return c.base_m[:, None] + finger, [*(_cross(first.spin(axes[0]), finger) for axes in (flexion, abduction)), first.of(bend)]


def angles_from_tips(tips_m, start_rad=None, iterations=16):
    """Find the joint angles, within the joint limits, that move the fingertips as near as possible to given points.

    Parameters
    ----------
    tips_m : array (xyz 3, frame, finger 5)
        Target points: metres, MANO's frame of a right hand of bone scale 1, wrist at the origin.
    start_rad : array (dof 3, frame, finger 5), optional
        Initial angles, such as the solution for nearby points. None starts from a curved hand.
    iterations : int
        Number of Gauss-Newton iterations.

    Returns
    -------
    array (dof 3, frame, finger 5)
        Radians, inside `Chains.limits_rad`.
    """
    low, high = (chains().limits_rad[:, None, :, side] for side in (0, 1))
    rest = np.broadcast_to(_REST_RAD.T[:, None], tips_m.shape)
    angles = rest.copy() if start_rad is None else start_rad
    stiffness = (_TIP_SIGMA_M / _ANGLE_SIGMA_RAD) ** 2
    for _ in range(iterations):
        tips, jacobian = _tips_and_jacobian(angles)
        miss = tips_m - tips
        pull = np.stack([np.sum(column * miss, axis=0) for column in jacobian]) + stiffness * (rest - angles)
        held = ((angles <= low) & (pull < 0.0)) | ((angles >= high) & (pull > 0.0))
        # An angle that is held at its limit is removed from the system: its row and column become those of the identity.
        normal = np.empty((*angles.shape[1:], 3, 3))
        for i in range(3):
            for j in range(i, 3):
                entry = np.where(held[i] | held[j], 0.0, np.sum(jacobian[i] * jacobian[j], axis=0))
                normal[..., i, j] = normal[..., j, i] = entry
            normal[..., i, i] = np.where(held[i], 1.0, normal[..., i, i] * (1.0 + _DAMPING) + stiffness)
        step = np.linalg.solve(normal, np.moveaxis(np.where(held, 0.0, pull), 0, -1)[..., None])[..., 0]
        angles = np.clip(angles + np.clip(np.moveaxis(step, -1, 0), -_STEP_RAD, _STEP_RAD), low, high)
    return angles


def rotation_from_angles(angles_rad):
    """Convert joint angles to axis-angle vectors of the MANO joints of a right hand.

    Parameters
    ----------
    angles_rad : array (dof 3, frame, finger 5)

    Returns
    -------
    array (frame, joint 16, 3)
        Radians; zero for the wrist.
    """
    c = chains()
    rotation = np.zeros((angles_rad.shape[1], N_ROTATIONS, 3))
    for index, finger in enumerate(FINGERS):
        flexion, abduction, curl = angles_rad[:, :, index, None]
        first, second, third, _ = CHAINS[finger]
        rotation[:, first] = flexion * c.flexion[0, :, index] + abduction * c.abduction[0, :, index]
        rotation[:, second] = curl * c.coupling[0, index] * c.flexion[1, :, index]
        rotation[:, third] = curl * c.coupling[1, index] * c.flexion[2, :, index]
    return rotation
