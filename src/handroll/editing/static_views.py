"""From looks at the picture to where the camera stands, and when it moves."""

import math

SAME_PLACE = 0.008
"""Greatest shift, as a share of the longer side, between two looks from one place: two pixels of 256, one white key where the
keyboard fills the width. A zoom counts by what it does at the ends of the picture."""

STANDS_S = 0.7
"""A camera that stays in a place for less is on its way."""

MOVED = 0.012
"""Least shift, or zoom by what it does at the ends of the picture, for the camera to be called moving. Where hands hide the room, or it
is lost, the picture is in no place for a while, and nothing is known of the camera."""

BLIP_S = 0.3
"""A camera that is back in the same place so soon was not seen well, rather than moved."""


def stands(looks, shots):
    """Divide shots into where the camera stands and where it moves.

    Parameters
    ----------
    looks : list of stance.Look
        In order.
    shots : list of (start_s, end_s)
        Stretches without cut or fade, in order.

    Returns
    -------
    places : list of (start_s, end_s, place)
        Places are numbered from 0 in the order in which they are met.
    moves : list of (start_s, end_s, shift, zoom)
        As in `shots.Edits`. Where the picture is too plain to tell, or the room is hidden, there is neither a place nor a move.
    """
    known, places, moves = [], [], []
    for start_s, end_s in shots:
        mine = [look for look in looks if start_s <= look.time_s < end_s]
        groups = _groups([look for look in mine if not look.plain])
        steady = _joined([g for g in groups if g[-1].time_s - g[0].time_s >= STANDS_S or len(groups) == 1])
        edge_s, before = start_s, None
        for group in steady:
            first_s, last_s = group[0].time_s, group[-1].time_s
            # A bump may be over before the next look.
            bumped = before and SAME_PLACE < apart(before[-1], group[0]) < math.inf
            if bumped or _looks_between(groups, steady, edge_s, first_s):
                moves.append((edge_s, first_s, *_extent(mine, edge_s, first_s)))
                edge_s = first_s
            places.append([edge_s, last_s, _number(known, group[0])])
            edge_s, before = last_s, group
        if steady and not _looks_between(groups, steady, edge_s, end_s):
            places[-1][1] = end_s
        elif groups:
            moves.append((edge_s, end_s, *_extent(mine, edge_s, end_s)))
    moves = [move for move in moves if max(move[2], 0.5 * (move[3] - 1.0)) >= MOVED]
    return [tuple(place) for place in places], moves


def apart(first, second):
    """How far the picture shifts between two looks (share of the longer side, at the worst place); infinite between views."""
    if first.view != second.view or first.view < 0:
        return math.inf
    return math.hypot(first.x - second.x, first.y - second.y) + 0.5 * abs(first.zoom / second.zoom - 1.0)


def _groups(looks):
    """Looks one after the other from one place."""
    groups = []
    for look in looks:
        if groups and apart(groups[-1][0], look) <= SAME_PLACE:
            groups[-1].append(look)
        else:
            groups.append([look])
    return groups


def _joined(groups):
    """Groups in the same place that follow each other at once become one."""
    joined = []
    for group in groups:
        if joined and group[0].time_s - joined[-1][-1].time_s <= BLIP_S and apart(joined[-1][0], group[0]) <= SAME_PLACE:
            joined[-1] = joined[-1] + group
        else:
            joined.append(list(group))
    return joined


def _looks_between(groups, steady, start_s, end_s):
    """Whether looks that belong to no steady group lie within a time."""
    settled = {look.time_s for group in steady for look in group}
    inner = any(start_s <= look.time_s <= end_s and look.time_s not in settled for group in groups for look in group)
    return inner and not any(group[0].time_s <= start_s and group[-1].time_s >= end_s for group in steady)


def _extent(looks, start_s, end_s):
    """Greatest shift and zoom between looks of one view in a time."""
    within = [look for look in looks if start_s <= look.time_s <= end_s and look.view >= 0]
    shift, zoom = 0.0, 1.0
    for view in {look.view for look in within}:
        seen = [look for look in within if look.view == view]
        spans = [max(values) - min(values) for values in ([look.x for look in seen], [look.y for look in seen])]
        shift = max(shift, math.hypot(*spans))
        zoom = max(zoom, max(look.zoom for look in seen) / min(look.zoom for look in seen))
    return round(shift, 4), round(zoom, 4)


def _number(known, look):
    """The number of a look's place; a new one where it was not met before."""
    for number, other in enumerate(known):
        if apart(other, look) <= SAME_PLACE:
            return number
    known.append(look)
    return len(known) - 1
