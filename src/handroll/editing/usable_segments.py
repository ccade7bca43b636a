"""What can be used of an edited video: the stretches of its main view with nothing in the way."""

from itertools import pairwise

MARGIN_FRAMES = 1
"""Frames left out on both sides of what is in the way, since fades and freezes are found to about a frame."""

HAND_FREE_S = 3.0
"""A stretch without hands at either end is an intro or outro if it is longer than this; a breath before playing is not."""


def playable(edits, hands=None, min_s=0.0, hand_free_s=HAND_FREE_S):
    """Stretches of the main view without cuts, fades, blank or frozen pictures, titles, insets or camera motion.

    The main view is the place of the camera in which hands were seen for the greatest time: the time spent there, where nothing
    is in the way, times the share of the samples taken in it that show a hand.

    Parameters
    ----------
    edits : dict
        `dataclasses.asdict` of `shots.Edits`, also as read from JSON.
    hands : dict, optional
        Samples of how many hands are seen: `time_s`, rising, and `hands`, sequences of equal length. Without, or with none in a
        place, the time alone counts, and nothing is trimmed.
    min_s : float
        Shorter stretches are left out.
    hand_free_s : float
        Stretches without hands longer than this, at either end of the main view, are trimmed, to half-way between the last
        sample without hands and the first with.

    Returns
    -------
    list of (start_s, end_s)
        In order, disjoint. A jump (time taken out in the same view) ends a stretch and begins the next.
    """
    segments = _clear(edits)
    samples = list(zip(hands["time_s"], hands["hands"], strict=True)) if hands else []
    main = _main_place(segments, samples)
    mine = [(start_s, end_s) for start_s, end_s, place in segments if place == main]
    return [(a, b) for a, b in _trimmed(mine, samples, hand_free_s) if b > a and b - a >= min_s]


def obstructed(edits):
    """Intervals in which the picture cannot be used, whatever it shows: list of (start_s, end_s), unordered, overlapping."""
    spans = [span for name in ("fades", "black", "blank", "frozen", "titles", "insets", "moves") for span in edits[name]]
    return [(span[0], span[1]) for span in spans]


def _clear(edits):
    """Unobstructed stretches as (start_s, end_s, place), also of places other than the main one."""
    margin_s = MARGIN_FRAMES * edits["frame_s"]
    blocks = [(start_s - margin_s, end_s + margin_s) for start_s, end_s in obstructed(edits)]
    points = sorted(edits["cuts"] + edits["jumps"])
    segments = []
    for start_s, end_s, place in edits["places"]:
        inner = [start_s, *(t for t in points if start_s < t < end_s), end_s]
        for left_s, right_s in pairwise(inner):
            segments += [(a, b, place) for a, b in without((left_s, right_s), blocks)]
    return sorted(segments)


def without(span, blocks):
    """The parts of an interval outside some others: list of (start, end)."""
    parts, at = [], span[0]
    for start, end in sorted(blocks):
        if start > at:
            parts.append((at, min(start, span[1])))
        at = max(at, end)
        if at >= span[1]:
            break
    if at < span[1]:
        parts.append((at, span[1]))
    return [(a, b) for a, b in parts if b > a]


def _main_place(segments, samples):
    """The place with the greatest time of hands, the first of equals; None without segments."""
    weights = {}
    for place in sorted({place for _, _, place in segments}):
        mine = [(a, b) for a, b, other in segments if other == place]
        seen = [count > 0 for time_s, count in samples if any(a <= time_s < b for a, b in mine)]
        share = sum(seen) / len(seen) if seen else 1.0
        weights[place] = share * sum(b - a for a, b in mine)
    return max(weights, key=lambda place: (weights[place], -place), default=None)


def _trimmed(segments, samples, hand_free_s):
    """Segments without the hand-free stretches at either end; all go where no sample in them shows a hand."""
    inside = [(time_s, count) for time_s, count in samples if any(a <= time_s < b for a, b in segments)]
    if not inside:
        return segments
    shown = [k for k, (_, count) in enumerate(inside) if count > 0]
    if not shown:
        return []
    start_s, end_s = segments[0][0], segments[-1][1]
    first, last = shown[0], shown[-1]
    if first and inside[first][0] - start_s > hand_free_s:
        start_s = 0.5 * (inside[first - 1][0] + inside[first][0])
    if last < len(inside) - 1 and end_s - inside[last][0] > hand_free_s:
        end_s = 0.5 * (inside[last][0] + inside[last + 1][0])
    return [(max(a, start_s), min(b, end_s)) for a, b in segments]
