"""Piano strings: fundamentals, inharmonicity, and frequencies of partials."""

import numpy as np

INHARMONICITY = 2e-4
"""Inharmonicity coefficient of the string of middle C, dimensionless; see `partials_hz` (Fletcher 1964, doi:10.1121/1.1918971)."""

# Above C3, the inharmonicity doubles over this many octaves; below C3 it is constant (Fletcher 1964).
_DOUBLING_OCTAVES = 0.75


def fundamental_hz(pitch, cents=0.0):
    """Return the fundamental frequency of a MIDI pitch detuned by `cents`, Hz; equal temperament, A4 = 440 Hz."""
    return 440.0 * 2.0 ** ((pitch - 69 + cents / 100.0) / 12.0)


def inharmonicity(pitch, factor=1.0):
    """Return the inharmonicity coefficient of the string of a MIDI pitch, multiplied by `factor`, which depends on the instrument."""
    return factor * INHARMONICITY * 2.0 ** (max((pitch - 60) / 12.0, -1.0) / _DOUBLING_OCTAVES)


def partials_hz(fundamental_hz, inharmonicity, count):
    """Return the frequencies (partial,) of the first `count` partials of a stiff string, Hz, starting with the fundamental.

    Partial k is at k * sqrt((1 + B k^2) / (1 + B)) times the fundamental, with B the inharmonicity coefficient.
    """
    number = np.arange(1, count + 1)
    return fundamental_hz * number * np.sqrt((1.0 + inharmonicity * number**2) / (1.0 + inharmonicity))
