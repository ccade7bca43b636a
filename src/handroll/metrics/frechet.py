"""Fréchet distance between two sets of samples, each modelled as a Gaussian (Dowson and Landau 1982,
doi:10.1016/0047-259X(82)90077-X; also called 2-Wasserstein or Bures distance).

The computation uses double precision, and only square roots of symmetric matrices. Therefore it also works with singular covariances, which
occur if there are fewer samples than features. The distance grows if there are fewer samples, so compare only values for the same number
of samples.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gaussian:
    """Gaussian fitted to samples.

    Attributes
    ----------
    mean : array (feature,)
    covariance : array (feature, feature)
        Unbiased covariance (divided by count - 1); 0 for a single sample.
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
        For example features of clips (clip, 256), or poses (frame, 96) in frames in which both hands are visible.

    Returns
    -------
    Gaussian

    Raises
    ------
    ValueError
        There are no samples, or a value is not finite. Exclude hidden frames.
    """
    samples = checked_samples(samples)
    mean = samples.mean(axis=0)
    centred = samples - mean
    return Gaussian(mean, centred.T @ centred / max(len(samples) - 1, 1), len(samples))


def pooled(gaussians):
    """Combine the Gaussians of several batches into the Gaussian of all their samples, so that the samples need not fit in memory.

    The method is that of Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115.

    Parameters
    ----------
    gaussians : iterable of Gaussian
        At least one Gaussian; all with the same features.

    Returns
    -------
    Gaussian

    Raises
    ------
    ValueError
        There is no Gaussian.
    """
    gaussians = iter(gaussians)
    total = next(gaussians, None)
    if total is None:
        raise ValueError("pooled Gaussians: expected at least one, found none")
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
        Distance in the squared unit of the features. It is 0 for equal Gaussians, never negative, and symmetric in a and b.

    Raises
    ------
    ValueError
        The numbers of features differ.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"Fréchet distance: expected two Gaussians with the same features, found {len(a.mean)} and {len(b.mean)} features")
    return float(bures_wasserstein(a.mean, a.covariance, b.mean, b.covariance))


def bures_wasserstein(mean_a, covariance_a, mean_b, covariance_b):
    """Compute `frechet_distance` of many pairs of Gaussians.

    Parameters
    ----------
    mean_a, mean_b : array (..., feature)
    covariance_a, covariance_b : array (..., feature, feature)
        Symmetric and positive semidefinite apart from rounding; they may be singular. Leading axes are broadcast.

    Returns
    -------
    array (...)
        Squared distances.
    """
    root_a, root_b = _root(covariance_a), _root(covariance_b)
    # The trace of (A^1/2 B A^1/2)^1/2 equals the sum of the singular values of A^1/2 B^1/2. This form avoids roots of rounding errors.
    overlap = np.linalg.svd(root_a @ root_b, compute_uv=False).sum(axis=-1)
    spread = (root_a**2).sum(axis=(-1, -2)) + (root_b**2).sum(axis=(-1, -2))
    return np.maximum(((mean_a - mean_b) ** 2).sum(axis=-1) + spread - 2.0 * overlap, 0.0)


def _root(covariance):
    """Compute the symmetric square roots of covariances.

    Eigenvalues that differ from 0 only by rounding are set to 0, because a square root would magnify the rounding error.
    """
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
        Minimum number of samples.

    Returns
    -------
    array (sample, feature)

    Raises
    ------
    ValueError
        The array does not have two axes, it has fewer samples than `at_least`, or a value is not finite.
    """
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim != 2 or len(samples) < at_least:
        raise ValueError(f"expected an array (sample, feature) with at least {at_least} samples, found the shape {samples.shape}")
    bad = ~np.isfinite(samples).all(axis=1)
    if bad.any():
        raise ValueError(
            f"expected finite samples, found {bad.sum()} of {len(bad)} with other values, first at sample {bad.argmax()}; "
            "exclude hidden frames first"
        )
    return samples
