"""Where the camera stands: the same place as before, a place seen earlier, moving, or elsewhere.

Every few frames the corners of a reference picture are looked for near where they were. Hands, arms and falling notes hide or carry
off some of them; as long as a good part is found in place, the camera stands still, whatever else moves. Where too few are in
place, a shift, a turn and a zoom that most corners follow tell how the camera moved (Lucas and Kanade 1981 as in Bouguet's
pyramids, and RANSAC). Where none does, the picture shows something else: one of the views met before, or a new one.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

CORNERS = 500
CELLS = (8, 5)
CELL_CORNERS = 6
"""Corners (Shi and Tomasi 1994) looked for in a reference picture, and those kept, the strongest in each of this many columns and
rows of cells, lest one thing full of corners outweigh the room."""

LEAST_CORNERS = 16
"""Fewer corners than this tell nothing: a colour, or a title."""

STEP_S = 0.12
"""Time between two looks: several a period of a shake by hand (1 to 5 Hz)."""

IN_PLACE = 0.004
"""Share of the longer side by which a corner in place may be off: a pixel of 256, half a white key where the keyboard fills
the width."""

LEAST_IN_PLACE = 0.3
"""Share of the corners found in place that shows a still camera. Two hands and arms leave 0.6 and more; another picture has
under 0.1 by chance."""

SURELY_IN_PLACE = 0.6
"""The same between two looks in a row of a camera that had moved and now stands: a mixture of two scenes has less."""

LEAST_AGREE = 0.4
"""Share of the corners that has to follow one shift, turn and zoom for that to be the camera's movement."""

SPREAD = 0.4
"""Share of the longer side over which these corners have to be spread (5th to 95th percentile): an arm that sweeps by is narrower."""

UNLIKE = 0.6
"""Greatest mean difference of a corner's surroundings from the reference, as a share of their own mean contrast."""

ZOOMS = (0.5, 2.0)
"""Zooms, from the reference, that are still followed."""

LIKE = 0.3
"""Least correlation of small pictures for a view met before to be tried."""

TRIED = 5
"""Views met before that are tried at most, the most alike first."""

KEPT = 4
"""Looks that a view has to be seen in to be kept once it is left."""

WINDOW_PX = (15, 15)
LEVELS = 3


@dataclass(eq=False)
class _View:
    """A reference picture, its corners (corner, 2) and their contrast, and how often it was met.

    Views of one number were followed from one to the next; `base` (2, 3) is the pose of the reference in the first of them.
    """

    number: int
    base: np.ndarray
    picture: np.ndarray
    corners: np.ndarray
    contrast: np.ndarray
    small: np.ndarray
    looks: int = 0


@dataclass(frozen=True)
class Look:
    """What one look at the picture told.

    Attributes
    ----------
    time_s : float
    view : int
        Number of the reference picture, -1 where the picture has too few corners or is lost.
    x, y : float
        Shift of the picture's middle from the reference, shares of the longer side; right and down positive.
    zoom : float
        Ratio of sizes; 1.1 is ten per cent larger than in the reference.
    plain : bool
        There are too few corners to tell anything.
    """

    time_s: float
    view: int
    x: float = 0.0
    y: float = 0.0
    zoom: float = 1.0
    plain: bool = False


@dataclass
class CameraTracker:
    """Follows the camera through a video, one frame after the other.

    It holds the reference picture of every view, 60 kB each.

    Attributes
    ----------
    looks : list of Look
        In order; one every `STEP_S`.
    """

    looks: list = field(default_factory=list)
    _views: list = field(default_factory=list)
    _current: _View | None = None
    _pose: np.ndarray | None = None
    _before: np.ndarray | None = None
    _numbers: int = 0
    _left: bool = False

    def see(self, grey, time_s, scene_left=False):
        """Take the next frame; most are passed over.

        Parameters
        ----------
        grey : uint8 array (height, width)
        time_s : float
        scene_left : bool
            Another scene begins, so that what is like the last one is not the same camera on the move.
        """
        self._left |= scene_left
        if self.looks and time_s < self.looks[-1].time_s + STEP_S:
            return
        picture = _even(grey)
        pose = self._find(picture)
        self._left, self._before = False, picture
        if pose is None:
            self.looks.append(Look(time_s, -1, plain=True))
            return
        self._pose = pose
        self._current.looks += 1
        pose = _after(self._current.base, pose)
        height, width = grey.shape
        middle = np.array([width / 2, height / 2])
        shift = (pose[:, :2] @ middle + pose[:, 2] - middle) / max(height, width)
        self.looks.append(Look(time_s, self._current.number, *shift.round(5).tolist(), round(float(np.hypot(*pose[:, 0])), 5)))

    def _find(self, picture):
        """The pose in which a view's reference is seen, which becomes the current view; None where the picture is plain."""
        small = _small(picture)
        if self._current and _in_place(self._current, picture) >= LEAST_IN_PLACE:
            return IDENTITY
        likeness = [(float((view.small * small).mean()), view) for view in self._views if view is not self._current]
        for like, view in sorted(likeness, key=lambda pair: -pair[0])[:TRIED]:
            if like >= LIKE and _in_place(view, picture) >= LEAST_IN_PLACE:
                self._leave(view)
                return IDENTITY
        pose = _moved(self._current, picture, self._pose) if self._current and not self._left else None
        return self._begin(picture, small) if pose is None else pose

    def _leave(self, other):
        """Go on with another view; one that was hardly met is forgotten."""
        if self._current is not None and self._current.looks < KEPT:
            self._views.remove(self._current)
        self._current = other

    def _begin(self, picture, small):
        """Begin a new view, unless the picture is plain."""
        corners = _corners(picture)
        if len(corners) < LEAST_CORNERS:
            self._leave(None)
            return None
        view = _View(self._numbers, IDENTITY, picture, corners, _contrast(picture, corners), small)
        gone = self._current is not None and self._pose is not IDENTITY and not self._left
        if gone and _in_place(view, self._before) >= SURELY_IN_PLACE:
            # The camera has not moved since the look before; only, from here, too little of the old reference is seen.
            view.number, view.base = self._current.number, _after(self._current.base, self._pose)
        else:
            self._numbers += 1
        self._leave(view)
        self._views.append(view)
        return IDENTITY


IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def _after(first, second):
    """A pose upon another: array (2, 3)."""
    return first[:, :2] @ second + np.column_stack((np.zeros((2, 2)), first[:, 2]))


def _even(grey):
    """A picture without differences of light: each pixel against its surroundings, by the contrast of the whole."""
    fine = grey.astype(np.float32) - cv2.blur(grey, (31, 31)).astype(np.float32)
    spread = float(np.abs(fine).mean())
    return np.clip(128.0 + fine * (16.0 / max(spread, 1.0)), 0, 255).astype(np.uint8)


def _small(picture):
    """A small picture of mean 0 and standard deviation 1, of a little blur so that a shift of a pixel matters little."""
    small = cv2.resize(cv2.GaussianBlur(picture, (0, 0), 2.0), (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)
    return (small - small.mean()) / max(float(small.std()), 1e-3)


def _corners(picture):
    """Corners of a picture, spread over it: float32 array (corner, 2)."""
    found = cv2.goodFeaturesToTrack(picture, CORNERS, 0.02, 4)
    if found is None:
        return np.zeros((0, 2), np.float32)
    corners, counts, kept = found[:, 0], {}, []
    for corner, cell in zip(corners, (corners * CELLS // picture.shape[::-1]).astype(int).tolist(), strict=True):
        counts[tuple(cell)] = counts.get(tuple(cell), 0) + 1
        if counts[tuple(cell)] <= CELL_CORNERS:
            kept.append(corner)
    return np.array(kept, np.float32)


def _contrast(picture, corners):
    """Mean absolute deviation around each corner: float array (corner,)."""
    image = picture.astype(np.float32)
    deviation = cv2.blur(np.abs(image - cv2.blur(image, WINDOW_PX)), WINDOW_PX)
    x, y = np.clip(corners.round().astype(int), 0, np.array(picture.shape[::-1]) - 1).T
    return np.maximum(deviation[y, x], 1.0)


def _track(view, picture, guess, levels):
    """Where the corners of a view are in a picture, and which were found: arrays (corner, 2) and bool (corner,)."""
    found, status, error = cv2.calcOpticalFlowPyrLK(
        view.picture, picture, view.corners, guess.copy(), winSize=WINDOW_PX, maxLevel=levels, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return found, (status[:, 0] > 0) & (error[:, 0] < UNLIKE * view.contrast)


def _in_place(view, picture):
    """Share of a view's corners that a picture shows where they were."""
    # Without coarser levels: on these, what moves beside a corner would carry it off.
    found, good = _track(view, picture, view.corners, levels=0)
    off = np.linalg.norm(found - view.corners, axis=1)
    return float((good & (off <= IN_PLACE * max(picture.shape))).mean())


def _moved(view, picture, pose):
    """How the camera moved from a view's reference, by a guess of it (2, 3); None where too few corners agree."""
    guess = (view.corners @ pose[:, :2].T + pose[:, 2]).astype(np.float32)
    found, good = _track(view, picture, guess, LEVELS)
    inside = ((guess >= 0) & (guess < picture.shape[::-1])).all(axis=1)
    least = max(LEAST_CORNERS // 2, LEAST_AGREE * inside.sum())
    if good.sum() < least:
        return None
    motion, inliers = cv2.estimateAffinePartial2D(view.corners[good], found[good], ransacReprojThreshold=IN_PLACE * max(picture.shape))
    if motion is None or inliers.sum() < least or not ZOOMS[0] < np.hypot(*motion[:, 0]) < ZOOMS[1]:
        return None
    low, high = np.percentile(view.corners[good][inliers[:, 0] > 0], [5, 95], axis=0)
    return motion if max(high - low) >= SPREAD * max(picture.shape) else None
