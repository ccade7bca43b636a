"""Scores of corrected motion: errors of the joints (MPJPE) and of their acceleration (MPJAE), by difficulty of the movement.

MPJPE and MPJAE are those of MAPnet (Shrestha et al., "AIMusicGuru: Music Assisted Human Pose Correction"): mean Euclidean distances in mm
between the joints, and between their second differences from frame to frame. Two motions can only be compared by MPJAE if they have the
same frame rate. The paper reports errors of fine and gross movements and of inversions, for violinists. For hands on a keyboard, they are
defined here by the movement of the true wrist:

- `inversion`: within `INVERSION_S` of a reversal of the wrist's direction along the keyboard.
- `gross`: otherwise, the wrist is at least as fast as `GROSS_MM_S`.
- `fine`: otherwise; only the fingers move, or nothing.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from handroll.hand.skeleton import JOINTS
from handroll.metrics.bootstrap import mean_over_clips
from handroll.metrics.position import distances
from handroll.metrics.visible_means import checked_visible, visible_mean

DIFFICULTIES = ("fine", "gross", "inversion")
"""Kinds of movement. Every frame of a hand has one."""

GROSS_MM_S = 100.0
"""Minimum speed of the wrist in a gross movement (mm/s): about the width of four white keys in a second."""

INVERSION_S = 0.1
"""Maximum time between a frame of an inversion and the reversal (s)."""

REVERSED_MM_S = 50.0
"""Minimum speed of the wrist along the keyboard, on both sides of a reversal and within `INVERSION_S` of it (mm/s)."""

SMOOTHING_S = 0.03
"""Standard deviation of the Gaussian that smooths the path of the wrist before its speed is computed (s)."""

_WRIST = JOINTS.index("wrist")


def difficulties(truth_mm, rate_hz):
    """Classify the frames of a true motion by the movement of the wrist.

    Parameters
    ----------
    truth_mm : array (frame, hand 2, joint 21, xyz 3)
        True joints, keyboard frame, without NaN.
    rate_hz : float
        Frame rate.

    Returns
    -------
    dict of str to bool array (frame, hand 2)
        A mask for each of `DIFFICULTIES`.
    """
    path = gaussian_filter1d(np.asarray(truth_mm, dtype=np.float64)[:, :, _WRIST], SMOOTHING_S * rate_hz, axis=0, mode="nearest")
    velocity = rate_hz * np.gradient(path, axis=0) if len(path) > 1 else np.zeros_like(path)
    along, near = velocity[..., 0], 2 * round(INVERSION_S * rate_hz) + 1
    # Near a reversal, the wrist moves in both directions.
    right, left = (maximum_filter1d(np.where(sign * along >= REVERSED_MM_S, 1, 0), near, axis=0) > 0 for sign in (1.0, -1.0))
    inversion = right & left
    gross = ~inversion & (np.linalg.norm(velocity, axis=-1) >= GROSS_MM_S)
    return {"fine": ~inversion & ~gross, "gross": gross, "inversion": inversion}


def correction_scores(joints_mm, truth_mm, visible, rate_hz, parts=None):
    """Score a motion against the truth.

    Parameters
    ----------
    joints_mm, truth_mm : array (frame, hand 2, joint 21, xyz 3)
        Joints in the order of `skeleton.JOINTS`, keyboard frame.
    visible : bool array (frame, hand 2)
        Whether the hand is visible in the truth. NaN policy: see `metrics.visible_means`.
    rate_hz : float
        Frame rate.
    parts : dict of str to bool array (frame, hand 2), optional
        Further masks of frames that are scored apart, such as gaps of the input.

    Returns
    -------
    dict of str to float
        `mpjpe_mm` and `mpjae_mm`, and the same with the prefix of each of `DIFFICULTIES` and of each of `parts`; NaN without such frames.
        The acceleration of a frame is scored if its neighbours are visible, too.

    Raises
    ------
    ValueError
        The shapes don't match.
    """
    joints, truth = np.asarray(joints_mm, dtype=np.float64), np.asarray(truth_mm, dtype=np.float64)
    visible = checked_visible(visible, truth.shape)
    error = distances(joints, truth)
    change = distances(np.diff(joints, 2, axis=0), np.diff(truth, 2, axis=0))
    steady = visible[2:] & visible[1:-1] & visible[:-2]
    scores = {}
    everywhere = np.ones_like(visible)
    for name, mask in ({"": everywhere} | difficulties(truth, rate_hz) | (parts or {})).items():
        prefix = f"{name}_" if name else ""
        scores[f"{prefix}mpjpe_mm"] = visible_mean(error, visible & mask)
        scores[f"{prefix}mpjae_mm"] = visible_mean(change, steady & mask[1:-1])
    return scores


def estimates(scores, clips):
    """Estimate the mean of every score over clips, with 95 % intervals.

    Parameters
    ----------
    scores : sequence of dict of str to float
        Results of `correction_scores` for windows.
    clips : sequence
        Clip of each window. The windows of a clip are averaged first, because they are correlated. A window without a value is left out.

    Returns
    -------
    dict of str to bootstrap.Estimate
    """
    names = list(dict.fromkeys(clips))
    found = {}
    for score in scores[0]:
        of_clip = {
            name: [s[score] for s, clip in zip(scores, clips, strict=True) if clip == name and np.isfinite(s[score])] for name in names
        }
        found[score] = mean_over_clips([np.mean(values) if values else np.nan for values in of_clip.values()])
    return found
