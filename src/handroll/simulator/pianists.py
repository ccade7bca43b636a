"""Pianists of the synthetic training sets: the standard pianist, and random pianists with a hand size, style and fingering of their own.

Planned motion (`generation.planned`) has nearly the style and the fingering of the standard pianist. On a set that a random pianist plays,
it does not know the pianist's habits. The ranges of the random values are handroll's own choice: within them, the hands play as many notes
correctly as those of the standard pianist (docs/measurements.md).
"""

from dataclasses import dataclass, replace

import numpy as np

from handroll.generation.fingering import DEFAULT_COSTS, FingeringCosts
from handroll.generation.style import SIMULATED, PianistStyle
from handroll.hand.skeleton import FINGERS, HANDS

STANDARD_PIANIST = 0
"""Number of the standard pianist."""

# Range of the difference between the hand size of a random pianist and 1. Its sign is random.
_SIZE_DIFFERENCE = (0.06, 0.12)

# Ranges of the style of a random pianist, by attribute of `PianistStyle`.
_STYLE = {
    "hover_mm": (8.0, 20.0),
    "rise_mm": (10.0, 40.0),
    "wrist_height_mm": (40.0, 54.0),
    "pitch_deg": (0.0, 12.0),
    "yaw_deg": (0.0, 10.0),
    "stretch_drop_mm": (14.0, 24.0),
    "stretch_pitch_deg": (0.0, 6.0),
    "lift_s": (0.06, 0.13),
    "aim_s": (0.14, 0.30),
    "travel_s": (0.55, 0.9),
    "depth_mm": (-10.0, 14.0),
    "finger_lag_s": (0.03, 0.08),
}

# Range of the duration of the slowest strike, and of the share of it that the fastest strike takes.
_STRIKE_S, _FASTEST = (0.07, 0.105), (0.55, 0.75)

# Range of the factor of each cost of the fingering; its logarithm is uniformly distributed.
_COST_FACTORS = {
    "stretch": (0.6, 1.6),
    "thumb_on_black": (0.15, 2.0),
    "pinky_on_black": (0.2, 3.0),
    "movement": (0.7, 1.4),
    "passing": (0.4, 2.0),
    "same_finger": (0.6, 1.5),
}

# Range of the cost of using a finger. One finger of each hand is weak and has the additional cost `_WEAK`.
_USE, _WEAK = (0.0, 6.0), (8.0, 16.0)

# Standard deviation of the cost of a finger after another, the same for all intervals.
_PAIR = 6.0


@dataclass(frozen=True)
class Pianist:
    """Habits of a pianist.

    Attributes
    ----------
    name : str
        Subject (performer) of the pianist's takes.
    style : PianistStyle
    hand_size : float or None
        Bone scale of both hands; None: it differs from take to take (`rendering.scene.random_scene`).
    costs : (FingeringCosts, FingeringCosts)
        Costs of the fingering of the left and of the right hand.
    """

    name: str = "synthetic"
    style: PianistStyle = SIMULATED
    hand_size: float | None = None
    costs: tuple[FingeringCosts, FingeringCosts] = (DEFAULT_COSTS, DEFAULT_COSTS)


def pianist_of(number):
    """Return the pianist with a number.

    Parameters
    ----------
    number : int
        `STANDARD_PIANIST`, or the number of a random pianist, at least 1. It is the random seed of the pianist.

    Returns
    -------
    Pianist
    """
    if number == STANDARD_PIANIST:
        return Pianist()
    rng = np.random.default_rng(number)
    size = 1.0 + rng.choice((-1.0, 1.0)) * rng.uniform(*_SIZE_DIFFERENCE)
    style = {name: float(rng.uniform(*range_)) for name, range_ in _STYLE.items()}
    slowest_s = float(rng.uniform(*_STRIKE_S))
    style["strike_s"] = (slowest_s, slowest_s * float(rng.uniform(*_FASTEST)))
    costs = tuple(_random_costs(rng) for _ in HANDS)
    return Pianist(f"synthetic-{number}", replace(SIMULATED, keeps_apart=True, **style), float(size), costs)


def _random_costs(rng):
    """Draw the fingering costs of one hand."""
    factors = {name: float(np.exp(rng.uniform(*np.log(range_)))) for name, range_ in _COST_FACTORS.items()}
    use = rng.uniform(*_USE, size=len(FINGERS))
    use[rng.integers(len(FINGERS))] += rng.uniform(*_WEAK)
    pair = np.zeros_like(DEFAULT_COSTS.pair) + _PAIR * rng.standard_normal((len(FINGERS), len(FINGERS), 1))
    return replace(DEFAULT_COSTS, **{name: factor * getattr(DEFAULT_COSTS, name) for name, factor in factors.items()}, use=use, pair=pair)
