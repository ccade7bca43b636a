"""Which detection is the left hand and which the right: tracks over time, and one vote a track.

A hand detector looks at one frame: it takes a hand for its mirror image now and then, sees one hand twice, and its
labels say nothing about hands that cross. Here (1) the second detection of one hand is dropped, (2) the detections of
consecutive frames are linked into tracks wherever that is beyond doubt, (3) a dynamic programme over the tracks gives
each a side, left or right, or none, so that two tracks at one time never share a side. It maximises the sum of what
the labels and the shape say, of what is gained where a side's next track begins close to where its last one ended,
and of a weak preference for the right hand being on the right. Frames that contradict the side of their track are
masked, not relabelled: the landmarks of a mirrored hand lie on the wrong fingers.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from handroll.hand.skeleton import HANDS
from handroll.tables import DETECTIONS, frame_keys

WRIST, INDEX_MCP, MIDDLE_MCP, PINKY_MCP = 0, 5, 9, 17
PALM = (0, 5, 9, 13, 17)
"""MediaPipe landmarks around the palm. Their mean does not move when a hand is taken for its mirror image."""

LEFT, RIGHT, NO_SIDE = HANDS.index("left"), HANDS.index("right"), -1

# Lengths are in palms: the video's median distance from wrist to middle knuckle, about 0.09 m on a grown-up's hand.
DUPLICATE_PALMS = 0.4
"""Two detections with palm centres closer than this are one hand. Hands that play do not come closer than one palm."""
REACH_PALMS = 0.6
"""A link spans at most this, plus `SPEED_PALMS_S` times the time that passed."""
SPEED_PALMS_S = 8.0
MAX_GAP_S = 0.15
"""A track survives this long without a detection; after it, another track may follow on the same side."""
MARGIN = 2.0
"""A link is beyond doubt if every rival of its track and of its detection is this many times farther away."""
FLIP_PALMS = 0.3
"""A change of `side_evidence` by 1 (it spans 2) counts as this distance against rivals."""

FULL_AREA = 0.3
"""Signed area of the palm (palm units) from which the shape counts fully; a palm seen from above has 0.5 to 0.7."""
MIN_AGREEMENT = 0.2
"""A detection is trusted if its `side_evidence` for the side of its track is above this; below, it is (half) mirrored."""

# What the dynamic programme adds up, in the unit of a log-likelihood. Only their ratios matter.
SIDE_RATE_HZ = 8.0
"""Weight of a second of labels and shapes that all say the same: errors come in runs of about 0.1 to 0.5 s."""
PRESENCE_RATE_HZ = 2.0
"""Weight of a second of detections being a hand at all: a track whose sides are taken or denied goes to none."""
ORDER_RATE_HZ = 1.0
"""Weight of a second with the right hand right of the left one. Hands cross, so it is far below `SIDE_RATE_HZ`."""
CONTINUITY = 10.0
"""Gain where a track begins at the very place and time where the last track of its side ended: over a second of labels."""
CONTINUITY_S = 1.0
CONTINUITY_PALMS = 1.0
BEAM = 16
"""Hypotheses kept a track. On videos of playing hands a single one gives the same; more bound the cost of a chaotic video."""


@dataclass(frozen=True)
class RawHands:
    """Detections of a video, one row a detection, by frame; several rows may share a frame.

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
    """What a detection alone says about its side: half its label, half the shape of its palm.

    The back of the hand is seen from above. Then the turn from the index knuckle over the wrist to the pinky knuckle is
    clockwise on the screen for a right hand, whichever way the hand points; a hand seen edge-on has no turn and says little.

    Parameters
    ----------
    right : float array (row,)
        Probability of the right hand.
    landmarks_px : float array (row, landmark 21, xy 2)

    Returns
    -------
    float array (row,), -1 (surely left) to 1 (surely right)
    """
    index = landmarks_px[:, INDEX_MCP] - landmarks_px[:, WRIST]
    pinky = landmarks_px[:, PINKY_MCP] - landmarks_px[:, WRIST]
    middle = landmarks_px[:, MIDDLE_MCP] - landmarks_px[:, WRIST]
    turn = index[:, 0] * pinky[:, 1] - index[:, 1] * pinky[:, 0]
    area = turn / np.maximum((middle**2).sum(axis=-1), 1e-9)
    return 0.5 * (2.0 * np.asarray(right) - 1.0) + 0.5 * np.clip(area / FULL_AREA, -1.0, 1.0)


def palm_centres(landmarks_px):
    """Palm centres in units of the video's median palm length.

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


def single_rows(frame, centre, confidence):
    """Rows without the duplicates: of two detections of one hand in one frame, the less confident one goes.

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
    """Tracks of detections that are beyond doubt the same hand.

    A detection continues a track if both are each other's nearest by `MARGIN` and the step is one that a hand can make.
    A change of side does not end a track, but counts as distance where there is a rival. In all other cases a new track
    begins: `choose_sides` joins the pieces with more to go by.

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
        certain, doubtful = set(), set()
        started = []
        for column, row in enumerate(rows):
            near = set(np.flatnonzero(step[:, column] <= reach[:, column]).tolist())
            nearest = int(far[:, column].argmin()) if active else None
            if nearest in near:
                rivals = np.concatenate([np.delete(far[:, column], nearest), np.delete(far[nearest], column)])
                if (MARGIN * far[nearest, column] < rivals).all():
                    active[nearest].append(row)
                    certain.add(nearest)
                    continue
            doubtful |= near
            started.append([row])
        tracks += started
        # A track that a new one may have followed is over, else both could go on in turns.
        active = [track for index, track in enumerate(active) if index in certain or index not in doubtful] + started
    return [np.array(track) for track in tracks]


def choose_sides(tracks, frame, time_s, centre, evidence, frame_s):
    """The side of every track: the best joint choice, by dynamic programming over the tracks in order of their start.

    A state is the last track of either side; two states with the same pair have the same future, so the better one is
    kept.

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
    """The detections table of a video from raw detections.

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
    kept = single_rows(raw.frame, all_centres, np.abs(all_evidence))
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
    place_hands(columns, frame[found], row_side[found], raw, kept[found])
    return columns


def place_hands(columns, frame, side, raw, rows):
    """Write detections into the table.

    Parameters
    ----------
    columns : dict of str to array (frame, hand, ...)
        Changed in place.
    frame, side : int arrays (n,)
        Where they go.
    raw : RawHands
    rows : int array (n,)
        Which ones.
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
    """The detections table of frames (frame,) without a hand, as arrays (frame, hand, ...)."""
    frames = len(time_s)
    columns = frame_keys(time_s)
    for column in DETECTIONS.columns:
        if column.name not in columns:
            blank = False if column.name in ("found", "mirrored") else np.float32(np.nan)
            columns[column.name] = np.full((frames, len(HANDS), *column.shape), blank)
    return columns


def _rows_by_frame(frame):
    """Row indices of every frame that has rows, by frame."""
    if not len(frame):
        return []
    return np.split(np.arange(len(frame)), np.flatnonzero(np.diff(frame)) + 1)
