"""Write the costs of a player's fingering to a small JSON file, and read them back.

The file contains the costs of the left and of the right hand. Each number has the name and the unit of the attribute of `FingeringCosts`.
`pair` has an entry for each pair of fingers, such as "1-3" (thumb, then middle finger), with one cost for each interval.
"""

import hashlib
import json
import re
from dataclasses import fields

import numpy as np

from handroll.generation.fingering import MAX_INTERVAL, FingeringCosts
from handroll.hand.skeleton import FINGERS, HANDS
from handroll.provenance import atomic_path
from handroll.storage import SchemaError, read_json

FORMAT = "handroll fingering costs 1"
"""Value of the key `format`: the kind of file and its version. Increase the version when the meaning of a number changes."""

MAX_COST = 1e4
"""Maximum absolute value of a cost in a file. It is ten times the cost of a chord that the hand cannot reach."""

# Decimal places of the costs in a file.
_DECIMALS = 3

_NUMBERS = tuple(field.name for field in fields(FingeringCosts) if field.name not in ("use", "pair"))
_PAIRS = tuple((first, second) for first in range(len(FINGERS)) for second in range(len(FINGERS)))


def write_costs(path, costs):
    """Write the costs of both hands as JSON, atomically.

    Parameters
    ----------
    path : path
    costs : (FingeringCosts, FingeringCosts)
        Costs of the left and of the right hand.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(_to_text(costs), encoding="utf-8")


def read_costs(path):
    """Read the costs of both hands from a file that `write_costs` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    (FingeringCosts, FingeringCosts)
        Costs of the left and of the right hand.

    Raises
    ------
    SchemaError
        The file is not JSON, has another format or version, lacks a key or has an unknown one, or contains a value that is not a finite
        number of at most `MAX_COST`.
    """
    return costs_from_json(read_json(path), path)


def costs_from_json(value, path):
    """Convert JSON values to the costs of both hands: the inverse of `costs_to_json`.

    Parameters
    ----------
    value : JSON value
    path : path
        File from which the value was read, for messages.

    Returns
    -------
    (FingeringCosts, FingeringCosts)
        Costs of the left and of the right hand.

    Raises
    ------
    SchemaError
        See `read_costs`.
    """
    found = value.get("format") if isinstance(value, dict) else None
    if found != FORMAT:
        raise SchemaError(
            f"{path}, key format: expected {FORMAT!r}, found {found!r}; learn the costs again with `python -m "
            "handroll.generation.fingering_training`"
        )
    _check_keys(path, "the file", value, ("format", *HANDS))
    return tuple(_from_json(path, hand, value[hand]) for hand in HANDS)


def digest(costs):
    """Return the SHA-256 of the file that contains these costs, as hexadecimal digits. See `write_costs`."""
    return hashlib.sha256(_to_text(costs).encode()).hexdigest()


def costs_to_json(costs):
    """Convert the costs of both hands (left, right) to JSON values."""
    return {"format": FORMAT} | {hand: _to_json(of_hand) for hand, of_hand in zip(HANDS, costs, strict=True)}


def _to_text(costs):
    """Return the content of the file for the costs of both hands."""
    text = json.dumps(costs_to_json(costs), indent=2, allow_nan=False)
    # Each list of numbers is on one line.
    return re.sub(r"\[([^\]]*)\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def _to_json(costs):
    """Convert the costs of one hand to JSON values."""

    def rounded(values):
        # The addition of 0.0 replaces -0.0 by 0.0.
        return (np.round(values, _DECIMALS) + 0.0).tolist()

    return {
        **{name: rounded(getattr(costs, name)) for name in _NUMBERS},
        "use": rounded(costs.use),
        "pair": {_pair_name(*pair): rounded(costs.pair[pair]) for pair in _PAIRS},
    }


def _from_json(path, hand, value):
    """Convert JSON values to the costs of one hand, after a check. `path` and `hand` are for error messages."""
    _check_keys(path, hand, value, (*_NUMBERS, "use", "pair"))
    numbers = {name: float(_numbers(path, f"{hand}.{name}", [value[name]], 1)[0]) for name in _NUMBERS}
    use = _numbers(path, f"{hand}.use", value["use"], len(FINGERS))
    _check_keys(path, f"{hand}.pair", value["pair"], [_pair_name(*pair) for pair in _PAIRS])
    pair = [_numbers(path, f"{hand}.pair.{_pair_name(*key)}", value["pair"][_pair_name(*key)], 2 * MAX_INTERVAL + 1) for key in _PAIRS]
    return FingeringCosts(**numbers, use=use, pair=np.reshape(pair, (len(FINGERS), len(FINGERS), -1)))


def _pair_name(first, second):
    """Return the key of a pair of fingers (indices into `skeleton.FINGERS`)."""
    return f"{first + 1}-{second + 1}"


def _check_keys(path, where, value, names):
    """Check that a JSON value is an object with exactly these keys."""
    if not isinstance(value, dict):
        raise SchemaError(f"{path}, {where}: expected an object with the keys {', '.join(names)}, found {_short(value)}")
    missing, unknown = (", ".join(sorted(keys)) or "none" for keys in (set(names) - set(value), set(value) - set(names)))
    if (missing, unknown) != ("none", "none"):
        raise SchemaError(f"{path}, {where}: expected exactly the keys of fingering costs; missing: {missing}; unknown: {unknown}")


def _numbers(path, where, values, count):
    """Return an array of `count` numbers from JSON values, after a check."""
    if not isinstance(values, list) or len(values) != count:
        raise SchemaError(f"{path}, {where}: expected a list of {count} numbers, found {_short(values)}")
    for number in values:
        # `bool` is a subclass of `int`. The comparison is false for NaN.
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= MAX_COST:
            raise SchemaError(f"{path}, {where}: expected a number from {-MAX_COST:g} to {MAX_COST:g}, found {_short(number)}")
    return np.array(values, dtype=np.float64)


def _short(value):
    """Return a JSON value as text of at most 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
