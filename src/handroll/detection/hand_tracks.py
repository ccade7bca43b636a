"""Assign detections to the left and the right hand: link them into tracks over time, then choose one side for each track.

A hand detector processes each frame alone. It sometimes takes a hand for its mirror image or detects one hand twice, and its labels
are unreliable when hands cross. Three steps solve this: (1) drop duplicate detections of one hand; (2) link the detections of
consecutive frames into tracks wherever the link is unambiguous; (3) assign each track to the left hand, the right hand, or none, by
dynamic programming, so that simultaneous tracks never share a side. The score sums three terms: the labels and palm shapes; a
gain where a track begins near the end of the previous track of its side; and a weak preference for the right hand being on the
right. Detections that contradict the side of their track are masked, not relabelled, because the landmarks of a mirrored hand are
on the wrong fingers.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from handroll.hand.skeleton import HANDS
from handroll.tables import DETECTIONS, frame_keys

WRIST, INDEX_MCP, MIDDLE_MCP, PINKY_MCP = 0, 5, 9, 17
PALM = (0, 5, 9, 13, 17)
"""MediaPipe landmarks around the palm. Their mean stays the same when a hand is taken for its mirror image."""

LEFT, RIGHT, NO_SIDE = HANDS.index("left"), HANDS.index("right"), -1

# Lengths are in palms: the video's median distance from wrist to middle knuckle, about 0.09 m for an adult.
DUPLICATE_PALMS = 0.4
"""Two detections with palm centres closer than this are one hand. Playing hands stay at least one palm apart."""

REACH_PALMS = 0.6
"""Maximum length of a link, plus `SPEED_PALMS_S` times the elapsed time."""

SPEED_PALMS_S = 8.0
"""Maximum speed of a hand, palms per second."""

MAX_GAP_S = 0.15
"""Maximum time without a detection in a track; after it, another track may follow on the same side."""

MARGIN = 2.0
"""A link is unambiguous if all alternatives of its track and of its detection are at least this many times farther away."""

FLIP_PALMS = 0.3
"""A change of `side_evidence` by 1 (its range is 2) adds this to the distance where there are alternatives."""

FULL_AREA = 0.3
"""Signed area of the palm (palm units) from which the shape counts fully; a palm seen from above has 0.5 to 0.7."""

MIN_AGREEMENT = 0.2
"""A detection is used if its `side_evidence` for the side of its track is above this; otherwise it is at least partly mirrored."""

# Terms of the dynamic programme, in the unit of a log-likelihood. Only their ratios matter.
SIDE_RATE_HZ = 8.0
"""Weight of a second of labels and shapes that all agree: errors come in runs of about 0.1 to 0.5 s."""

PRESENCE_RATE_HZ = 2.0
"""Weight of a second of detections. A track whose sides are occupied or contradicted by its evidence is assigned to no side."""

ORDER_RATE_HZ = 1.0
"""Weight of a second with the right hand right of the left one. Hands cross, so it is far below `SIDE_RATE_HZ`."""

CONTINUITY = 10.0
"""Gain where a track begins at the position and time where the previous track of its side ended: more than a second of labels."""

CONTINUITY_S = 1.0
CONTINUITY_PALMS = 1.0
"""Time (s) and distance (palms) over which this gain decays."""

BEAM = 16
"""Maximum number of hypotheses for each track. On videos of playing hands one is enough; a limit bounds the cost of a chaotic video."""


@dataclass(frozen=True)
class RawHands:
    """Detections of a video, one row each, ordered by frame; several rows may share a frame.

    Attributes
    ----------
    frame : int array (row,)
        Index of the presented frame, not decreasing.
    right : float array (row,)
        The detector's probability, 0..1, that this is the player's right hand.
    landmarks_px : float array (row, landmark 21, xy 2)
    landmarks_m : float array (row, landmark 21, xyz 3)
        World landmarks, metres, origin at the hand's centre.
    """

    frame: np.ndarray
    right: np.ndarray
    landmarks_px: np.ndarray
    landmarks_m: np.ndarray


def side_evidence(right, landmarks_px):
    """Compute the evidence of single detections for a side: half from the label, half from the shape of the palm.

    The camera sees the back of the hand. The rotation from the index knuckle over the wrist to the pinky knuckle is then clockwise
    on the screen for a right hand, in any direction of the hand. A hand seen edge-on gives little evidence.

    Parameters
    ----------
    right : float array (row,)
        Probability of the right hand.
    landmarks_px : float array (row, landmark 21, xy 2)

    Returns
    -------
    float array (row,), -1 (left) to 1 (right)
    """
    index = landmarks_px[:, INDEX_MCP] - landmarks_px[:, WRIST]
    pinky = landmarks_px[:, PINKY_MCP] - landmarks_px[:, WRIST]
    middle = landmarks_px[:, MIDDLE_MCP] - landmarks_px[:, WRIST]
    cross = index[:, 0] * pinky[:, 1] - index[:, 1] * pinky[:, 0]
    area = cross / np.maximum((middle**2).sum(axis=-1), 1e-9)
    return 0.5 * (2.0 * np.asarray(right) - 1.0) + 0.5 * np.clip(area / FULL_AREA, -1.0, 1.0)


def palm_centres(landmarks_px):
    """Compute palm centres in units of the video's median palm length.

    Parameters
    ----------
    landmarks_px : float array (row, landmark 21, xy 2)

    Returns
    -------
    float array (row, xy 2)
    """
    if not len(landmarks_px):
        return np.empty((0, 2))
    length_px = np.linalg.norm(landmarks_px[:, MIDDLE_MCP] - landmarks_px[:, WRIST], axis=-1)
    return landmarks_px[:, PALM].mean(axis=1) / max(np.median(length_px), 1e-9)


def unique_rows(frame, centre, confidence):
    """Select rows without duplicates: of two detections of one hand in one frame, keep the more confident one.

    Parameters
    ----------
    frame : int array (row,)
    centre : float array (row, xy 2)
        Palm centres, palms.
    confidence : float array (row,)

    Returns
    -------
    int array of row indices, increasing
    """
    kept = []
    for rows in _rows_by_frame(frame):
        chosen = []
        for row in sorted(rows, key=lambda r: -confidence[r]):
            if all(np.linalg.norm(centre[row] - centre[other]) >= DUPLICATE_PALMS for other in chosen):
                chosen.append(row)
        kept.extend(sorted(chosen))
    return np.array(kept, dtype=np.int64)


def link_tracks(frame, time_s, centre, evidence):
    """Link detections that are unambiguously the same hand into tracks.

    A detection continues a track if each is the nearest of the other by `MARGIN`, and if a hand can move that far. A change of
    side does not end a track, but adds to the distance where there are alternatives. Otherwise a new track begins, and
    `choose_sides` joins the parts with more evidence.

    Parameters
    ----------
    frame : int array (row,)
    time_s : float array (row,)
        Presentation times of the rows.
    centre : float array (row, xy 2)
        Palm centres, palms.
    evidence : float array (row,)
        See `side_evidence`.

    Returns
    -------
    list of int arrays: row indices of each track, by time; tracks by first row
    """
    tracks, active = [], []
    for rows in _rows_by_frame(frame):
        active = [track for track in active if time_s[rows[0]] - time_s[track[-1]] <= MAX_GAP_S]
        last = np.array([track[-1] for track in active], dtype=np.int64)
        step = np.linalg.norm(centre[last][:, None] - centre[rows][None], axis=-1)
        far = step + FLIP_PALMS * np.abs(evidence[last][:, None] - evidence[rows][None])
        reach = REACH_PALMS + SPEED_PALMS_S * (time_s[rows][None] - time_s[last][:, None])
        continued, ambiguous = set(), set()
        started = []
        for column, row in enumerate(rows):
            near = set(np.flatnonzero(step[:, column] <= reach[:, column]).tolist())
            nearest = int(far[:, column].argmin()) if active else None
            if nearest in near:
                rivals = np.concatenate([np.delete(far[:, column], nearest), np.delete(far[nearest], column)])
                if (MARGIN * far[nearest, column] < rivals).all():
                    active[nearest].append(row)
                    continued.add(nearest)
                    continue
            ambiguous |= near
            started.append([row])
        tracks += started
        # A track that a new one may continue ends here; otherwise both could alternate.
        active = [track for index, track in enumerate(active) if index in continued or index not in ambiguous] + started
    return [np.array(track) for track in tracks]


def choose_sides(tracks, frame, time_s, centre, evidence, frame_s):
    """Choose the sides of all tracks jointly, by dynamic programming over the tracks in order of their start.

    A state is the last track of each side. Of two hypotheses with the same state the better one is kept, because both have the
    same future.

    Parameters
    ----------
    tracks : list of int arrays
        Rows of each track, by time; tracks by first row.
    frame : int array (row,)
    time_s : float array (row,)
    centre : float array (row, xy 2)
        Palm centres, palms.
    evidence : float array (row,)
        See `side_evidence`.
    frame_s : float
        Time between two frames.

    Returns
    -------
    int array (track,): `LEFT`, `RIGHT` or `NO_SIDE`
    """

    @cache
    def continuity(before, track):
        if before is None:
            return 0.0
        end, start = tracks[before][-1], tracks[track][0]
        gap = (time_s[start] - time_s[end]) / CONTINUITY_S
        step = np.linalg.norm(centre[start] - centre[end]) / CONTINUITY_PALMS
        return CONTINUITY * np.exp(-gap - 0.5 * step**2)

    @cache
    def order(left, right):
        if (
            left is None
            or right is None
            or frame[tracks[left][-1]] < frame[tracks[right][0]]
            or frame[tracks[right][-1]] < frame[tracks[left][0]]
        ):
            return 0.0
        _, of_left, of_right = np.intersect1d(frame[tracks[left]], frame[tracks[right]], assume_unique=True, return_indices=True)
        apart = centre[tracks[right][of_right], 0] - centre[tracks[left][of_left], 0]
        return ORDER_RATE_HZ * frame_s * np.tanh(apart).sum()

    # State: (last left track, last right track) -> (score, chain of choices as nested pairs).
    states = {(None, None): (0.0, None)}
    for track, rows in enumerate(tracks):
        vote = SIDE_RATE_HZ * frame_s * evidence[rows].sum()
        presence = PRESENCE_RATE_HZ * frame_s * len(rows)
        following = {}
        for last, (score, chain) in states.items():
            options = [(last, score, NO_SIDE)]
            for side, sign in ((LEFT, -1.0), (RIGHT, 1.0)):
                if last[side] is None or frame[tracks[last[side]][-1]] < frame[rows[0]]:
                    pair = (track, last[RIGHT]) if side == LEFT else (last[LEFT], track)
                    gain = presence + sign * vote + continuity(last[side], track) + order(*pair)
                    options.append((pair, score + gain, side))
            for pair, total, side in options:
                if pair not in following or total > following[pair][0]:
                    following[pair] = (total, (chain, side))
        states = dict(sorted(following.items(), key=lambda item: -item[1][0])[:BEAM])
    _, chain = max(states.values(), key=lambda value: value[0])
    sides = []
    while chain is not None:
        chain, side = chain
        sides.append(side)
    return np.array(sides[::-1], dtype=np.int64)


def assign_hands(raw, time_s):
    """Build the detections table of a video from raw detections.

    Parameters
    ----------
    raw : RawHands
    time_s : float array (frame,)
        Presentation time of every frame, seconds since the first.

    Returns
    -------
    dict of str to array (frame, hand, ...)
        The columns of `tables.DETECTIONS`; NaN where a hand is not found or was taken for its mirror image.
    """
    time_s = np.asarray(time_s, dtype=np.float64)
    columns = empty_detections(time_s)
    all_evidence = side_evidence(raw.right, raw.landmarks_px)
    all_centres = palm_centres(raw.landmarks_px)
    kept = unique_rows(raw.frame, all_centres, np.abs(all_evidence))
    if not len(kept):
        return columns
    frame, centre, evidence = raw.frame[kept], all_centres[kept], all_evidence[kept]
    row_time_s = time_s[frame]
    frame_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 1.0
    tracks = link_tracks(frame, row_time_s, centre, evidence)
    sides = choose_sides(tracks, frame, row_time_s, centre, evidence, frame_s)

    row_side = np.full(len(kept), NO_SIDE)
    for rows, side in zip(tracks, sides, strict=True):
        row_side[rows] = side
    agrees = np.where(row_side == RIGHT, evidence, -evidence) > MIN_AGREEMENT
    mirrored = (row_side != NO_SIDE) & ~agrees
    columns["mirrored"][frame[mirrored], row_side[mirrored]] = True

    found = (row_side != NO_SIDE) & agrees
    write_detections(columns, frame[found], row_side[found], raw, kept[found])
    return columns


def write_detections(columns, frame, side, raw, rows):
    """Write detections into the detections table.

    Parameters
    ----------
    columns : dict of str to array (frame, hand, ...)
        Changed in place.
    frame, side : int arrays (n,)
        Target cells.
    raw : RawHands
    rows : int array (n,)
        Source rows.
    """
    at = frame, side
    landmarks_px = raw.landmarks_px[rows]
    columns["found"][at] = True
    columns["mirrored"][at] = False
    columns["score"][at] = np.maximum(raw.right[rows], 1.0 - raw.right[rows])
    columns["box_px"][at] = np.concatenate([landmarks_px.min(axis=1), landmarks_px.max(axis=1)], axis=-1)
    columns["landmarks_px"][at] = landmarks_px
    columns["landmarks_m"][at] = raw.landmarks_m[rows]


def empty_detections(time_s):
    """Build the detections table of frames at these times (frame,) without any hand, as arrays (frame, hand, ...)."""
    frames = len(time_s)
    columns = frame_keys(time_s)
    for column in DETECTIONS.columns:
        if column.name not in columns:
            blank = False if column.name in ("found", "mirrored") else np.float32(np.nan)
            columns[column.name] = np.full((frames, len(HANDS), *column.shape), blank)
    return columns


def _rows_by_frame(frame):
    """Return the row indices of every frame that has rows, in order of frames."""
    if not len(frame):
        return []
    return np.split(np.arange(len(frame)), np.flatnonzero(np.diff(frame)) + 1)
