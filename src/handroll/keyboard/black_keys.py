"""Finds the black keys in a picture: their groups of two and three make a row of gaps that nothing else has.

Along a line across the black keys the gaps between their centres are short, long, short, short, long, octave after
octave. Lines in all directions near the picture's axes are searched for runs of dark spots with that rhythm, with a
locally straight scale, so that perspective, distortion, hands over some keys and ends outside the picture do no harm. It
reads the same from both sides; which side is the player's is told by where the black keys end on white ones.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from handroll.keyboard.geometry import BLACK_KEYS, STANDARD, black_centres_mm

SEARCH_WIDTH_PX = 1280
"""The picture is searched at most this wide."""
ANGLES_DEG = tuple(quarter + turn for quarter in (0.0, 90.0) for turn in np.arange(-15.0, 15.1, 3.0))
ROW_STEP_PX, SEARCH_STEP_PX = 3, 9
"""Between the lines that are read, and between those that only tell the direction."""
MIN_CONTRAST = 35.0
"""Least difference, of 255, between the lightest and the darkest place near a black key."""
MIN_KEYS = 8
"""Least black keys in a row; an octave has 5."""
SHORT_GAP_MM = 26.0
SEED_TOLERANCE = 0.12
"""Of a short gap: how far centres of an octave may lie from their places."""
GROW_TOLERANCE = 0.25
"""Of a short gap: how far the next centre may lie from where the last octave says."""
MAX_WIDTH_RATIO = 1.6
"""Between the widths of black keys of a row."""
MAX_SKIPPED = 3
"""Black keys that may be missing in a row, as under a hand."""
MAX_HYPOTHESES = 4
"""Rows of black keys, each with a player's side, that are tried: the keyboard and its reflection, either way round."""
MIN_ENDS = 4
"""Fewest black keys of a row that end on white ones."""
MIN_ENDS_SHARE = 1 / 3
"""The same as a share of the row's keys. Where it is reached on both sides, the row may be read from either."""


OCTAVE_MM = 7 * STANDARD.white_pitch_mm
_SEED = 6
# Centres of black keys over many octaves, from C#; key 5 n + phase belongs to octave n. Beyond 88 keys on purpose: which
# octave it is, is not known here.
_ONE_OCTAVE = black_centres_mm()[1:6]


def black_mm(index):
    """x of black keys counted from any C#, as array of the same shape, millimetres from the first one."""
    index = np.asarray(index)
    return _ONE_OCTAVE[index % 5] - _ONE_OCTAVE[0] + index // 5 * OCTAVE_MM


@dataclass(frozen=True)
class Row:
    """Black keys along one line of a turned picture: row `y`, centres `x` (n,) px, `black` (n,) counted from a C#."""

    y: int
    x: np.ndarray
    black: np.ndarray


@dataclass(frozen=True)
class BlackKeys:
    """The black keys of a picture.

    Attributes
    ----------
    black : int array (n,)
        Of each point: the key, counted from some C# on.
    points_px : array (n, xy 2)
        On the keys' middle lines.
    row : int array (n,)
        Which line across the keys a point is on, increasing towards the player.
    front_px : array (key, xy 2)
        Where the keys `front_black` end on the player's side.
    front_black : int array (key,)
    """

    black: np.ndarray
    points_px: np.ndarray
    row: np.ndarray
    front_px: np.ndarray
    front_black: np.ndarray


