"""How far apart two sets of samples are when each is a mixture of Gaussians (Delon and Desolneux 2020,
doi:10.1137/19M1301047, equation of MW2: optimal transport between the components, each pair at its Bures-Wasserstein
distance). Unlike one Gaussian a set, it sees several favourite poses; unlike the released WGD, it has the samples' unit.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from handroll.metrics.frechet import bures_wasserstein, checked_samples, fit_gaussian
from handroll.metrics.optimal_transport import transport_cost

AXES = 10
"""Default of principal axes kept: as in the released WGD."""

COMPONENTS = 8
"""Default of Gaussians a set. A full covariance of 10 axes has 55 numbers, so each wants some hundred samples."""

_ITERATIONS = 200
# The most steps of a fit.


def mixture_wasserstein(a, b, components=COMPONENTS, axes=AXES, seed=0):
    """Distance between Gaussian mixtures fitted to two sets in one basis.

    The basis is the principal axes of both sets together, each set with the same weight, however many samples it has. What
    the difference of means has outside of it is added (at right angles), so a constant offset counts in full; other
    differences outside of it don't. A few Gaussians are a coarse picture of a set and their fit is a local optimum that
    depends on the seed: compare values of the same settings, and don't read small differences.

    Parameters
    ----------
    a, b : array (sample, feature)
        Such as poses in radians (frame, 48) or joints in mm, visible frames only. scikit-learn adds 1e-6 of the squared unit
        to each variance.
    components : int
    axes : int
        Principal axes kept; all of them where there are fewer features.
    seed : int
        Of the fits' start, the same for both.

    Returns
    -------
    float
        The samples' unit; 0 for equal sets.

    Raises
    ------
    ValueError
        The numbers of features differ, fewer samples than components, or a value that isn't finite.
    """
    a, b = checked_samples(a, at_least=max(components, 2)), checked_samples(b, at_least=max(components, 2))
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"expected sets of the same features, found {a.shape[1]} and {b.shape[1]} of them")
    basis, centre, apart = _joint_basis(fit_gaussian(a), fit_gaussian(b), axes)
    outside = apart - basis @ (basis.T @ apart)
    with warnings.catch_warnings():
        # Motion that stands still has fewer distinct poses than there are components.
        warnings.simplefilter("ignore", ConvergenceWarning)
        of_a, of_b = (
            GaussianMixture(components, random_state=seed, max_iter=_ITERATIONS).fit((samples - centre) @ basis) for samples in (a, b)
        )
    cost = bures_wasserstein(of_a.means_[:, None], of_a.covariances_[:, None], of_b.means_, of_b.covariances_)
    return float(np.sqrt(max(transport_cost(of_a.weights_, of_b.weights_, cost), 0.0) + outside @ outside))


def _joint_basis(a, b, axes):
    """Principal axes (feature, axis) of an even mixture of two Gaussians, its mean, and the difference of their means."""
    apart = b.mean - a.mean
    _, vectors = np.linalg.eigh((a.covariance + b.covariance) / 2.0 + np.outer(apart, apart) / 4.0)
    return vectors[:, -axes:], (a.mean + b.mean) / 2.0, apart
