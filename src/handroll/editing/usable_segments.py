"""Find the usable segments of an edited video: intervals of its main view without edits."""

from itertools import pairwise

MARGIN_FRAMES = 1
"""Number of frames that are left out on both sides of an unusable interval, because fades and freezes are located to about a frame."""

HAND_FREE_S = 3.0
"""Minimum duration (s) of an intro or outro: an interval without hands at the start or end. Pauses before playing are shorter."""


def usable_segments(edits, hands=None, min_s=0.0):
    """Find intervals of the main view without cuts, fades, blank or frozen frames, titles, insets or camera motion.

    The main view is the static view that shows hands for the longest time. This time is the duration of the view without such
    intervals, multiplied by the share of its samples that contain a hand. An intro without hands (`HAND_FREE_S`) is cut off in the middle
    between its last sample and the first sample with hands, and an outro likewise.

    Parameters
    ----------
    edits : dict
        `dataclasses.asdict` of `edit_detection.Edits`, also as read from JSON.
    hands : dict, optional
        Numbers of hands in sampled frames: the times `time_s`, increasing, and the numbers `hands`, of equal length. For a view
        without samples, the whole duration counts as time with hands, and nothing is trimmed.
    min_s : float
        Minimum duration of a segment in seconds. Shorter ones are left out.

    Returns
    -------
    list of (start_s, end_s)
        Segments in order of time, disjoint. At a jump cut one segment ends and the next begins.
    """
    segments = _unobstructed(edits)
    samples = list(zip(hands["time_s"], hands["hands"], strict=True)) if hands else []
    main = _main_view(segments, samples)
    own = [(start_s, end_s) for start_s, end_s, view in segments if view == main]
    return [(a, b) for a, b in _trim(own, samples) if b > a and b - a >= min_s]


def _unobstructed(edits):
    """Return the intervals (start_s, end_s, view) of all static views without edits and camera motion."""
    margin_s = MARGIN_FRAMES * edits["frame_s"]
    names = ("fades", "black", "blank", "frozen", "titles", "insets", "moves")
    obstructed = [(span[0] - margin_s, span[1] + margin_s) for name in names for span in edits[name]]
    points = sorted(edits["cuts"] + edits["jumps"])
    segments = []
    for start_s, end_s, view in edits["places"]:
        edges = [start_s, *(t for t in points if start_s < t < end_s), end_s]
        for span in pairwise(edges):
            segments += [(a, b, view) for a, b in subtract_intervals(span, obstructed)]
    return sorted(segments)


def subtract_intervals(span, others):
    """Return the parts of the interval `span` (start, end) that are outside the intervals `others`: list of (start, end)."""
    parts, at = [], span[0]
    for start, end in sorted(others):
        if start > at:
            parts.append((at, min(start, span[1])))
        at = max(at, end)
        if at >= span[1]:
            break
    if at < span[1]:
        parts.append((at, span[1]))
    return [(a, b) for a, b in parts if b > a]


def _main_view(segments, samples):
    """Return the number of the main view, which shows hands for the longest time.

    If several views have equal times, the result is the lowest number. Without segments, it is None. `segments`: list of
    (start_s, end_s, view). `samples`: list of (time_s, number of hands).
    """
    weights = {}
    for view in sorted({view for _, _, view in segments}):
        own = [(a, b) for a, b, other in segments if other == view]
        with_hands = [count > 0 for time_s, count in samples if any(a <= time_s < b for a, b in own)]
        share = sum(with_hands) / len(with_hands) if with_hands else 1.0
        weights[view] = share * sum(b - a for a, b in own)
    return max(weights, key=lambda view: (weights[view], -view), default=None)


def _trim(segments, samples):
    """Cut intros and outros without hands off the segments. If there are samples and none contains a hand, no segment remains.

    `segments`: list of (start_s, end_s). `samples`: list of (time_s, number of hands).
    """
    inside = [(time_s, count) for time_s, count in samples if any(a <= time_s < b for a, b in segments)]
    if not inside:
        return segments
    with_hands = [k for k, (_, count) in enumerate(inside) if count > 0]
    if not with_hands:
        return []
    start_s, end_s = segments[0][0], segments[-1][1]
    first, last = with_hands[0], with_hands[-1]
    if first and inside[first][0] - start_s > HAND_FREE_S:
        start_s = 0.5 * (inside[first - 1][0] + inside[first][0])
    if last < len(inside) - 1 and end_s - inside[last][0] > HAND_FREE_S:
        end_s = 0.5 * (inside[last][0] + inside[last + 1][0])
    return [(max(a, start_s), min(b, end_s)) for a, b in segments]
