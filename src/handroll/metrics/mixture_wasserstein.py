"""Distance between two sets of samples, each modelled as a mixture of Gaussians (Delon and Desolneux 2020,
doi:10.1137/19M1301047, MW2: optimal transport between components whose cost is the Bures-Wasserstein distance). Unlike a single
Gaussian, it represents several typical poses. Unlike the released WGD, it has the unit of the samples.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from handroll.metrics.frechet import bures_wasserstein, checked_samples, fit_gaussian
from handroll.metrics.optimal_transport import transport_cost

AXES = 10
"""Maximum number of principal axes; as in the released WGD."""

COMPONENTS = 8
"""Default number of Gaussians per set. A full covariance of 10 axes has 55 parameters, so each needs a few hundred samples."""

_ITERATIONS = 200
# Maximum number of iterations of a fit.


def mixture_wasserstein(a, b, components=COMPONENTS, seed=0):
    """Compute the distance between Gaussian mixtures fitted to two sets in a common basis.

    The basis consists of the principal axes of both sets, which have the same weight whatever their number of samples. The component of
    the difference of means outside of the basis is added in quadrature, so a constant offset counts in full. Other differences outside
    of the basis do not count. A few Gaussians are a coarse model, and their fit is a local optimum that depends on the seed: compare
    values with the same settings, and ignore small differences.

    Parameters
    ----------
    a, b : array (sample, feature)
        For example poses in radians (frame, 48) or joints in mm, visible frames only. scikit-learn adds 1e-6, in the squared unit, to
        each variance.
    components : int
        Gaussians per set.
    seed : int
        Seed of the initialisation of both fits.

    Returns
    -------
    float
        In the unit of the samples; 0 for equal sets.

    Raises
    ------
    ValueError
        The numbers of features differ, there are fewer samples than components, or a value isn't finite.
    """
    a, b = checked_samples(a, at_least=max(components, 2)), checked_samples(b, at_least=max(components, 2))
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"expected sets with the same features, found {a.shape[1]} and {b.shape[1]} features")
    basis, centre, difference = _joint_basis(fit_gaussian(a), fit_gaussian(b))
    outside = difference - basis @ (basis.T @ difference)
    with warnings.catch_warnings():
        # A still motion has fewer distinct poses than there are components.
        warnings.simplefilter("ignore", ConvergenceWarning)
        of_a, of_b = (
            GaussianMixture(components, random_state=seed, max_iter=_ITERATIONS).fit((samples - centre) @ basis) for samples in (a, b)
        )
    cost = bures_wasserstein(of_a.means_[:, None], of_a.covariances_[:, None], of_b.means_, of_b.covariances_)
    return float(np.sqrt(max(transport_cost(of_a.weights_, of_b.weights_, cost), 0.0) + outside @ outside))


def _joint_basis(a, b):
    """Principal axes (feature, axis) of an equal mixture of two Gaussians, its mean, and the difference of their means."""
    difference = b.mean - a.mean
    _, vectors = np.linalg.eigh((a.covariance + b.covariance) / 2.0 + np.outer(difference, difference) / 4.0)
    return vectors[:, -AXES:], (a.mean + b.mean) / 2.0, difference
