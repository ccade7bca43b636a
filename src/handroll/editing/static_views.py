"""Divide shots into static views and camera motion, from the samples of the camera tracker."""

import math

SAME_VIEW = 0.008
"""Maximum shift between two samples of one static view, as a share of the longer side: two pixels of 256, one white key where the keyboard
fills the width. A zoom counts as the shift that it causes at the ends of the frame."""

MIN_STATIC_S = 0.7
"""Minimum duration of a static view; a camera that rests for a shorter time is in motion."""

MIN_MOVE = 0.012
"""Minimum shift of a camera motion, or zoom by the shift that it causes at the ends of the frame. Where hands hide the room or tracking is
lost, the frame has no static view for a while, which is no evidence of motion."""

MAX_INTERRUPTION_S = 0.3
"""If the camera is back in the same view within this time, tracking failed and the camera did not move."""


def static_views(samples, shots):
    """Divide shots into static views and camera motion.

    Parameters
    ----------
    samples : list of camera_tracking.CameraSample
        In order.
    shots : list of (start_s, end_s)
        Intervals without cut or fade, in order.

    Returns
    -------
    places : list of (start_s, end_s, place)
        Static views, numbered from 0 in order of their first appearance.
    moves : list of (start_s, end_s, shift, zoom)
        See `edit_detection.Edits`. Intervals with featureless frames or a hidden room are in neither list.
    """
    known, places, moves = [], [], []
    for start_s, end_s in shots:
        own = [sample for sample in samples if start_s <= sample.time_s < end_s]
        groups = _groups([sample for sample in own if not sample.featureless])
        steady = _merged([g for g in groups if g[-1].time_s - g[0].time_s >= MIN_STATIC_S or len(groups) == 1])
        edge_s, before = start_s, None
        for group in steady:
            first_s, last_s = group[0].time_s, group[-1].time_s
            # A bump may end before the next sample.
            bumped = before and SAME_VIEW < distance(before[-1], group[0]) < math.inf
            if bumped or _moves_between(groups, steady, edge_s, first_s):
                moves.append((edge_s, first_s, *_extent(own, edge_s, first_s)))
                edge_s = first_s
            places.append([edge_s, last_s, _number(known, group[0])])
            edge_s, before = last_s, group
        if steady and not _moves_between(groups, steady, edge_s, end_s):
            places[-1][1] = end_s
        elif groups:
            moves.append((edge_s, end_s, *_extent(own, edge_s, end_s)))
    moves = [move for move in moves if max(move[2], 0.5 * (move[3] - 1.0)) >= MIN_MOVE]
    return [tuple(place) for place in places], moves


def distance(first, second):
    """Return the shift between two samples (share of the longer side, where it is largest); infinite between different views."""
    if first.view != second.view or first.view < 0:
        return math.inf
    return math.hypot(first.x - second.x, first.y - second.y) + 0.5 * abs(first.zoom / second.zoom - 1.0)


def _groups(samples):
    """Group consecutive samples of one static view."""
    groups = []
    for sample in samples:
        if groups and distance(groups[-1][0], sample) <= SAME_VIEW:
            groups[-1].append(sample)
        else:
            groups.append([sample])
    return groups


def _merged(groups):
    """Merge consecutive groups of the same static view."""
    joined = []
    for group in groups:
        if joined and group[0].time_s - joined[-1][-1].time_s <= MAX_INTERRUPTION_S and distance(joined[-1][0], group[0]) <= SAME_VIEW:
            joined[-1] = joined[-1] + group
        else:
            joined.append(list(group))
    return joined


def _moves_between(groups, steady, start_s, end_s):
    """Whether an interval contains samples that belong to no static group."""
    settled = {sample.time_s for group in steady for sample in group}
    inner = any(start_s <= sample.time_s <= end_s and sample.time_s not in settled for group in groups for sample in group)
    return inner and not any(group[0].time_s <= start_s and group[-1].time_s >= end_s for group in steady)


def _extent(samples, start_s, end_s):
    """Return the maximum shift and zoom between samples of one view in an interval."""
    within = [sample for sample in samples if start_s <= sample.time_s <= end_s and sample.view >= 0]
    shift, zoom = 0.0, 1.0
    for view in {sample.view for sample in within}:
        of_view = [sample for sample in within if sample.view == view]
        spans = [max(values) - min(values) for values in ([sample.x for sample in of_view], [sample.y for sample in of_view])]
        shift = max(shift, math.hypot(*spans))
        zoom = max(zoom, max(sample.zoom for sample in of_view) / min(sample.zoom for sample in of_view))
    return round(shift, 4), round(zoom, 4)


def _number(known, sample):
    """Return the number of a sample's static view; a new number for a new view."""
    for number, other in enumerate(known):
        if distance(other, sample) <= SAME_VIEW:
            return number
    known.append(sample)
    return len(known) - 1