def find_black_keys(picture):
    """The rows of black keys in a picture: that of the keyboard, and of its reflection where the fallboard is polished.

    Parameters
    ----------
    picture : uint8 array (height, width)

    Returns
    -------
    list of BlackKeys
        The row with the most keys first; of a row that ends on white keys on both sides, one with either side as the player's.
        Empty where no row is found.
    """
    scale = min(1.0, SEARCH_WIDTH_PX / max(picture.shape))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else picture
    found = {angle: sum(len(row.black) for row in _rows(_turned(small, angle)[0], SEARCH_STEP_PX)) for angle in ANGLES_DEG}
    turned, turn = _turned(small, max(found, key=found.get))
    left, seen = _rows(turned, ROW_STEP_PX), []
    while left and len(seen) < MAX_HYPOTHESES:
        band = _same_keys(left)
        low, high = band[0].y, band[-1].y
        left = [row for row in left if not low <= row.y <= high]
        seen += _with_fronts(turned, turn, _on_a_piano(band), scale)
    return seen[:MAX_HYPOTHESES]


def _turned(picture, angle_deg):
    """The picture turned by an angle, whole, its border continued; and the 2x3 matrix to it."""
    height, width = picture.shape
    turn = cv2.getRotationMatrix2D((width / 2.0, height / 2.0), angle_deg, 1.0)
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ turn[:, :2].T + turn[:, 2]
    turn[:, 2] -= corners.min(axis=0)
    size = np.ceil(np.ptp(corners, axis=0)).astype(int)
    return cv2.warpAffine(picture, turn, tuple(size.tolist()), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), turn


def _dark_runs(line, reach):
    """Start and stop of the runs of dark pixels of a line (x,), by the middle between light and dark within `reach`."""
    line = line.astype(np.float32)
    high, low = maximum_filter1d(line, reach), minimum_filter1d(line, reach)
    dark = (line < (high + low) / 2.0) & (high - low > MIN_CONTRAST)
    edges = np.diff(np.concatenate(([0], dark.view(np.int8), [0])))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _seeds():
    """For each phase: the projection (6, 6) onto what an affine scale cannot explain, and the row (6,) that gives px per mm."""
    found = []
    for phase in range(5):
        places = black_mm(np.arange(phase, phase + _SEED))
        design = np.stack([np.ones(_SEED), places], axis=1)
        inverse = np.linalg.pinv(design)
        found.append((np.eye(_SEED) - design @ inverse, inverse[1]))
    return found


_SEEDS = _seeds()


def _rows(turned, step):
    """The rows of black keys along every `step`-th line of a turned picture."""
    return [row for row in (_row(turned, y) for y in range(0, len(turned), step)) if row is not None]


def _row(turned, y):
    """The longest row of black keys along row y of a turned picture, or None."""
    line = turned[max(y - 1, 0) : y + 2].mean(axis=0)
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
    """Centres and keys of a row, grown to both sides from an octave at `first`; black keys are equally wide."""
    usual = np.median(width[first : first + _SEED])
    alike = (width > usual / MAX_WIDTH_RATIO) & (width < usual * MAX_WIDTH_RATIO)
    x, black = list(centre[first : first + _SEED]), list(range(phase, phase + _SEED))
    for step in (1, -1):
        skipped = 0
        while skipped <= MAX_SKIPPED:
            near = slice(-_SEED, None) if step == 1 else slice(None, _SEED)
            scale, offset = _straight(black_mm(np.array(black[near])), np.array(x[near]))
            following = (black[-1] + 1 + skipped) if step == 1 else (black[0] - 1 - skipped)
            wanted = offset + scale * black_mm(following)
            at = np.abs(centre - wanted).argmin()
            nearest = centre[at]
            if not centre[0] - scale * SHORT_GAP_MM < wanted < centre[-1] + scale * SHORT_GAP_MM:
                break
            if alike[at] and abs(nearest - wanted) < GROW_TOLERANCE * SHORT_GAP_MM * scale * (1 + skipped / 2):
                at = len(x) if step == 1 else 0
                x.insert(at, nearest)
                black.insert(at, following)
                skipped = 0
            else:
                skipped += 1
    return np.array(x), np.array(black)


def _straight(x, y):
    """Slope and offset of the straight line through points."""
    from_mean = x - x.mean()
    slope = from_mean @ y / (from_mean @ from_mean)
    return slope, y.mean() - slope * x.mean()


