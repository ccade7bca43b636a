"""The metrics of PianoMotion10M (Gan et al., ICLR 2025) as its released evaluation computes them, oddities included.

They are here so that new results stand beside published ones, not because they measure what their names say: each docstring
tells what a number really is, and which module of ours measures what was meant. The release takes `gesture_distance`,
`mixture_distance`, `position_distance` and `smoothness_difference` of each clip and hand, over all 240 frames of a window of
8 s at 30 Hz, hidden frames too, and gives their mean over clips; `feature_distance` compares all clips at once.

A value that isn't finite is an error everywhere: the release knows no hidden frames, so fill them or leave the clip out.

Against figures that the release's own code gave for random walks: `gesture_distance` within a part in 20,000, the rest to every
digit noted (6), `mixture_distance` too with scikit-learn 1.9.1.
"""

import warnings

import numpy as np
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from sklearn.decomposition import IncrementalPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from handroll.metrics.optimal_transport import transport_cost

PCA_COMPONENTS, PCA_BATCH = 10, 16
"""Of `mixture_distance`: axes kept, and frames that the incremental analysis takes at a time. The release's."""

MIXTURE_COMPONENTS, MIXTURE_ITERATIONS = 13, 200
"""Of `mixture_distance`: Gaussians a clip, and the most steps of their fit. The release's."""

RIDGE = 1e-6
"""Added to the diagonals of `feature_distance`'s covariances where their product has no finite root. The release's."""


def gesture_distance(predicted, truth):
    """FGD: Fréchet distance between Gaussians fitted to the frames of one clip, in single precision.

    Says how alike the poses of a clip are as a heap of frames: their order doesn't count. 240 frames that follow each other
    are far fewer independent samples than the 48 x 48 covariance needs. The sums cancel in single precision, so that equal
    clips score some 1e-5 above or below 0. `frechet` compares whole sets, in double precision.

    Parameters
    ----------
    predicted, truth : array (frame, angle 48)
        Axis-angle of one hand, radians.

    Returns
    -------
    float
        rad^2, as squared differences of angles.

    Raises
    ------
    ValueError
        The shapes differ, or a value isn't finite.
    """
    predicted, truth = _pair(predicted, truth, np.float32)
    (mean_p, covariance_p), (mean_t, covariance_t) = (_gaussian_float32(frames) for frames in (predicted, truth))
    roots = np.sqrt(np.linalg.eigvals(covariance_t @ covariance_p).astype(np.complex64)).real
    apart = mean_t - mean_p
    return float(apart @ apart + np.trace(covariance_t) + np.trace(covariance_p) - 2.0 * roots.sum())


def _gaussian_float32(frames):
    """Mean and covariance by the textbook formula, whose two large terms cancel: the release's rounding is part of its score."""
    count, mean = np.float32(len(frames)), frames.mean(axis=0)
    return mean, (frames.T @ frames - count * np.outer(mean, mean)) / (count - np.float32(1.0))


def mixture_distance(predicted, truth):
    """WGD: cost of moving the centres of one clip's mixture onto the other's, as a share of the greatest distance.

    Each clip is projected on its own principal axes, so the two sets of coordinates have no common meaning, not even a sign;
    the centres are compared and the covariances are not; division by the greatest distance takes the scale away. A constant
    offset, however large, doesn't count, and a stranger's motion can score better than one that is close to the truth.
    `mixture_wasserstein` has none of this.

    Parameters
    ----------
    predicted, truth : array (frame, angle 48)
        Axis-angle of one hand, radians; at least `MIXTURE_COMPONENTS` frames.

    Returns
    -------
    float
        0 to 1, no unit. The third digit can change with the versions of scikit-learn and of the linear algebra.

    Raises
    ------
    ValueError
        The shapes differ, or a value isn't finite.
    """
    mixtures = []
    with warnings.catch_warnings():
        # A motion that stands still has no axes and one centre; it is scored all the same.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        for frames in _pair(predicted, truth, np.float32):
            projected = IncrementalPCA(PCA_COMPONENTS, batch_size=PCA_BATCH).fit_transform(frames)
            mixtures.append(GaussianMixture(MIXTURE_COMPONENTS, random_state=0, max_iter=MIXTURE_ITERATIONS).fit(projected))
    cost = cdist(*(mixture.means_ for mixture in mixtures))
    cost /= cost.max()
    return transport_cost(*(mixture.weights_ for mixture in mixtures), cost)


