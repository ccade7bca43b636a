"""Detect the black keys in an image by the pattern of their groups of two and three.

Along a line across the black keys, the gaps between their centres are short, long, short, short, long in every octave. Lines in all
directions near the image axes are searched for dark spots with this pattern. The scale is fitted locally, so perspective, distortion,
hands over some keys and keys outside the image are tolerated. The pattern is the same from both sides; the player's side is the one
where the black keys end on white keys.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from handroll.keyboard.geometry import BLACK_KEYS, STANDARD, black_centres_mm

SEARCH_WIDTH_PX = 1280
"""Maximum size of the searched image, px; larger images are reduced."""

ANGLES_DEG = tuple(quarter + turn for quarter in (0.0, 90.0) for turn in np.arange(-15.0, 15.1, 3.0))
ROW_STEP_PX, SEARCH_STEP_PX = 3, 9
"""Distances between the lines that are searched for keys, and between the lines that only determine the direction, px."""

MIN_CONTRAST = 35.0
"""Minimum difference between the brightest and the darkest pixel near a black key, of 255."""

MIN_KEYS = 8
"""Minimum number of black keys in a row; an octave has 5."""

SHORT_GAP_MM = 26.0
"""Short gap between the centres of neighbouring black keys, mm."""

SEED_TOLERANCE = 0.12
"""Maximum deviation of the centres of an octave from the pattern, in short gaps."""

GROW_TOLERANCE = 0.25
"""Maximum deviation of the next centre from its position predicted by the last octave, in short gaps."""

MAX_WIDTH_RATIO = 1.6
"""Maximum ratio of the widths of black keys of a row."""

MAX_SKIPPED = 3
"""Maximum number of consecutive missing black keys in a row, for example under a hand."""

MAX_HYPOTHESES = 4
"""Maximum number of rows of black keys, each with a player's side: the keyboard and its reflection, from either side."""

MIN_ENDS = 4
"""Minimum number of black keys of a row that end on white keys."""

MIN_ENDS_SHARE = 1 / 3
"""The same as a share of the row's keys. A row that reaches it on both sides is returned for either side."""

OCTAVE_MM = 7 * STANDARD.white_pitch_mm

# Number of consecutive black keys that start a row.
_SEED = 6

# x of the black keys of an octave, from C#. Key 5 n + k is key k of octave n, which is unknown here and not limited.
_ONE_OCTAVE = black_centres_mm()[1:6]


def black_mm(index):
    """Return x of black keys that are counted from any C#, relative to that C#, millimetres; an array of the same shape."""
    index = np.asarray(index)
    return _ONE_OCTAVE[index % 5] - _ONE_OCTAVE[0] + index // 5 * OCTAVE_MM


@dataclass(frozen=True)
class Row:
    """Black keys along a line of a rotated image: row `y`, centres `x` (n,) px, and `black` (n,) counted from a C#."""

    y: int
    x: np.ndarray
    black: np.ndarray


@dataclass(frozen=True)
class BlackKeys:
    """A row of black keys in an image.

    Attributes
    ----------
    black : int array (n,)
        Key of each point, counted from some C#.
    points_px : array (n, xy 2)
        Points on the keys' centre lines.
    row : int array (n,)
        Index of the line across the keys that contains each point, increasing towards the player.
    front_px : array (key, xy 2)
        Front ends, on the player's side, of the keys `front_black`.
    front_black : int array (key,)
        Counted as `black`.
    """

    black: np.ndarray
    points_px: np.ndarray
    row: np.ndarray
    front_px: np.ndarray
    front_black: np.ndarray


def find_black_keys(image):
    """Find the rows of black keys in an image: the keyboard, and its reflection in a polished fallboard.

    Parameters
    ----------
    image : uint8 array (height, width)

    Returns
    -------
    list of BlackKeys
        The row with the most keys first. A row that ends on white keys on both sides gives two, one for each player's side.
        Empty where no row is found.
    """
    scale = min(1.0, SEARCH_WIDTH_PX / max(image.shape))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else image
    n_keys = {angle: sum(len(row.black) for row in _rows(_rotated(small, angle)[0], SEARCH_STEP_PX)) for angle in ANGLES_DEG}
    rotated, matrix = _rotated(small, max(n_keys, key=n_keys.get))
    remaining, found = _rows(rotated, ROW_STEP_PX), []
    while remaining and len(found) < MAX_HYPOTHESES:
        band = _same_keys(remaining)
        low, high = band[0].y, band[-1].y
        remaining = [row for row in remaining if not low <= row.y <= high]
        found += _with_fronts(rotated, matrix, _within_88_keys(band), scale)
    return found[:MAX_HYPOTHESES]