def _same_keys(rows):
    """The rows that belong together, with keys counted from the same C#."""
    reference = max(rows, key=lambda row: len(row.black))
    kept = []
    for row in rows:
        inside = (row.x >= reference.x[0]) & (row.x <= reference.x[-1])
        if inside.sum() < MIN_KEYS - 2:
            continue
        there = np.interp(row.x[inside], reference.x, black_mm(reference.black))
        apart = np.median(there - black_mm(row.black[inside])) / OCTAVE_MM
        if abs(apart - round(apart)) < SHORT_GAP_MM / OCTAVE_MM / 2.0 and len(row.x) >= len(reference.x) // 2:
            kept.append(Row(row.y, row.x, row.black + 5 * round(apart)))
    # One band without large holes, around the reference.
    y = np.array([row.y for row in kept])
    at = int(np.flatnonzero(y == reference.y)[0])
    gap = 6 * ROW_STEP_PX
    first, last = at, at
    while first > 0 and y[first] - y[first - 1] <= gap:
        first -= 1
    while last < len(y) - 1 and y[last + 1] - y[last] <= gap:
        last += 1
    return kept[first : last + 1]


def _on_a_piano(rows):
    """The rows without what lies beyond 88 keys, as a dark cheek does: a piano has 36 black keys, from an A# (4; 2 from the other side)."""
    black = np.concatenate([row.black for row in rows])
    if np.ptp(black) < len(BLACK_KEYS):
        return rows
    starts = [start for start in range(black.min() - 4, black.max()) if start % 5 in (2, 4)]
    first = max(starts, key=lambda start: ((black >= start) & (black < start + len(BLACK_KEYS))).sum())
    inside = [(row.black >= first) & (row.black < first + len(BLACK_KEYS)) for row in rows]
    return [Row(row.y, row.x[ok], row.black[ok]) for row, ok in zip(rows, inside, strict=True) if ok.sum() >= MIN_KEYS]


def _with_fronts(turned, turn, rows, scale):
    """The keys in the picture's own pixels, counted as the player does, by the ends of the black keys: list of BlackKeys."""
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
            end = _end(turned, lambda row, lean=lean, at=at: at + lean * row, (low + high) / 2.0, edge, side, max(high - low, 12.0))
            if end is not None:
                ends[side].append((key, at + lean * end, end))
    fewest = max(MIN_ENDS, MIN_ENDS_SHARE * len(np.unique(black)))
    sides = [side for side in sorted(ends, key=lambda side: -len(ends[side])) if len(ends[side]) >= fewest]
    row_y = np.array([row.y for row in rows])
    back = np.linalg.inv(np.vstack([turn, [0, 0, 1]]))

    def to_picture(points):
        return ((points + 0.5) @ back[:2, :2].T + back[:2, 2]) / scale - 0.5

    found = []
    for side in sides:
        fronts = np.array(ends[side])
        order = np.searchsorted(row_y, y) if side == 1 else len(row_y) - 1 - np.searchsorted(row_y, y)
        count, front_count = side * black, side * fronts[:, 0].astype(int)
        if side == -1:
            # Read from the other side a pair stays a pair: what was counted as C# D# (0, 1) is D# C# of the mirrored row.
            count, front_count = count + 6, front_count + 6
        found.append(BlackKeys(count, to_picture(np.stack([x, y], axis=1)), order, to_picture(fronts[:, 1:]), front_count))
    return found


def _end(turned, x_of, middle, edge, side, length):
    """The row where a black key ends on a white one, going from its middle beyond `edge`, or None."""
    rows = np.arange(round(middle), round(edge + side * 1.2 * length), side)
    rows = rows[(rows >= 0) & (rows < len(turned))]
    columns = np.clip(np.round(x_of(rows)).astype(int), 1, turned.shape[1] - 2)
    value = np.mean([turned[rows, columns + dx] for dx in (-1, 0, 1)], axis=0)
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
