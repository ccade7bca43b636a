"""Fréchet distance between two sets of samples, each taken as a Gaussian (Dowson and Landau 1982,
doi:10.1016/0047-259X(82)90077-X; also called 2-Wasserstein or Bures distance).

In double precision and without a root of a matrix that isn't symmetric, so singular covariances, as of fewer samples than
features, are no trouble. They do raise the distance, though: compare only values of equal numbers of samples.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gaussian:
    """Mean and covariance of samples.

    Attributes
    ----------
    mean : array (feature,)
    covariance : array (feature, feature)
        Unbiased (divided by count - 1); 0 of one sample.
    count : int
        Samples it was fitted to.
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: int


def fit_gaussian(samples):
    """The Gaussian of samples.

    Parameters
    ----------
    samples : array (sample, feature)
        Such as features (clip, 256), or the poses of frames in which both hands are visible (frame, 96).

    Returns
    -------
    Gaussian

    Raises
    ------
    ValueError
        No samples, or a value that isn't finite: leave hidden frames out first.
    """
    samples = checked_samples(samples)
    mean = samples.mean(axis=0)
    apart = samples - mean
    return Gaussian(mean, apart.T @ apart / max(len(samples) - 1, 1), len(samples))


def pooled(gaussians):
    """The Gaussian of the samples of several, as if they had been fitted at once (Chan, Golub and LeVeque 1983,
    doi:10.1080/00031305.1983.10483115): batch by batch, a set of any size fits in memory.

    Parameters
    ----------
    gaussians : iterable of Gaussian
        One or more, of the same features.

    Returns
    -------
    Gaussian

    Raises
    ------
    ValueError
        There is none.
    """
    gaussians = iter(gaussians)
    total = next(gaussians, None)
    if total is None:
        raise ValueError("expected one Gaussian or more to pool, found none")
    for part in gaussians:
        count = total.count + part.count
        apart = part.mean - total.mean
        scatter = (total.count - 1) * total.covariance + (part.count - 1) * part.covariance
        scatter = scatter + np.outer(apart, apart) * (total.count * part.count / count)
        total = Gaussian(total.mean + apart * (part.count / count), scatter / (count - 1), count)
    return total


def frechet_distance(a, b):
    """Squared Fréchet distance: |mean_a - mean_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2).

    Parameters
    ----------
    a, b : Gaussian

    Returns
    -------
    float
        The features' unit, squared; 0 or more, 0 of equal Gaussians, the same both ways.

    Raises
    ------
    ValueError
        The numbers of features differ.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"expected Gaussians of the same features, found {len(a.mean)} and {len(b.mean)} of them")
    return float(bures_wasserstein(a.mean, a.covariance, b.mean, b.covariance))


def bures_wasserstein(mean_a, covariance_a, mean_b, covariance_b):
    """`frechet_distance` of many pairs of Gaussians at once.

    Parameters
    ----------
    mean_a, mean_b : array (..., feature)
    covariance_a, covariance_b : array (..., feature, feature)
        Symmetric, no eigenvalue below 0 beyond rounding; may be singular. Leading axes are broadcast.

    Returns
    -------
    array (...)
        Squared distances.
    """
    root_a, root_b = _root(covariance_a), _root(covariance_b)
    # The trace of (A^1/2 B A^1/2)^1/2 is the sum of the singular values of A^1/2 B^1/2, which saves the root of rounding errors.
    overlap = np.linalg.svd(root_a @ root_b, compute_uv=False).sum(axis=-1)
    spread = (root_a**2).sum(axis=(-1, -2)) + (root_b**2).sum(axis=(-1, -2))
    return np.maximum(((mean_a - mean_b) ** 2).sum(axis=-1) + spread - 2.0 * overlap, 0.0)


def _root(covariance):
    """Symmetric roots. Eigenvalues within rounding of 0 are 0: their roots would be a hundred million times larger."""
    values, vectors = np.linalg.eigh(covariance)
    rounding = values[..., -1:] * values.shape[-1] * np.finfo(np.float64).eps
    values = np.where(values > rounding, values, 0.0)
    return (vectors * np.sqrt(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2)


def checked_samples(samples, at_least=1):
    """Samples as float64, refused where there are too few or one isn't finite.

    Parameters
    ----------
    samples : array (sample, feature)
    at_least : int

    Returns
    -------
    array (sample, feature)

    Raises
    ------
    ValueError
        Another number of axes, fewer samples than `at_least`, or a value that isn't finite.
    """
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim != 2 or len(samples) < at_least:
        raise ValueError(f"expected an array (sample, feature) of {at_least} samples or more, found the shape {samples.shape}")
    bad = ~np.isfinite(samples).all(axis=1)
    if bad.any():
        raise ValueError(
            f"expected finite samples, found {bad.sum()} of {len(bad)} with other values, the first of them sample {bad.argmax()}; "
            "leave hidden frames out before"
        )
    return samples
