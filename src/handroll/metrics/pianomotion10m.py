"""Metrics of PianoMotion10M (Gan et al., ICLR 2025). They reproduce its released evaluation code, including the errors of that code.

Their purpose is a comparison with published results. Several of these metrics do not measure what their names say. Each docstring describes
what the metric measures, and names the module of handroll that measures the intended quantity. The release computes `gesture_distance`,
`mixture_distance`, `position_distance` and `smoothness_difference` for each clip and hand, over all 240 frames of a window of 8 s at 30 Hz,
including hidden frames. It reports the means over clips. `feature_distance` compares all clips at once.

All functions raise an error for values that are not finite, because the released metrics do not support hidden frames. Fill hidden frames,
or leave the clip out.

For random walks, results agree with those of the released code: `gesture_distance` within 1 / 20,000, and all others in all 6 recorded
digits (`mixture_distance` with scikit-learn 1.9.1).
"""

import warnings

import numpy as np
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from sklearn.decomposition import IncrementalPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from handroll.metrics.optimal_transport import transport_cost

PCA_COMPONENTS = 10
"""Number of principal axes of `mixture_distance`, as in the released code."""

PCA_BATCH = 16
"""Batch size of the incremental PCA of `mixture_distance`, in frames, as in the released code."""

MIXTURE_COMPONENTS = 13
"""Number of Gaussians per clip of `mixture_distance`, as in the released code."""

MIXTURE_ITERATIONS = 200
"""Maximum number of iterations of the fit of the Gaussians of `mixture_distance`, as in the released code."""

RIDGE = 1e-6
"""Number that `feature_distance` adds to the diagonals of both covariances if their product has no finite square root, as in the released
code."""


def gesture_distance(predicted, truth):
    """Compute FGD in single precision: the Fréchet distance between two Gaussians, each fitted to the frames of a clip.

    FGD compares the distributions of poses. The order of frames does not matter. The 240 consecutive frames of a clip are far too few
    independent samples for a 48 x 48 covariance. Because of cancellation in single precision, equal clips score about 1e-5 above or below
    0. Module `frechet` compares whole sets of clips in double precision.

    Parameters
    ----------
    predicted, truth : array (frame, angle 48)
        Axis-angle rotations of one hand, radians.

    Returns
    -------
    float
        Squared distance, rad^2.

    Raises
    ------
    ValueError
        The shapes differ, or a value is not finite.
    """
    predicted, truth = _checked_pair(predicted, truth, np.float32)
    (mean_p, covariance_p), (mean_t, covariance_t) = (_gaussian_float32(frames) for frames in (predicted, truth))
    roots = np.sqrt(np.linalg.eigvals(covariance_t @ covariance_p).astype(np.complex64)).real
    difference = mean_t - mean_p
    return float(difference @ difference + np.trace(covariance_t) + np.trace(covariance_p) - 2.0 * roots.sum())


def _gaussian_float32(frames):
    """Compute mean and covariance by the textbook formula, as the released code does. Its rounding errors affect the score."""
    count, mean = np.float32(len(frames)), frames.mean(axis=0)
    return mean, (frames.T @ frames - count * np.outer(mean, mean)) / (count - np.float32(1.0))


def mixture_distance(predicted, truth):
    """Compute WGD: the cost of transport between the centres of two Gaussian mixtures, divided by the maximum distance between centres.

    One mixture is fitted to each clip. Each clip is projected on its own principal axes, so the coordinates of two clips are not
    comparable, not even in sign. Only the centres of the Gaussians are compared, not their covariances. The division removes the scale. A
    constant offset has no effect. An unrelated motion can score better than a motion that is close to the truth. Module
    `mixture_wasserstein` has none of these problems.

    Parameters
    ----------
    predicted, truth : array (frame, angle 48)
        Axis-angle rotations of one hand, radians. Clips have at least `MIXTURE_COMPONENTS` frames.

    Returns
    -------
    float
        Number without unit, 0..1. The third digit depends on the versions of scikit-learn and of the linear algebra library.

    Raises
    ------
    ValueError
        The shapes differ, or a value is not finite.
    """
    mixtures = []
    with warnings.catch_warnings():
        # For a clip without movement, the PCA and the fit emit warnings but still give a score.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        for frames in _checked_pair(predicted, truth, np.float32):
            projected = IncrementalPCA(PCA_COMPONENTS, batch_size=PCA_BATCH).fit_transform(frames)
            mixtures.append(GaussianMixture(MIXTURE_COMPONENTS, random_state=0, max_iter=MIXTURE_ITERATIONS).fit(projected))
    cost = cdist(*(mixture.means_ for mixture in mixtures))
    cost /= cost.max()
    return transport_cost(*(mixture.weights_ for mixture in mixtures), cost)


