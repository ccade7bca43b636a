"""Inputs that follow from a seed."""

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session")
def arr():
    """The function that makes normal numbers of a seed."""
    return lambda seed, *shape, scale=1.0: torch.from_numpy(np.random.default_rng(seed).normal(0.0, scale, shape).astype(np.float32))