def _rotated(image, angle_deg):
    """Rotate an image without cropping it, with its border replicated; return it and the 2x3 matrix of the rotation."""
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D((width / 2.0, height / 2.0), angle_deg, 1.0)
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ matrix[:, :2].T + matrix[:, 2]
    matrix[:, 2] -= corners.min(axis=0)
    size = np.ceil(np.ptp(corners, axis=0)).astype(int)
    return cv2.warpAffine(image, matrix, tuple(size.tolist()), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), matrix


def _dark_runs(line, reach):
    """Return start and stop of the runs of dark pixels of a line (x,); the threshold is midway between the extremes within `reach`."""
    line = line.astype(np.float32)
    high, low = maximum_filter1d(line, reach), minimum_filter1d(line, reach)
    dark = (line < (high + low) / 2.0) & (high - low > MIN_CONTRAST)
    edges = np.diff(np.concatenate(([0], dark.view(np.int8), [0])))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _seeds():
    """Return for each phase the matrix (6, 6) of the residuals of an affine fit, and the row (6,) that gives px per mm."""
    found = []
    for phase in range(5):
        x_mm = black_mm(np.arange(phase, phase + _SEED))
        design = np.stack([np.ones(_SEED), x_mm], axis=1)
        inverse = np.linalg.pinv(design)
        found.append((np.eye(_SEED) - design @ inverse, inverse[1]))
    return found


_SEEDS = _seeds()


def _rows(rotated, step):
    """Find the rows of black keys along every `step`-th line of a rotated image."""
    return [row for row in (_row(rotated, y) for y in range(0, len(rotated), step)) if row is not None]


