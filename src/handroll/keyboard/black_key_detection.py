"""Detect the black keys in an image by the pattern of their groups of two and three.

Along a line across the black keys, the distances between their centres are short, long, short, short, long in every octave. Lines in
directions near the image axes are searched for runs of dark pixels with this pattern. The scale is fitted locally, which tolerates
perspective, distortion, hands over some keys, and keys outside the image. The pattern is the same when viewed from the player's side and
from the fallboard. The player's side is the side on which the black keys end on white keys.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from handroll.keyboard.geometry import BLACK_KEYS, STANDARD, black_centres_mm

SEARCH_WIDTH_PX = 1280
"""Maximum width and height of the searched image, px; larger images are scaled down."""

ANGLES_DEG = tuple(quarter + turn for quarter in (0.0, 90.0) for turn in np.arange(-15.0, 15.1, 3.0))
"""Directions in which rows of black keys are searched, degrees: within 15 degrees of the image axes."""

ROW_STEP_PX = 3
"""Distance between the lines along which black keys are detected, px."""

SEARCH_STEP_PX = 9
"""Distance between the lines in the first search, which only determines the direction of the row, px."""

MIN_CONTRAST = 35.0
"""Minimum difference between the brightest and the darkest pixel near a black key, in grey levels (0..255)."""

MIN_KEYS = 8
"""Minimum number of detected black keys in a row. An octave has 5."""

SHORT_GAP_MM = 26.0
"""Distance between the centres of two black keys of a group, such as C# and D#, mm: a short distance of the pattern."""

SEED_TOLERANCE = 0.12
"""Maximum distance of the centres of the first `_SEED` keys from the pattern fitted to them, as a multiple of `SHORT_GAP_MM`."""

GROW_TOLERANCE = 0.25
"""Maximum distance of the next black key from the position extrapolated from the last `_SEED` keys, as a multiple of `SHORT_GAP_MM`."""

MAX_WIDTH_RATIO = 1.6
"""Maximum ratio between the width of a black key and the median width of the first `_SEED` keys of its row."""

MAX_SKIPPED = 3
"""Maximum number of consecutive missing black keys in a row, for example under a hand."""

MAX_HYPOTHESES = 4
"""Maximum number of results: two rows of black keys (the keyboard and its reflection), each with either side as the player's side."""

MIN_ENDS = 4
"""Minimum number of a row's black keys that end on white keys on one side, for that side to be a possible player's side."""

MIN_ENDS_SHARE = 1 / 3
"""Minimum share (0..1) of a row's black keys that end on white keys on one side, for that side to be a possible player's side. Both this
minimum and `MIN_ENDS` apply."""

OCTAVE_MM = 7 * STANDARD.white_pitch_mm
"""Length of an octave along the keyboard, mm."""

# Number of consecutive black keys from which a row is grown.
_SEED = 6

# x of the five black keys of an octave, C# to A#, mm. In this module black keys are counted from some C#: number 5 n + k is key k (0..4, C#
# to A#) of octave n. The true octave is unknown here, so n may be any integer.
_ONE_OCTAVE = black_centres_mm()[1:6]


def black_mm(index):
    """Return x of black keys relative to a C#, mm, in the shape of `index`, which contains the keys' numbers, counted from that C# (0)."""
    index = np.asarray(index)
    return _ONE_OCTAVE[index % 5] - _ONE_OCTAVE[0] + index // 5 * OCTAVE_MM


@dataclass(frozen=True)
class Row:
    """Black keys along a horizontal line of a rotated image.

    Attributes
    ----------
    y : int
        Row of the image, px.
    x : array (n,)
        Centres of the keys, px.
    black : int array (n,)
        Number of each key, counted from some C#; see `black_mm`.
    """

    y: int
    x: np.ndarray
    black: np.ndarray


@dataclass(frozen=True)
class BlackKeys:
    """A row of black keys in an image.

    Attributes
    ----------
    black : int array (n,)
        Number of the key of each point, counted from some C#; see `black_mm`.
    points_px : array (n, xy 2)
        Points on the keys' centre lines, pixels.
    row : int array (n,)
        Index of the scan line of each point. Scan lines run along the keyboard; the index increases towards the player.
    front_px : array (key, xy 2)
        Position of the front end (player's side) of each key in `front_black`, pixels.
    front_black : int array (key,)
        Numbers of the keys whose front end is found, counted from the same C# as `black`.
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
        At most `MAX_HYPOTHESES`, the row with the most keys first. A row whose keys end on white keys on both sides is returned twice,
        once for each possible player's side. Empty if no row is found.
    """
    scale = min(1.0, SEARCH_WIDTH_PX / max(image.shape))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else image
    n_keys = {angle: sum(len(row.black) for row in _find_rows(_rotated(small, angle)[0], SEARCH_STEP_PX)) for angle in ANGLES_DEG}
    rotated, matrix = _rotated(small, max(n_keys, key=n_keys.get))
    remaining, found = _find_rows(rotated, ROW_STEP_PX), []
    while remaining and len(found) < MAX_HYPOTHESES:
        band = _same_keys(remaining)
        low, high = band[0].y, band[-1].y
        remaining = [row for row in remaining if not low <= row.y <= high]
        found += _with_fronts(rotated, matrix, _within_88_keys(band), scale)
    return found[:MAX_HYPOTHESES]