def position_distance(predicted, truth):
    """PD: mean distance of the wrist from its true place, in x and y only.

    The depth is left out, and the paper's square is not taken. `position` has all three axes in millimetres.

    Parameters
    ----------
    predicted, truth : array (frame, xyz 3)
        Position of one hand, in the dataset's own unit, whose depth is not metric.

    Returns
    -------
    float
        The positions' unit.

    Raises
    ------
    ValueError
        The shapes differ, or a value isn't finite.
    """
    predicted, truth = _pair(predicted, truth, np.float64)
    return float(np.linalg.norm((predicted - truth)[:, :2], axis=1).mean())


def smoothness_difference(predicted, truth):
    """Smooth: difference of the `acceleration` of two clips.

    It is not about smoothness: white noise can score better than a slow drift or a frozen hand. `smoothness` measures
    acceleration and jerk of joints.

    Parameters
    ----------
    predicted, truth : array (frame, angle 48)
        Axis-angle of one hand, radians.

    Returns
    -------
    float
        Radians, 0 or more.

    Raises
    ------
    ValueError
        The shapes differ, or a value isn't finite.
    """
    predicted, truth = _pair(predicted, truth, np.float64)
    return abs(acceleration(predicted) - acceleration(truth))


def acceleration(pose):
    """What the release calls acceleration: how far the clip's poses are from its last pose, less what the last but one is.

    Both differences are taken from the last frame where successive frames were meant. No rate goes in.

    Parameters
    ----------
    pose : array (frame, angle 48)
        Axis-angle of one hand, radians; three frames or more.

    Returns
    -------
    float
        Radians; negative where the last but one pose is farther from the last than the others are on average.
    """
    movement = pose[:-1] - pose[-1:]
    speed = np.linalg.norm(movement, axis=1)
    return float((speed[:-1] - speed[-1:]).mean())


def feature_distance(predicted, truth):
    """FID: Fréchet distance between Gaussians fitted to one feature vector a clip.

    Depends on the encoder of the features and on the number of clips: with fewer clips than features and one more the
    covariances are singular. The published values (3.28 to 3.61) are not what the release gives for its own weights: others
    report 52 to 70. `frechet` needs no root of a matrix that isn't symmetric.

    Parameters
    ----------
    predicted, truth : array (clip, feature 256)
        Features of both hands' motion; the two may have different numbers of clips.

    Returns
    -------
    float
        The features' unit, squared.

    Raises
    ------
    ValueError
        The numbers of features differ, or a value isn't finite.
    """
    sets = [_finite(features, np.float64, name) for features, name in ((truth, "truth"), (predicted, "predicted"))]
    if sets[0].shape[1:] != sets[1].shape[1:]:
        raise ValueError(f"expected features of one encoder, found {sets[0].shape[1:]} (truth) and {sets[1].shape[1:]} (predicted)")
    (mean_t, covariance_t), (mean_p, covariance_p) = ((features.mean(axis=0), np.cov(features, rowvar=False)) for features in sets)
    root = sqrtm(covariance_t @ covariance_p)
    if not np.isfinite(root).all():
        ridge = RIDGE * np.eye(len(mean_t))
        root = sqrtm((covariance_t + ridge) @ (covariance_p + ridge))
    apart = mean_t - mean_p
    return float(apart @ apart + np.trace(covariance_t) + np.trace(covariance_p) - 2.0 * np.trace(root.real))


def paired_feature_distance(predicted, truth):
    """F_dist: mean over clips of the L1 distance between the features of a clip and of its truth; not in the paper.

    Parameters
    ----------
    predicted, truth : array (clip, feature 256)
        Features of both hands' motion; row by row of the same clips.

    Returns
    -------
    float
        The features' unit.

    Raises
    ------
    ValueError
        The shapes differ, or a value isn't finite.
    """
    predicted, truth = _pair(predicted, truth, np.float64)
    return float(np.abs(predicted - truth).sum(axis=1).mean())


def _pair(predicted, truth, dtype):
    predicted, truth = _finite(predicted, dtype, "predicted"), _finite(truth, dtype, "truth")
    if predicted.shape != truth.shape:
        raise ValueError(f"expected two arrays of one shape, found {predicted.shape} (predicted) and {truth.shape} (truth)")
    return predicted, truth


def _finite(values, dtype, name):
    values = np.asarray(values, dtype=dtype)
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if bad.any():
        raise ValueError(
            f"expected finite numbers, found {bad.sum()} of {len(bad)} rows of {name} with others, the first of them row {bad.argmax()}; "
            "the released metrics know no hidden frames: fill them or leave the clip out"
        )
    return values
