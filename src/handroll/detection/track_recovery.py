"""Recover lost hands: track short intervals around a gap again, in mirrored frames and backwards in time.

A hand is lost in a short gap: consecutive frames in which it is not found. A tracker follows a hand from frame to frame, so its result
depends on the previous frames. Backwards in time, it starts from later frames in which a covered hand is visible again. A tracker
sometimes takes a blurred hand for its mirror image; in the mirrored frame, it often detects such a hand correctly. On a real video with
crossing hands and motion blur, these additional passes found 69 of 105 lost hands. Detection in enlarged crops of the image found at most
17.
"""

import numpy as np

from handroll.detection.hand_tracks import (
    DUPLICATE_PALMS,
    LEFT,
    MIDDLE_MCP,
    MIN_AGREEMENT,
    PALM,
    REACH_PALMS,
    SPEED_PALMS_S,
    WRIST,
    side_evidence,
    write_detections,
)
from handroll.mask_runs import runs

MAX_LOST_S = 1.0
"""Maximum duration (s) of a gap that is tracked again. A hand that is missing for longer counts as absent."""

LEAD_S = 0.3
"""Time (s) by which the additional passes start before a gap and end after it, so that the tracker finds both hands."""

MAX_FRAMES = 120
"""Maximum number of frames of an interval that is tracked again. Longer intervals, with several gaps in short succession, are split,
because all images of an interval are held in memory."""


def lost_intervals(columns):
    """Find the intervals to track again: around all gaps of at most `MAX_LOST_S`, for each hand that is found elsewhere in the video.

    Parameters
    ----------
    columns : dict of str to array (frame, hand, ...)
        Columns of `tables.DETECTIONS`.

    Returns
    -------
    list of (start, stop)
        Frame ranges, increasing and disjoint.
    """
    time_s = columns["time_s"][:, 0]
    wanted = np.zeros(len(time_s), dtype=bool)
    for start, stop in _short_gaps(columns["found"], time_s):
        first, last = np.searchsorted(time_s, [time_s[start] - LEAD_S, time_s[stop - 1] + LEAD_S])
        wanted[first : last + 1] = True
    return [
        (part, min(part + MAX_FRAMES, int(stop)))
        for start, stop in zip(*runs(wanted), strict=True)
        for part in range(start, stop, MAX_FRAMES)
    ]


def fill_lost_hands(columns, raw):
    """Fill lost hands with detections of the additional passes, if these are unambiguous.

    The expected position of a lost hand is interpolated between the frames in which the hand is found. A detection fills a frame of a short
    gap if all of these hold:

    - The detection's `side_evidence` for the lost hand exceeds `MIN_AGREEMENT`.
    - The lost hand can reach the detection from its positions before and after the gap.
    - The detection is nearer to the expected position of the lost hand than to that of the other hand.
    - The detection is not a duplicate of the other hand.

    Of several such detections, the one nearest to the expected position is used. Existing detections are never changed.

    Parameters
    ----------
    columns : dict of str to array (frame, hand, ...)
        Columns of `tables.DETECTIONS`, changed in place.
    raw : handroll.detection.hand_tracks.RawHands
        Detections of the additional passes, in any order.
    """
    found, time_s = columns["found"].copy(), columns["time_s"][:, 0]
    wrist, knuckle = columns["landmarks_px"][found][:, WRIST], columns["landmarks_px"][found][:, MIDDLE_MCP]
    palm_px = np.median(np.linalg.norm(knuckle - wrist, axis=-1))
    centre = columns["landmarks_px"][:, :, PALM].mean(axis=2) / palm_px
    expected = np.stack([_expected_centres(centre[:, hand], found[:, hand], time_s) for hand in range(2)], axis=1)
    evidence = side_evidence(raw.right, raw.landmarks_px)
    position = raw.landmarks_px[:, PALM].mean(axis=1) / palm_px

    lost = np.zeros(found.shape, dtype=bool)
    for hand in range(2):
        for start, stop in _short_gaps(found[:, [hand]], time_s):
            lost[start:stop, hand] = True
    chosen = {}
    for row, frame in enumerate(raw.frame):
        for hand in np.flatnonzero(lost[frame]):
            other = 1 - hand
            off = np.linalg.norm(position[row] - expected[frame, hand])
            agrees = (-evidence[row] if hand == LEFT else evidence[row]) > MIN_AGREEMENT
            own = not off >= np.linalg.norm(position[row] - expected[frame, other])
            single = not found[frame, other] or np.linalg.norm(position[row] - centre[frame, other]) >= DUPLICATE_PALMS
            reachable = _is_reachable(position[row], time_s[frame], centre[:, hand], found[:, hand], time_s, frame)
            if agrees and own and single and reachable and off < chosen.get((frame, hand), (np.inf,))[0]:
                chosen[frame, hand] = off, row
    if chosen:
        frame, hand = np.array(list(chosen)).T
        write_detections(columns, frame, hand, raw, np.array([row for _, row in chosen.values()]))


def _expected_centres(centre, found, time_s):
    """Interpolate the palm centres (frame, xy 2) of one hand linearly between the frames in which it is found; NaN if it is never found.

    `found` is a bool array (frame,).
    """
    if not found.any():
        return np.full_like(centre, np.nan)
    return np.stack([np.interp(time_s, time_s[found], centre[found, axis]) for axis in range(2)], axis=-1)


def _is_reachable(position, at_s, centre, found, time_s, frame):
    """Return whether a hand can be at `position` (xy 2) at the time `at_s` of frame `frame`, given its previous and next found position.

    `centre` (frame, xy 2) contains the palm centres of the hand, in palm lengths like `position`. `found` (frame,) is true in frames in
    which the hand is found.
    """
    around = [np.flatnonzero(found[:frame])[-1:], frame + np.flatnonzero(found[frame:])[:1]]
    return all(
        np.linalg.norm(position - centre[near]) <= REACH_PALMS + SPEED_PALMS_S * abs(at_s - time_s[near]) for near in np.concatenate(around)
    )


def _short_gaps(found, time_s):
    """Yield the frame range (start, stop) of every gap of at most `MAX_LOST_S` seconds.

    A gap is a run of frames in which a hand is not found; `found` is a bool array (frame, hand). Hands that are never found are skipped.
    """
    for hand in range(found.shape[1]):
        if found[:, hand].any():
            for start, stop in zip(*runs(~found[:, hand]), strict=True):
                if time_s[stop - 1] - time_s[start] <= MAX_LOST_S:
                    yield start, stop