def _row(rotated, y):
    """Find the longest row of black keys along line y of a rotated image; None where there is none."""
    line = rotated[max(y - 1, 0) : y + 2].mean(axis=0)
    start, stop = _dark_runs(line, max(len(line) // 10, 9))
    width = stop - start
    usable = (width >= 3) & (width < len(line) / 12)
    centre, width = ((start + stop - 1) / 2.0)[usable], width[usable]
    if len(centre) < MIN_KEYS:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(centre, _SEED)
    best, grown = None, set()
    for phase, (project, slope) in enumerate(_SEEDS):
        scale = windows @ slope
        misfit = np.abs(windows @ project.T).max(axis=1)
        for first in np.flatnonzero((misfit < SEED_TOLERANCE * SHORT_GAP_MM * scale) & (scale > 0)):
            if (centre[first], phase) in grown:
                continue
            x, black = _grown(centre, width, first, phase)
            grown |= set(zip(x.tolist(), (black % 5).tolist(), strict=True))
            if best is None or len(x) > len(best[0]):
                best = x, black
    if best is None or len(best[0]) < MIN_KEYS:
        return None
    return Row(y, best[0], best[1])


def _grown(centre, width, first, phase):
    """Grow a row to both sides from an octave at index `first`; return its centres and keys. Black keys must be equally wide."""
    typical = np.median(width[first : first + _SEED])
    equally_wide = (width > typical / MAX_WIDTH_RATIO) & (width < typical * MAX_WIDTH_RATIO)
    x, black = list(centre[first : first + _SEED]), list(range(phase, phase + _SEED))
    for step in (1, -1):
        skipped = 0
        while skipped <= MAX_SKIPPED:
            near = slice(-_SEED, None) if step == 1 else slice(None, _SEED)
            scale, offset = np.polyfit(black_mm(np.array(black[near])), x[near], 1)
            following = (black[-1] + 1 + skipped) if step == 1 else (black[0] - 1 - skipped)
            predicted = offset + scale * black_mm(following)
            at = np.abs(centre - predicted).argmin()
            nearest = centre[at]
            if not centre[0] - scale * SHORT_GAP_MM < predicted < centre[-1] + scale * SHORT_GAP_MM:
                break
            if equally_wide[at] and abs(nearest - predicted) < GROW_TOLERANCE * SHORT_GAP_MM * scale * (1 + skipped / 2):
                at = len(x) if step == 1 else 0
                x.insert(at, nearest)
                black.insert(at, following)
                skipped = 0
            else:
                skipped += 1
    return np.array(x), np.array(black)


def _same_keys(rows):
    """Return the rows that show the same keys as the longest row, with keys counted from the same C#."""
    reference = max(rows, key=lambda row: len(row.black))
    kept = []
    for row in rows:
        inside = (row.x >= reference.x[0]) & (row.x <= reference.x[-1])
        if inside.sum() < MIN_KEYS - 2:
            continue
        expected_mm = np.interp(row.x[inside], reference.x, black_mm(reference.black))
        octaves = np.median(expected_mm - black_mm(row.black[inside])) / OCTAVE_MM
        if abs(octaves - round(octaves)) < SHORT_GAP_MM / OCTAVE_MM / 2.0 and len(row.x) >= len(reference.x) // 2:
            kept.append(Row(row.y, row.x, row.black + 5 * round(octaves)))
    # The band around the reference, without large gaps.
    y = np.array([row.y for row in kept])
    at = int(np.flatnonzero(y == reference.y)[0])
    gap = 6 * ROW_STEP_PX
    first, last = at, at
    while first > 0 and y[first] - y[first - 1] <= gap:
        first -= 1
    while last < len(y) - 1 and y[last + 1] - y[last] <= gap:
        last += 1
    return kept[first : last + 1]


def _within_88_keys(rows):
    """Remove from the rows what lies beyond 88 keys, such as a dark cheek block.

    A piano has 36 black keys from an A#: key 4 of an octave, or 2 when counted from the other side.
    """
    black = np.concatenate([row.black for row in rows])
    if np.ptp(black) < len(BLACK_KEYS):
        return rows
    starts = [start for start in range(black.min() - 4, black.max()) if start % 5 in (2, 4)]
    first = max(starts, key=lambda start: ((black >= start) & (black < start + len(BLACK_KEYS))).sum())
    inside = [(row.black >= first) & (row.black < first + len(BLACK_KEYS)) for row in rows]
    return [Row(row.y, row.x[ok], row.black[ok]) for row, ok in zip(rows, inside, strict=True) if ok.sum() >= MIN_KEYS]


def _with_fronts(rotated, matrix, rows, scale):
    """Find the front ends of the black keys, which show the player's side; return a list of BlackKeys in the image's own pixels."""
    if not rows:
        return []
    black = np.concatenate([row.black for row in rows])
    x = np.concatenate([row.x for row in rows])
    y = np.concatenate([np.full(len(row.x), float(row.y)) for row in rows])
    low, high = y.min(), y.max()
    ends = {1: [], -1: []}
    for key in np.unique(black):
        on = black == key
        if on.sum() < 3:
            continue
        lean, at = np.polyfit(y[on], x[on], 1)
        for side, edge in ((1, high), (-1, low)):
            end = _end(rotated, lambda row, lean=lean, at=at: at + lean * row, (low + high) / 2.0, edge, side, max(high - low, 12.0))
            if end is not None:
                ends[side].append((key, at + lean * end, end))
    min_ends = max(MIN_ENDS, MIN_ENDS_SHARE * len(np.unique(black)))
    sides = [side for side in sorted(ends, key=lambda side: -len(ends[side])) if len(ends[side]) >= min_ends]
    row_y = np.array([row.y for row in rows])
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))

    def to_image(points):
        return ((points + 0.5) @ inverse[:2, :2].T + inverse[:2, 2]) / scale - 0.5

    found = []
    for side in sides:
        fronts = np.array(ends[side])
        order = np.searchsorted(row_y, y) if side == 1 else len(row_y) - 1 - np.searchsorted(row_y, y)
        count, front_count = side * black, side * fronts[:, 0].astype(int)
        if side == -1:
            # From the other side a pair stays a pair: keys counted as C# D# (0, 1) are D# C# of the mirrored row.
            count, front_count = count + 6, front_count + 6
        found.append(BlackKeys(count, to_image(np.stack([x, y], axis=1)), order, to_image(fronts[:, 1:]), front_count))
    return found


def _end(rotated, x_of, middle, edge, side, length):
    """Find the line on which a black key ends on a white key, from its middle to beyond `edge`; None where there is none."""
    rows = np.arange(round(middle), round(edge + side * 1.2 * length), side)
    rows = rows[(rows >= 0) & (rows < len(rotated))]
    columns = np.clip(np.round(x_of(rows)).astype(int), 1, rotated.shape[1] - 2)
    value = np.mean([rotated[rows, columns + dx] for dx in (-1, 0, 1)], axis=0)
    if len(value) < 6:
        return None
    inside = np.median(value[: max(3, int(abs(edge - middle)))])
    bright = value.max()
    if bright - inside < MIN_CONTRAST:
        return None
    over = value > (inside + bright) / 2.0
    first = int(over.argmax())
    rest = over[first : first + max(4, int(0.15 * length))]
    return float(rows[first]) if over.any() and rest.mean() > 0.8 else None
