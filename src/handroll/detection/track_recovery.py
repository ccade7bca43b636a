"""A second look at the moments in which a hand is lost.

A tracker follows a hand from frame to frame, so what it loses depends on where it came from. Seen backwards in time, in
a mirror, or both, the same frames put it before another task: it comes to a hand that another one covers from the side where
it was still free, and a blurred hand that it takes for its mirror image it often takes rightly in the mirrored picture.
On a real video with crossing hands and motion blur these looks found 69 of 105 lost hands, an enlarged cut-out of the picture
at most 17.
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
    place_hands,
    side_evidence,
)
from handroll.runs import runs

MAX_LOST_S = 1.0
"""A hand lost for longer is taken to be away."""
LEAD_S = 0.3
"""The second look begins and ends this long before and after, so that the tracker gets hold of both hands."""
MAX_FRAMES = 120
"""Longer stretches, as where losses follow close upon each other, are looked at in parts: their pictures are in memory."""


def lost_stretches(columns):
    """Frames to look at again: around all losses of a hand that has been or will be there, if they are short.

    Parameters
    ----------
    columns : dict of str to array (frame, hand, ...)
        Of `tables.DETECTIONS`.

    Returns
    -------
    list of (start, stop) frames, increasing, apart from each other
    """
    time_s = columns["time_s"][:, 0]
    wanted = np.zeros(len(time_s), dtype=bool)
    for start, stop in _short_losses(columns["found"], time_s):
        first, last = np.searchsorted(time_s, [time_s[start] - LEAD_S, time_s[stop - 1] + LEAD_S])
        wanted[first : last + 1] = True
    return [
        (part, min(part + MAX_FRAMES, int(stop)))
        for start, stop in zip(*runs(wanted), strict=True)
        for part in range(start, stop, MAX_FRAMES)
    ]


def fill_lost(columns, raw):
    """Take from the second look the hands that were lost, where there is no doubt about which hand it is.

    A detection fills a loss if it says itself that it is that hand, lies where the hand can have come from and can have
    gone to, nearer to its expected place than to the other hand's, and is not the other hand seen twice. Of several the
    one nearest to the expected place is taken. What was found before is not touched.

    Parameters
    ----------
    columns : dict of str to array (frame, hand, ...)
        Of `tables.DETECTIONS`; changed in place.
    raw : handroll.detection.hand_tracks.RawHands
        Detections of the second look, in any order.
    """
    found, time_s = columns["found"].copy(), columns["time_s"][:, 0]
    wrist, knuckle = columns["landmarks_px"][found][:, WRIST], columns["landmarks_px"][found][:, MIDDLE_MCP]
    palm_px = np.median(np.linalg.norm(knuckle - wrist, axis=-1))
    centre = columns["landmarks_px"][:, :, PALM].mean(axis=2) / palm_px
    expected = np.stack([_expected(centre[:, hand], found[:, hand], time_s) for hand in range(2)], axis=1)
    evidence = side_evidence(raw.right, raw.landmarks_px)
    place = raw.landmarks_px[:, PALM].mean(axis=1) / palm_px

    lost = np.zeros(found.shape, dtype=bool)
    for hand in range(2):
        for start, stop in _short_losses(found[:, [hand]], time_s):
            lost[start:stop, hand] = True
    chosen = {}
    for row, frame in enumerate(raw.frame):
        for hand in np.flatnonzero(lost[frame]):
            other = 1 - hand
            off = np.linalg.norm(place[row] - expected[frame, hand])
            agrees = (-evidence[row] if hand == LEFT else evidence[row]) > MIN_AGREEMENT
            own = not off >= np.linalg.norm(place[row] - expected[frame, other])
            single = not found[frame, other] or np.linalg.norm(place[row] - centre[frame, other]) >= DUPLICATE_PALMS
            reached = _reached(place[row], time_s[frame], centre[:, hand], found[:, hand], time_s, frame)
            if agrees and own and single and reached and off < chosen.get((frame, hand), (np.inf,))[0]:
                chosen[frame, hand] = off, row
    if chosen:
        frame, hand = np.array(list(chosen)).T
        place_hands(columns, frame, hand, raw, np.array([row for _, row in chosen.values()]))


def _expected(centre, found, time_s):
    """Palm centres (frame, xy 2) of one hand, between the frames in which it was found on a straight line; NaN if never."""
    if not found.any():
        return np.full_like(centre, np.nan)
    return np.stack([np.interp(time_s, time_s[found], centre[found, axis]) for axis in range(2)], axis=-1)


def _reached(place, at_s, centre, found, time_s, frame):
    """Whether a hand can have been at a place, given the last place where it was found and the next."""
    around = [np.flatnonzero(found[:frame])[-1:], frame + np.flatnonzero(found[frame:])[:1]]
    return all(
        np.linalg.norm(place - centre[near]) <= REACH_PALMS + SPEED_PALMS_S * abs(at_s - time_s[near]) for near in np.concatenate(around)
    )


def _short_losses(found, time_s):
    """(start, stop) of all runs of frames without the hand, at most `MAX_LOST_S` long, of hands (frame, hand) ever found."""
    for hand in range(found.shape[1]):
        if found[:, hand].any():
            for start, stop in zip(*runs(~found[:, hand]), strict=True):
                if time_s[stop - 1] - time_s[start] <= MAX_LOST_S:
                    yield start, stop
