"""Divide shots into static views and camera motion, from the samples of the camera tracker."""

import math

SAME_VIEW = 0.008
"""Maximum shift between two samples of one static view, as a share of the frame's longer side: 2 pixels of 256, or one white key if the
keyboard fills the width. A zoom counts as the shift that it causes at the ends of the frame."""

MIN_STATIC_S = 0.7
"""Minimum duration (s) of a static view. A camera that is still for a shorter time counts as moving."""

MIN_MOVE = 0.012
"""Minimum shift of a camera motion, as a share of the frame's longer side. A zoom counts as the shift that it causes at the ends of the
frame. An interval without a static view and with less shift is not a motion: hands hid the background, or tracking failed."""

MAX_INTERRUPTION_S = 0.3
"""Maximum interruption (s) of a static view. If the camera is back in the same view within this time, it did not move and tracking
failed."""


def static_views(samples, shots):
    """Divide shots into static views and camera motion.

    Parameters
    ----------
    samples : list of camera_tracking.CameraSample
        Samples in order of time.
    shots : list of (start_s, end_s)
        Intervals without a cut or fade, in order.

    Returns
    -------
    places : list of (start_s, end_s, place)
        Intervals with a static camera. `place` is the number of the view, from 0 in order of first appearance.
    moves : list of (start_s, end_s, shift, zoom)
        See `edit_detection.Edits`. Intervals with featureless frames or a hidden background are in neither list.
    """
    known, places, moves = [], [], []
    for start_s, end_s in shots:
        own = [sample for sample in samples if start_s <= sample.time_s < end_s]
        groups = _group_samples([sample for sample in own if not sample.featureless])
        steady = _merge_groups([g for g in groups if g[-1].time_s - g[0].time_s >= MIN_STATIC_S or len(groups) == 1])
        edge_s, before = start_s, None
        for group in steady:
            first_s, last_s = group[0].time_s, group[-1].time_s
            # The camera may have been bumped between two samples, so that no sample shows the motion.
            bumped = before and SAME_VIEW < distance(before[-1], group[0]) < math.inf
            if bumped or _moves_between(groups, steady, edge_s, first_s):
                moves.append((edge_s, first_s, *_extent(own, edge_s, first_s)))
                edge_s = first_s
            places.append([edge_s, last_s, _view_number(known, group[0])])
            edge_s, before = last_s, group
        if steady and not _moves_between(groups, steady, edge_s, end_s):
            places[-1][1] = end_s
        elif groups:
            moves.append((edge_s, end_s, *_extent(own, edge_s, end_s)))
    moves = [move for move in moves if max(move[2], 0.5 * (move[3] - 1.0)) >= MIN_MOVE]
    return [tuple(place) for place in places], moves


def distance(first, second):
    """Return the distance between two samples, as a share of the frame's longer side; infinite between different views.

    It is the shift of the frame's centre plus the shift that the difference in zoom causes at the ends of the frame.
    """
    if first.view != second.view or first.view < 0:
        return math.inf
    return math.hypot(first.x - second.x, first.y - second.y) + 0.5 * abs(first.zoom / second.zoom - 1.0)


def _group_samples(samples):
    """Group consecutive samples of the camera that show the same static view (`SAME_VIEW`): list of lists of CameraSample."""
    groups = []
    for sample in samples:
        if groups and distance(groups[-1][0], sample) <= SAME_VIEW:
            groups[-1].append(sample)
        else:
            groups.append([sample])
    return groups


def _merge_groups(groups):
    """Merge consecutive groups of the same static view if the interruption is at most `MAX_INTERRUPTION_S`."""
    joined = []
    for group in groups:
        if joined and group[0].time_s - joined[-1][-1].time_s <= MAX_INTERRUPTION_S and distance(joined[-1][0], group[0]) <= SAME_VIEW:
            joined[-1] = joined[-1] + group
        else:
            joined.append(list(group))
    return joined


def _moves_between(groups, steady, start_s, end_s):
    """Return whether the camera moves in an interval: a sample in it is in no static view, and no static view spans the interval.

    `groups`: results of `_group_samples`. `steady`: those groups that are static views, merged if they are interrupted.
    """
    settled = {sample.time_s for group in steady for sample in group}
    inner = any(start_s <= sample.time_s <= end_s and sample.time_s not in settled for group in groups for sample in group)
    return inner and not any(group[0].time_s <= start_s and group[-1].time_s >= end_s for group in steady)


def _extent(samples, start_s, end_s):
    """Return the maximum shift (share of the longer side) and the maximum zoom (ratio, at least 1) of the camera in an interval.

    Only samples of the same view are compared.
    """
    within = [sample for sample in samples if start_s <= sample.time_s <= end_s and sample.view >= 0]
    shift, zoom = 0.0, 1.0
    for view in {sample.view for sample in within}:
        of_view = [sample for sample in within if sample.view == view]
        spans = [max(values) - min(values) for values in ([sample.x for sample in of_view], [sample.y for sample in of_view])]
        shift = max(shift, math.hypot(*spans))
        zoom = max(zoom, max(sample.zoom for sample in of_view) / min(sample.zoom for sample in of_view))
    return round(shift, 4), round(zoom, 4)


def _view_number(known, sample):
    """Return the number of a sample's static view. A new view is added to the list `known`, which holds one sample of each view."""
    for number, other in enumerate(known):
        if distance(other, sample) <= SAME_VIEW:
            return number
    known.append(sample)
    return len(known) - 1
