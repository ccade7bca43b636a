"""Distance between two sets of samples, each modelled as a mixture of Gaussians.

The distance is MW2 of Delon and Desolneux 2020, doi:10.1137/19M1301047: optimal transport between the Gaussians of both mixtures, with the
squared Bures-Wasserstein distance as cost. A mixture can represent several typical poses, which a single Gaussian cannot. The distance has
the unit of the samples, unlike the WGD of PianoMotion10M's released code.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from handroll.metrics.frechet import bures_wasserstein, checked_samples, fit_gaussian
from handroll.metrics.optimal_transport import transport_cost

AXES = 10
"""Maximum number of principal axes, as in the WGD of PianoMotion10M's released code."""

COMPONENTS = 8
"""Default number of Gaussians in a mixture. A full covariance in 10 dimensions has 55 parameters, so each Gaussian needs a few hundred
samples."""

# Maximum number of iterations of the fit of a mixture.
_ITERATIONS = 200


def mixture_wasserstein(a, b, components=COMPONENTS, seed=0):
    """Compute the distance between Gaussian mixtures fitted to two sets in a common basis.

    The basis consists of at most `AXES` principal axes of both sets together. Both sets have the same weight in the basis, whatever
    their number of samples. The difference of the means may have a part outside the basis. This part is added in quadrature, so that a
    constant offset counts in full. Other differences outside the basis do not count.

    A few Gaussians are a coarse model, and their fit is a local optimum that depends on the seed. Compare only values with the same
    settings, and ignore small differences.

    Parameters
    ----------
    a, b : array (sample, feature)
        Samples from visible frames only, for example poses (frame, 48) in radians, or joints in mm. scikit-learn adds 1e-6 to each
        variance, in the squared unit of the samples.
    components : int
        Number of Gaussians per set.
    seed : int
        Random seed of the initialisation of both fits.

    Returns
    -------
    float
        Distance in the unit of the samples; 0 for equal sets.

    Raises
    ------
    ValueError
        The numbers of features differ, there are fewer samples than components, or a value is not finite.
    """
    a, b = checked_samples(a, at_least=max(components, 2)), checked_samples(b, at_least=max(components, 2))
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"mixture Wasserstein distance: expected two sets with the same features, found {a.shape[1]} and {b.shape[1]} features"
        )
    basis, centre, difference = _joint_basis(fit_gaussian(a), fit_gaussian(b))
    outside = difference - basis @ (basis.T @ difference)
    with warnings.catch_warnings():
        # The fit warns if there are fewer distinct poses than components, for example in a motion without movement.
        warnings.simplefilter("ignore", ConvergenceWarning)
        of_a, of_b = (
            GaussianMixture(components, random_state=seed, max_iter=_ITERATIONS).fit((samples - centre) @ basis) for samples in (a, b)
        )
    cost = bures_wasserstein(of_a.means_[:, None], of_a.covariances_[:, None], of_b.means_, of_b.covariances_)
    return float(np.sqrt(max(transport_cost(of_a.weights_, of_b.weights_, cost), 0.0) + outside @ outside))


def _joint_basis(a, b):
    """Return the common principal axes (feature, axis) of two Gaussians, the mean of both, and the difference of their means."""
    difference = b.mean - a.mean
    _, vectors = np.linalg.eigh((a.covariance + b.covariance) / 2.0 + np.outer(difference, difference) / 4.0)
    return vectors[:, -AXES:], (a.mean + b.mean) / 2.0, difference
