"""Fréchet distance between two sets of samples, each modelled as a Gaussian (Dowson and Landau 1982,
doi:10.1016/0047-259X(82)90077-X; also called 2-Wasserstein or Bures distance).

The computation is in double precision and avoids square roots of non-symmetric matrices, so it works with singular covariances (fewer
samples than features). Few samples increase the distance: compare only values for the same number of samples.
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
        Unbiased (divided by count - 1); 0 for one sample.
    count : int
        Number of samples.
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: int


def fit_gaussian(samples):
    """Fit a Gaussian to samples.

    Parameters
    ----------
    samples : array (sample, feature)
        For example features (clip, 256), or poses (frame, 96) of frames in which both hands are visible.

    Returns
    -------
    Gaussian

    Raises
    ------
    ValueError
        No samples, or a value that isn't finite; exclude hidden frames.
    """
    samples = checked_samples(samples)
    mean = samples.mean(axis=0)
    centred = samples - mean
    return Gaussian(mean, centred.T @ centred / max(len(samples) - 1, 1), len(samples))


def pooled(gaussians):
    """Combine Gaussians of batches into the Gaussian of all samples (Chan, Golub and LeVeque 1983,
    doi:10.1080/00031305.1983.10483115), so that a set need not fit in memory.

    Parameters
    ----------
    gaussians : iterable of Gaussian
        One or more, with the same features.

    Returns
    -------
    Gaussian

    Raises
    ------
    ValueError
        No Gaussian.
    """
    gaussians = iter(gaussians)
    total = next(gaussians, None)
    if total is None:
        raise ValueError("expected at least one Gaussian, found none")
    for part in gaussians:
        count = total.count + part.count
        difference = part.mean - total.mean
        scatter = (total.count - 1) * total.covariance + (part.count - 1) * part.covariance
        scatter = scatter + np.outer(difference, difference) * (total.count * part.count / count)
        total = Gaussian(total.mean + difference * (part.count / count), scatter / (count - 1), count)
    return total


def frechet_distance(a, b):
    """Compute the squared Fréchet distance: |mean_a - mean_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2).

    Parameters
    ----------
    a, b : Gaussian

    Returns
    -------
    float
        In the squared unit of the features; non-negative, symmetric, 0 for equal Gaussians.

    Raises
    ------
    ValueError
        The numbers of features differ.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"expected Gaussians of the same features, found {len(a.mean)} and {len(b.mean)} features")
    return float(bures_wasserstein(a.mean, a.covariance, b.mean, b.covariance))


def bures_wasserstein(mean_a, covariance_a, mean_b, covariance_b):
    """Compute `frechet_distance` of many pairs of Gaussians.

    Parameters
    ----------
    mean_a, mean_b : array (..., feature)
    covariance_a, covariance_b : array (..., feature, feature)
        Symmetric and positive semidefinite up to rounding; may be singular. Leading axes are broadcast.

    Returns
    -------
    array (...)
        Squared distances.
    """
    root_a, root_b = _root(covariance_a), _root(covariance_b)
    # The trace of (A^1/2 B A^1/2)^1/2 equals the sum of the singular values of A^1/2 B^1/2. This avoids roots of rounding errors.
    overlap = np.linalg.svd(root_a @ root_b, compute_uv=False).sum(axis=-1)
    spread = (root_a**2).sum(axis=(-1, -2)) + (root_b**2).sum(axis=(-1, -2))
    return np.maximum(((mean_a - mean_b) ** 2).sum(axis=-1) + spread - 2.0 * overlap, 0.0)


def _root(covariance):
    """Symmetric square roots. Eigenvalues within rounding of 0 are set to 0, because a square root would magnify the error."""
    values, vectors = np.linalg.eigh(covariance)
    rounding = values[..., -1:] * values.shape[-1] * np.finfo(np.float64).eps
    values = np.where(values > rounding, values, 0.0)
    return (vectors * np.sqrt(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2)


def checked_samples(samples, at_least=1):
    """Convert samples to float64, and check their number and values.

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
        raise ValueError(f"expected an array (sample, feature) with at least {at_least} samples, found the shape {samples.shape}")
    bad = ~np.isfinite(samples).all(axis=1)
    if bad.any():
        raise ValueError(
            f"expected finite samples, found {bad.sum()} of {len(bad)} with other values, first at sample {bad.argmax()}; "
            "exclude hidden frames"
        )
    return samples