def position_distance(predicted, truth):
    """Compute PD: the mean distance of the hand from its true position, in x and y only.

    The released code ignores depth. It does not square distances, although the paper does. Module `position` measures in three dimensions,
    in millimetres.

    Parameters
    ----------
    predicted, truth : array (frame, xyz 3)
        Position of one hand in the dataset's own unit. Its depth is not metric.

    Returns
    -------
    float
        In the unit of the positions.

    Raises
    ------
    ValueError
        The shapes differ, or a value is not finite.
    """
    predicted, truth = _checked_pair(predicted, truth, np.float64)
    return float(np.linalg.norm((predicted - truth)[:, :2], axis=1).mean())


def smoothness_difference(predicted, truth):
    """Compute Smooth: the absolute difference between the `acceleration` of two clips.

    Smooth does not measure smoothness. White noise can score better than a slow drift or a hand without movement. Module `smoothness`
    measures acceleration and jerk of joints.

    Parameters
    ----------
    predicted, truth : array (frame, angle 48)
        Axis-angle rotations of one hand, radians.

    Returns
    -------
    float
        Radians, never negative.

    Raises
    ------
    ValueError
        The shapes differ, or a value is not finite.
    """
    predicted, truth = _checked_pair(predicted, truth, np.float64)
    return abs(acceleration(predicted) - acceleration(truth))


def acceleration(pose):
    """Compute the released code's "acceleration", which is not an acceleration.

    It is the mean distance of the poses of a clip from its last pose, minus the distance of the second to last pose from the last pose. The
    released code subtracts the last frame where it should subtract successive frames. It does not use the frame rate.

    Parameters
    ----------
    pose : array (frame, angle 48)
        Axis-angle rotations of one hand, radians; at least three frames.

    Returns
    -------
    float
        Radians. It is negative if the second to last pose is farther from the last pose than the other poses are on average.
    """
    movement = pose[:-1] - pose[-1:]
    speed = np.linalg.norm(movement, axis=1)
    return float((speed[:-1] - speed[-1:]).mean())


def feature_distance(predicted, truth):
    """Compute FID: the Fréchet distance between two Gaussians fitted to sets of clips, with one feature vector per clip.

    FID depends on the encoder of the features and on the number of clips. If the number of clips is not larger than the number of features,
    the covariances are singular. The released code and weights do not reproduce the published values of 3.28 to 3.61. Other users of the
    code report 52 to 70. Module `frechet` avoids the square root of a non-symmetric matrix.

    Parameters
    ----------
    predicted, truth : array (clip, feature 256)
        Features of the motion of both hands. The two sets may have different numbers of clips.

    Returns
    -------
    float
        In the squared unit of the features.

    Raises
    ------
    ValueError
        The numbers of features differ, or a value is not finite.
    """
    sets = [_checked_finite(features, np.float64, name) for features, name in ((truth, "truth"), (predicted, "predicted"))]
    if sets[0].shape[1:] != sets[1].shape[1:]:
        raise ValueError(
            f"FID: expected the same number of features in both sets, found {sets[0].shape[1:]} (truth) and {sets[1].shape[1:]} (predicted)"
        )
    (mean_t, covariance_t), (mean_p, covariance_p) = ((features.mean(axis=0), np.cov(features, rowvar=False)) for features in sets)
    root = sqrtm(covariance_t @ covariance_p)
    if not np.isfinite(root).all():
        ridge = RIDGE * np.eye(len(mean_t))
        root = sqrtm((covariance_t + ridge) @ (covariance_p + ridge))
    difference = mean_t - mean_p
    return float(difference @ difference + np.trace(covariance_t) + np.trace(covariance_p) - 2.0 * np.trace(root.real))


def paired_feature_distance(predicted, truth):
    """Compute F_dist: the mean L1 distance between the features of a clip and of its ground truth. The paper does not report it.

    Parameters
    ----------
    predicted, truth : array (clip, feature 256)
        Features of the motion of both hands, with the same clips in the same order.

    Returns
    -------
    float
        In the unit of the features.

    Raises
    ------
    ValueError
        The shapes differ, or a value is not finite.
    """
    predicted, truth = _checked_pair(predicted, truth, np.float64)
    return float(np.abs(predicted - truth).sum(axis=1).mean())


def _checked_pair(predicted, truth, dtype):
    """Convert both arrays to a type, and check that they are finite and have the same shape."""
    predicted, truth = _checked_finite(predicted, dtype, "predicted"), _checked_finite(truth, dtype, "truth")
    if predicted.shape != truth.shape:
        raise ValueError(f"expected two arrays of the same shape, found {predicted.shape} (predicted) and {truth.shape} (truth)")
    return predicted, truth


def _checked_finite(values, dtype, name):
    """Convert an array to a type, and check that its values are finite. `name` is used in the message."""
    values = np.asarray(values, dtype=dtype)
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if bad.any():
        raise ValueError(
            f"expected finite numbers, found NaN or infinity in {bad.sum()} of {len(bad)} rows of {name}, first in row {bad.argmax()}; "
            "the released metrics do not support hidden frames: fill them, or leave the clip out"
        )
    return values
