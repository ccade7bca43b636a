"""Metrics of PianoMotion10M (Gan et al., ICLR 2025), reproduced from its released evaluation code including its errors.

They allow a comparison with published results. Several do not measure what their names say. Each docstring describes what the metric
measures, and names the module of handroll that measures the intended quantity. The release computes `gesture_distance`,
`mixture_distance`, `position_distance` and `smoothness_difference` for each clip and hand, over all 240 frames of a window of 8 s at 30 Hz
including hidden frames, and reports the mean over clips. `feature_distance` compares all clips at once.

All functions raise an error for values that aren't finite, because the released metrics do not handle hidden frames. Fill hidden frames, or
leave the clip out.

Agreement with results of the released code for random walks: `gesture_distance` within 1 / 20,000; all others in all 6 recorded digits,
`mixture_distance` with scikit-learn 1.9.1.
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
"""Number of principal axes of `mixture_distance`, and batch size of the incremental PCA (frames); as released."""

MIXTURE_COMPONENTS, MIXTURE_ITERATIONS = 13, 200
"""Number of Gaussians per clip of `mixture_distance`, and maximum number of iterations of their fit; as released."""

RIDGE = 1e-6
"""Added to the diagonals of the covariances in `feature_distance` if their product has no finite square root; as released."""


def gesture_distance(predicted, truth):
    """Compute FGD: Fréchet distance between Gaussians fitted to the frames of one clip, in single precision.

    It compares the distributions of poses, independently of their order. 240 consecutive frames are far fewer independent samples than
    the 48 x 48 covariance needs. Because of cancellation in single precision, equal clips score about 1e-5 above or below 0.
    `frechet` compares whole sets in double precision.

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
    difference = mean_t - mean_p
    return float(difference @ difference + np.trace(covariance_t) + np.trace(covariance_p) - 2.0 * roots.sum())


def _gaussian_float32(frames):
    """Mean and covariance by the textbook formula, which suffers from cancellation. Its rounding errors are part of the released score."""
    count, mean = np.float32(len(frames)), frames.mean(axis=0)
    return mean, (frames.T @ frames - count * np.outer(mean, mean)) / (count - np.float32(1.0))


def mixture_distance(predicted, truth):
    """Compute WGD: transport cost between the centres of two clips' mixtures, divided by the maximum distance.

    Each clip is projected on its own principal axes, so the two sets of coordinates are not comparable, not even in sign. Only centres
    are compared, not covariances. Division by the maximum distance removes the scale. A constant offset has no effect, and an unrelated
    motion can score better than one that is close to the truth. `mixture_wasserstein` has none of these problems.

    Parameters
    ----------
    predicted, truth : array (frame, angle 48)
        Axis-angle of one hand, radians; at least `MIXTURE_COMPONENTS` frames.

    Returns
    -------
    float
        0 to 1, no unit. The third digit depends on the versions of scikit-learn and of the linear algebra library.

    Raises
    ------
    ValueError
        The shapes differ, or a value isn't finite.
    """
    mixtures = []
    with warnings.catch_warnings():
        # For a motionless clip the PCA and the fit give warnings, but a score.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        for frames in _pair(predicted, truth, np.float32):
            projected = IncrementalPCA(PCA_COMPONENTS, batch_size=PCA_BATCH).fit_transform(frames)
            mixtures.append(GaussianMixture(MIXTURE_COMPONENTS, random_state=0, max_iter=MIXTURE_ITERATIONS).fit(projected))
    cost = cdist(*(mixture.means_ for mixture in mixtures))
    cost /= cost.max()
    return transport_cost(*(mixture.weights_ for mixture in mixtures), cost)


def position_distance(predicted, truth):
    """Compute PD: mean distance of the wrist from its true position, in x and y only.

    Depth is ignored, and distances are not squared as in the paper. `position` measures in three dimensions, in millimetres.

    Parameters
    ----------
    predicted, truth : array (frame, xyz 3)
        Position of one hand, in the dataset's own unit, whose depth is not metric.

    Returns
    -------
    float
        In the unit of the positions.

    Raises
    ------
    ValueError
        The shapes differ, or a value isn't finite.
    """
    predicted, truth = _pair(predicted, truth, np.float64)
    return float(np.linalg.norm((predicted - truth)[:, :2], axis=1).mean())


def smoothness_difference(predicted, truth):
    """Compute Smooth: absolute difference of the `acceleration` of two clips.

    It does not measure smoothness: white noise can score better than a slow drift or a motionless hand. `smoothness` measures
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
    """Compute the release's "acceleration": mean distance of a clip's poses from its last pose, minus that of the last but one.

    The released code subtracts the last frame where it should subtract successive frames. It does not use the frame rate.

    Parameters
    ----------
    pose : array (frame, angle 48)
        Axis-angle of one hand, radians; three frames or more.

    Returns
    -------
    float
        Radians; negative if the last but one pose is farther from the last pose than the others are on average.
    """
    movement = pose[:-1] - pose[-1:]
    speed = np.linalg.norm(movement, axis=1)
    return float((speed[:-1] - speed[-1:]).mean())


def feature_distance(predicted, truth):
    """Compute FID: Fréchet distance between Gaussians fitted to one feature vector per clip.

    It depends on the encoder of the features and on the number of clips; with fewer than features + 1 clips the covariances are
    singular. The released code and weights do not reproduce the published values (3.28 to 3.61): others report 52 to 70. `frechet` needs no
    square root of a non-symmetric matrix.

    Parameters
    ----------
    predicted, truth : array (clip, feature 256)
        Features of both hands' motion; the two may have different numbers of clips.

    Returns
    -------
    float
        In the squared unit of the features.

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
    difference = mean_t - mean_p
    return float(difference @ difference + np.trace(covariance_t) + np.trace(covariance_p) - 2.0 * np.trace(root.real))


def paired_feature_distance(predicted, truth):
    """Compute F_dist: mean over clips of the L1 distance between the features of a clip and of its ground truth; not in the paper.

    Parameters
    ----------
    predicted, truth : array (clip, feature 256)
        Features of both hands' motion, with the same clips in the same order.

    Returns
    -------
    float
        In the unit of the features.

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
        raise ValueError(f"expected two arrays of the same shape, found {predicted.shape} (predicted) and {truth.shape} (truth)")
    return predicted, truth


def _finite(values, dtype, name):
    values = np.asarray(values, dtype=dtype)
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if bad.any():
        raise ValueError(
            f"expected finite numbers, found {bad.sum()} of {len(bad)} rows of {name} with other values, first at row {bad.argmax()}; "
            "the released metrics do not handle hidden frames: fill them, or leave the clip out"
        )
    return values