def _rotated(image, angle_deg):
    """Return an image rotated without cropping and with replicated borders, and the 2x3 matrix of the rotation."""
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D((width / 2.0, height / 2.0), angle_deg, 1.0)
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ matrix[:, :2].T + matrix[:, 2]
    matrix[:, 2] -= corners.min(axis=0)
    size = np.ceil(np.ptp(corners, axis=0)).astype(int)
    return cv2.warpAffine(image, matrix, tuple(size.tolist()), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), matrix


def _dark_runs(line, reach):
    """Find the runs of dark pixels along a line (x,). Return two arrays (run,): the first pixel of each run, and the pixel after its end.

    The threshold at a pixel is midway between the brightest and the darkest pixel in a window of `reach` pixels that is centred on it.
    """
    line = line.astype(np.float32)
    high, low = maximum_filter1d(line, reach), minimum_filter1d(line, reach)
    dark = (line < (high + low) / 2.0) & (high - low > MIN_CONTRAST)
    edges = np.diff(np.concatenate(([0], dark.view(np.int8), [0])))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _seeds():
    """Return the least squares fits of the key pattern to `_SEED` centres (px), one for each possible first key (C# to A#).

    A fit is two arrays to multiply with the centres: a matrix (6, 6) gives the residuals (px), a row (6,) gives the scale (px per mm).
    """
    found = []
    for phase in range(5):
        x_mm = black_mm(np.arange(phase, phase + _SEED))
        design = np.stack([np.ones(_SEED), x_mm], axis=1)
        inverse = np.linalg.pinv(design)
        found.append((np.eye(_SEED) - design @ inverse, inverse[1]))
    return found


_SEEDS = _seeds()


def _find_rows(rotated, step):
    """Find the rows of black keys along every `step`-th line of a rotated image. Return a list of `Row`, at most one for each line."""
    return [row for row in (_find_row(rotated, y) for y in range(0, len(rotated), step)) if row is not None]


def _find_row(rotated, y):
    """Find the longest row of black keys along line y (px) of a rotated image. Return a `Row`; None if no row is found."""
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
            x, black = _grow(centre, width, first, phase)
            grown |= set(zip(x.tolist(), (black % 5).tolist(), strict=True))
            if best is None or len(x) > len(best[0]):
                best = x, black
    if best is None or len(best[0]) < MIN_KEYS:
        return None
    return Row(y, best[0], best[1])


def _grow(centre, width, first, phase):
    """Return the centres (px) and key numbers of a row, grown to both sides from `_SEED` dark runs.

    `centre` and `width` (n,): centres and widths of the dark runs, px. `first`: index of the first of the `_SEED` runs; `phase`: the
    number of its key within the octave. Keys whose width differs by more than `MAX_WIDTH_RATIO` are skipped.
    """
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
    """Return the `Row`s near the longest row that show the same keys as it does. All are counted from the same C#."""
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
    # Keep only the rows around the reference that follow each other without large gaps.
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
    """Remove from the `Row`s everything outside the 36 black keys of a piano, such as a dark cheek block.

    Of all possible ranges of 36 keys, the one with the most detected keys is kept. A range begins with A#0, key 4 of an octave (0 is C#).
    Viewed from the fallboard, the order of the keys is reversed: the range then begins with A#7, which is key 2 of the pattern.
    """
    black = np.concatenate([row.black for row in rows])
    if np.ptp(black) < len(BLACK_KEYS):
        return rows
    starts = [start for start in range(black.min() - 4, black.max()) if start % 5 in (2, 4)]
    first = max(starts, key=lambda start: ((black >= start) & (black < start + len(BLACK_KEYS))).sum())
    inside = [(row.black >= first) & (row.black < first + len(BLACK_KEYS)) for row in rows]
    return [Row(row.y, row.x[ok], row.black[ok]) for row, ok in zip(rows, inside, strict=True) if ok.sum() >= MIN_KEYS]


def _with_fronts(rotated, matrix, rows, scale):
    """Return the BlackKeys of rows, in pixels of the original image: one for each side on which the black keys end on white keys.

    `matrix` is the rotation from the reduced image to `rotated`, `scale` the factor from the original to the reduced image.
    """
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
            end = _find_end(rotated, lambda row, lean=lean, at=at: at + lean * row, (low + high) / 2.0, edge, side, max(high - low, 12.0))
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
            # Viewed from the other side, the order of the keys is reversed: the keys C# and D# (0 and 1) become D# and C# (6 and 5).
            count, front_count = count + 6, front_count + 6
        found.append(BlackKeys(count, to_image(np.stack([x, y], axis=1)), order, to_image(fronts[:, 1:]), front_count))
    return found


def _find_end(rotated, x_of, middle, edge, side, length):
    """Return the y (px) at which a black key ends on a white key; None if no such end is found.

    The search follows the key's centre line, x = `x_of(y)`. It starts at y = `middle` and ends a fifth of `length` beyond y = `edge`, the
    last scan line of the row. It goes upwards (`side` -1) or downwards (`side` 1). `length` is the row's extent along y. Unit: px.
    """
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
