"""Order in which the measures of a score are played: repeats, endings, da capo, dal segno, coda and fine.

Conventions: a repeated section is played twice, or as often as its repeat sign says. A section with endings is played once for each number
of the endings. A jump (da capo, dal segno) is taken once, after the repeats. After the jump, repeats are not taken, the last ending is
played, and "to coda" and "fine" apply.
"""

from dataclasses import dataclass

MAX_MEASURES = 100_000
"""Maximum number of measures that are played, and that a file may contain. An hour of fast music has about 4,000."""


@dataclass(slots=True)
class Measure:
    """Length and signs of a measure.

    Attributes
    ----------
    length : float
        Duration in quarter notes.
    forward : bool
        Whether a repeated section starts.
    times : int
        Number of times that the section that ends here is played; 0 if no repeat sign ends the measure.
    endings : frozenset of int
        Numbers of the ending that contains the measure; empty outside endings.
    segno, coda : str
        Name of the sign at the start; empty without it.
    da_capo, fine : bool
    dal_segno, to_coda : str
        Name of the sign to which the music jumps at the end of the measure; empty without a jump.
    """

    length: float = 0.0
    forward: bool = False
    times: int = 0
    endings: frozenset[int] = frozenset()
    segno: str = ""
    coda: str = ""
    da_capo: bool = False
    fine: bool = False
    dal_segno: str = ""
    to_coda: str = ""


def merge_measures(parts):
    """Merge the measures of several parts. Some files have the signs only in the first part.

    Parameters
    ----------
    parts : list of list of Measure

    Returns
    -------
    list of Measure
        With the maximum length and all signs.
    """
    merged = [Measure() for _ in range(max(map(len, parts), default=0))]
    for part in parts:
        for measure, other in zip(merged, part, strict=False):
            for name in Measure.__dataclass_fields__:
                # The maximum is the length that is longer, and the sign that is set.
                setattr(measure, name, max(getattr(measure, name), getattr(other, name)))
    return merged


def playing_order(measures):
    """Return the indices of the measures in the order in which they are played.

    Parameters
    ----------
    measures : list of Measure

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        More than `MAX_MEASURES` measures are played.
    """
    order, at, start, turn, jumped = [], 0, 0, 1, False
    groups, segnos, codas = _ending_groups(measures), _signs(measures, "segno"), _signs(measures, "coda")
    while at < len(measures):
        measure, group = measures[at], groups[at]
        # The section after the endings is a new one, even without a sign at its start.
        if at != start and (measure.forward or (at and groups[at - 1] and group is not groups[at - 1])):
            start, turn = at, 1
        # Some files have only the second of two endings.
        if group and (max(group) if jumped else max(turn, min(group))) not in measure.endings:
            at += 1
            continue
        order.append(at)
        if len(order) > MAX_MEASURES:
            raise ValueError(f"expected at most {MAX_MEASURES} measures with all repeats, found more; check the repeat signs")
        if measure.times and not jumped and _repeats(measure, group, turn):
            at, turn = start, turn + 1
            continue
        if measure.times and not group:
            start, turn = at + 1, 1
        target = None
        if jumped:
            if measure.fine:
                break
            if measure.to_coda:
                # A coda before the jump would be an endless loop.
                target = next((index for index in codas.get(measure.to_coda, codas[""]) if index > at), None)
        elif measure.da_capo:
            target = 0
        elif measure.dal_segno:
            target = next((index for index in segnos.get(measure.dal_segno, segnos[""]) if index <= at), None)
        jumped |= target is not None
        at = at + 1 if target is None else target
    return order


def _ending_groups(measures):
    """Return for each measure all numbers of the successive endings that it belongs to; an empty set outside endings.

    Measures of one group have the same object.
    """
    groups, group = [], set()
    for index, measure in enumerate(measures):
        before = measures[index - 1] if index else None
        # A repeat sign or other numbers separate the endings of a group. Endings whose numbers start again belong to the next group.
        again = before is not None and before.endings and measure.endings != before.endings and group & measure.endings
        if not measure.endings or again or before is None or not before.endings:
            group = set()
        group |= measure.endings
        groups.append(group)
    return groups


def _repeats(measure, group, turn):
    """Whether the section that ends with a measure is played again after pass number `turn`."""
    if not group:
        return turn < measure.times
    # The last of several endings leads on. A single ending without a second one is left out in the last pass.
    return turn + 1 in group or (group == measure.endings and turn == max(group))


def _signs(measures, kind):
    """Return the indices of the measures with a sign as a dict of name to list; all of them under the empty name."""
    found = {"": [index for index, measure in enumerate(measures) if getattr(measure, kind)]}
    for index in found[""]:
        found.setdefault(getattr(measures[index], kind), []).append(index)
    return found
