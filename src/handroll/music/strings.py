"""Piano strings: fundamentals, inharmonicity, and frequencies of partials."""

import numpy as np

INHARMONICITY = 2e-4
"""Of middle C (Fletcher 1964, doi:10.1121/1.1918971)."""

# Inharmonicity doubles over this interval above C3 and is constant below (Fletcher 1964).
_DOUBLING_OCTAVES = 0.75


def fundamental_hz(pitch, cents=0.0):
    """Fundamental frequency of a MIDI pitch, detuned by `cents`; equal temperament, A4 = 440 Hz."""
    return 440.0 * 2.0 ** ((pitch - 69 + cents / 100.0) / 12.0)


def inharmonicity(pitch, factor=1.0):
    """Inharmonicity of the string of a MIDI pitch, times a factor of the instrument."""
    return factor * INHARMONICITY * 2.0 ** (max((pitch - 60) / 12.0, -1.0) / _DOUBLING_OCTAVES)


def partials_hz(fundamental_hz, inharmonicity, count):
    """Frequencies (partial,) of the first `count` partials of a stiff string; the first is the fundamental."""
    number = np.arange(1, count + 1)
    return fundamental_hz * number * np.sqrt((1.0 + inharmonicity * number**2) / (1.0 + inharmonicity))
