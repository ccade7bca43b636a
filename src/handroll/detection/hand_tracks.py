"""Assign detections to the left and the right hand: link them into tracks over time, then choose one side for each track.

A hand detector processes each frame alone. It sometimes takes a hand for its mirror image or detects one hand twice, and its labels
are unreliable when hands cross. Three steps solve this: (1) drop duplicate detections of one hand; (2) link the detections of
consecutive frames into tracks wherever the link is unambiguous; (3) assign each track to the left hand, the right hand, or none, by
dynamic programming, so that simultaneous tracks never share a side. The score of an assignment is the sum of the terms below
(`SIDE_RATE_HZ` to `CONTINUITY`). Detections that contradict the side of their track are marked as mirrored and not used. They cannot be
relabelled, because the landmarks of a mirrored hand are on the wrong fingers.

A palm length is the video's median distance from the wrist to the middle knuckle, about 0.09 m for an adult.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from handroll.hand.skeleton import HANDS
from handroll.tables import DETECTIONS, frame_keys

WRIST, INDEX_MCP, MIDDLE_MCP, PINKY_MCP = 0, 5, 9, 17
"""Indices of MediaPipe's landmarks of the wrist and of the knuckles of index, middle and little finger."""

PALM = (0, 5, 9, 13, 17)
"""Indices of MediaPipe's landmarks around the palm. Their mean, the palm centre, stays the same if a hand is taken for its mirror image."""

LEFT, RIGHT, NO_SIDE = HANDS.index("left"), HANDS.index("right"), -1
"""Sides of a track: index of the left hand, index of the right hand, and the value of a track that is not used."""

DUPLICATE_PALMS = 0.4
"""Minimum distance between the palm centres of two hands, in palm lengths. Closer detections are one hand. Playing hands stay at least one
palm length apart."""

REACH_PALMS = 0.6
"""Constant part of the maximum distance between linked detections, in palm lengths. `SPEED_PALMS_S` times the elapsed time is added."""

SPEED_PALMS_S = 8.0
"""Maximum speed of a hand, in palm lengths per second."""

MAX_GAP_S = 0.15
"""Maximum time (s) without a detection within a track. After it the track ends, and another track may follow on the same side."""

MARGIN = 2.0
"""Minimum ratio of the distance of every alternative to the distance of an unambiguous link. Alternatives are the other links of the same
track and of the same detection."""

FLIP_PALMS = 0.3
"""Distance (palm lengths) that is added to a link for a difference of 1 (of at most 2) between the `side_evidence` of its two detections.
It is used only to compare the link with alternatives."""

FULL_AREA = 0.3
"""Minimum signed area of the palm, the cross product in `side_evidence`, at which its shape is full evidence for a side. Unit: the squared
distance from wrist to middle knuckle. A palm viewed from above has 0.5 to 0.7."""

MIN_AGREEMENT = 0.2
"""Minimum `side_evidence` of a used detection, in favour of the side of its track. A detection with less is at least partly mirrored."""

# The following are terms of the score of the dynamic programming, in the unit of a log-likelihood. Only their ratios matter.

SIDE_RATE_HZ = 8.0
"""Score of one second of detections whose labels and palm shapes all agree with the side. Wrong labels last about 0.1 to 0.5 s."""

PRESENCE_RATE_HZ = 2.0
"""Score of one second of detections that are assigned to a side. A track gets no side if both sides are occupied, or if its evidence
contradicts the free side."""

ORDER_RATE_HZ = 1.0
"""Maximum score of one second in which the right hand is to the right of the left hand in the image. Hands may cross, so it is far below
`SIDE_RATE_HZ`."""

CONTINUITY = 10.0
"""Score of a track that begins at the position and time at which the previous track of its side ended. It outweighs one second of
contradicting labels and palm shapes (`SIDE_RATE_HZ`)."""

CONTINUITY_S = 1.0
"""Time (s) between two tracks after which `CONTINUITY` has decayed to 1/e."""

CONTINUITY_PALMS = 1.0
"""Standard deviation (palm lengths) of the Gaussian by which `CONTINUITY` decays with the distance between two tracks."""

BEAM = 16
"""Maximum number of hypotheses that are kept after each track. For playing hands one is enough; the limit bounds the cost of other
videos."""


@dataclass(frozen=True)
class RawHands:
    """Detections of a video, one on each row, ordered by frame. Several rows may have the same frame.

    Attributes
    ----------
    frame : int array (row,)
        Index of the presented frame, not decreasing.
    right : float array (row,)
        The detector's probability, 0..1, that this is the player's right hand.
    landmarks_px : float array (row, landmark 21, xy 2)
        Landmarks in pixels of the displayed frame.
    landmarks_m : float array (row, landmark 21, xyz 3)
        World landmarks in metres, with the origin at the hand's centre.
    """

    frame: np.ndarray
    right: np.ndarray
    landmarks_px: np.ndarray
    landmarks_m: np.ndarray


