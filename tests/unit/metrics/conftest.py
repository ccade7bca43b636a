"""Inputs that several metrics share."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def walk():
    """Callable (seed, dimensions, frames 240) -> array (frame, dimension), float32: a slow random walk, reproducible."""

    def make(seed, dimensions, frames=240):
        rng = np.random.default_rng(seed)
        start = rng.normal(0.0, 0.3, (1, dimensions))
        return (start + np.cumsum(rng.normal(0.0, 0.02, (frames, dimensions)), axis=0)).astype(np.float32)

    return make