def side_evidence(right, landmarks_px):
    """Compute the evidence for a side from single detections: half from the label, half from the shape of the palm.

    The camera views the back of the hand. For a right hand, the rotation about the wrist from the index knuckle to the pinky knuckle is
    then clockwise in the image, whatever the hand's direction. A hand viewed edge-on gives little evidence.

    Parameters
    ----------
    right : float array (row,)
        Probability of the right hand.
    landmarks_px : float array (row, landmark 21, xy 2)
        Landmarks of the detections, in pixels.

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
    """Compute the palm centres of detections, in palm lengths.

    Parameters
    ----------
    landmarks_px : float array (row, landmark 21, xy 2)
        Landmarks of the detections, in pixels.

    Returns
    -------
    float array (row, xy 2)
    """
    if not len(landmarks_px):
        return np.empty((0, 2))
    length_px = np.linalg.norm(landmarks_px[:, MIDDLE_MCP] - landmarks_px[:, WRIST], axis=-1)
    return landmarks_px[:, PALM].mean(axis=1) / max(np.median(length_px), 1e-9)


def unique_rows(frame, centre, confidence):
    """Select the rows without duplicates: of several detections of one hand in a frame, the most confident one is kept.

    Parameters
    ----------
    frame : int array (row,)
        Frame index of each row, not decreasing.
    centre : float array (row, xy 2)
        Palm centres, in palm lengths.
    confidence : float array (row,)
        Confidence of the detections; only its order matters.

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

    A detection continues a track if they are mutual nearest neighbours, every alternative is at least `MARGIN` times farther away, and a
    hand can cover the distance in the elapsed time. Otherwise the detection begins a new track. A change in side evidence does not end
    a track. It only increases the distance used to compare alternatives. `choose_sides` assigns the tracks of one hand to one side.

    Parameters
    ----------
    frame : int array (row,)
        Frame index of each row, not decreasing.
    time_s : float array (row,)
        Presentation times of the rows.
    centre : float array (row, xy 2)
        Palm centres, in palm lengths.
    evidence : float array (row,)
        See `side_evidence`.

    Returns
    -------
    list of int arrays
        Row indices of each track, by time. Tracks are ordered by their first row.
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
        # An ambiguous track ends here, because one of the new tracks may be its continuation.
        active = [track for index, track in enumerate(active) if index in continued or index not in ambiguous] + started
    return [np.array(track) for track in tracks]


def choose_sides(tracks, frame, time_s, centre, evidence, frame_s):
    """Choose the sides of all tracks jointly, by dynamic programming over the tracks in order of their start.

    A state is the last track of each side. Of several hypotheses with the same state, only the best one is kept, because later scores
    depend only on the state.

    Parameters
    ----------
    tracks : list of int arrays
        Result of `link_tracks`.
    frame : int array (row,)
        Frame index of each row, not decreasing.
    time_s : float array (row,)
        Presentation times of the rows.
    centre : float array (row, xy 2)
        Palm centres, in palm lengths.
    evidence : float array (row,)
        See `side_evidence`.
    frame_s : float
        Time between two frames, s.

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
        Detections of the whole video.
    time_s : float array (frame,)
        Presentation time of every frame, seconds since the first.

    Returns
    -------
    dict of str to array (frame, hand, ...)
        Columns of `tables.DETECTIONS`; NaN where a hand is not found or was taken for its mirror image.
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
        Columns of `tables.DETECTIONS`, changed in place.
    frame, side : int arrays (n,)
        Frame and hand index of each detection in the table.
    raw : RawHands
        The detections; `rows` selects those that are written.
    rows : int array (n,)
        Row of each detection in `raw`.
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
    """Build the columns (frame, hand, ...) of `tables.DETECTIONS` without any detection, for frames at the times `time_s` (frame,)."""
    frames = len(time_s)
    columns = frame_keys(time_s)
    for column in DETECTIONS.columns:
        if column.name not in columns:
            blank = False if column.name in ("found", "mirrored") else np.float32(np.nan)
            columns[column.name] = np.full((frames, len(HANDS), *column.shape), blank)
    return columns


def _rows_by_frame(frame):
    """Return a list of int arrays, one for each frame that has rows: the indices of its rows. `frame` (row,) must not decrease."""
    if not len(frame):
        return []
    return np.split(np.arange(len(frame)), np.flatnonzero(np.diff(frame)) + 1)
