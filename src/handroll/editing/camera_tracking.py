"""Track the camera over a video: static, back at an earlier view, moving, or at a new view.

Every few frames the corners of a reference frame are searched near their positions. Hands, arms and falling notes hide or displace
some of them. The camera counts as static if a good share of the corners is in place, whatever else moves. Otherwise a translation,
rotation and zoom that most corners follow is the camera motion (Lucas and Kanade 1981 with Bouguet's pyramids, and RANSAC). If no
such motion exists, the frame shows another view: an earlier one, or a new one.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

CORNERS = 500
CELLS = (8, 5)
CELL_CORNERS = 6
"""Maximum number of corners (Shi and Tomasi 1994) in a reference frame. Of these the strongest are kept in each cell of a grid of this
many columns and rows, so that one object full of corners does not outweigh the room."""

MIN_CORNERS = 16
"""A frame with fewer corners, such as a plain colour or a title, gives no information about the camera."""

STEP_S = 0.12
"""Time between two samples: several in a period of hand shake (1 to 5 Hz)."""

IN_PLACE = 0.004
"""Maximum offset of a corner in place, as a share of the longer side: a pixel of 256, half a white key where the keyboard fills
the width."""

MIN_IN_PLACE = 0.3
"""Minimum share of corners in place for a static camera. Two hands and arms leave 0.6 and more; a different scene gives less than 0.1
by chance."""

MIN_IN_PLACE_STILL = 0.6
"""The same between two consecutive samples of a camera that moved and is now static: a mixture of two scenes has less."""

MIN_AGREEMENT = 0.4
"""Minimum share of corners that follow one translation, rotation and zoom for it to be a camera motion."""

MIN_SPREAD = 0.4
"""Minimum extent of these corners (5th to 95th percentile), as a share of the longer side: a passing arm is narrower."""

MAX_ERROR = 0.6
"""Maximum mean difference of a corner's neighbourhood from the reference, as a share of the mean contrast of the neighbourhood."""

ZOOM_RANGE = (0.5, 2.0)
"""Range of zooms, relative to the reference, that are tracked."""

MIN_CORRELATION = 0.3
"""Minimum correlation of thumbnails for an earlier view to be tried."""

MAX_TRIED = 5
"""Maximum number of earlier views that are tried, those with the highest correlation first."""

MIN_SAMPLES = 4
"""Views with fewer samples are forgotten when the camera leaves them."""

WINDOW_PX = (15, 15)
"""Window of the optical flow, pixels."""

LEVELS = 3
"""Pyramid levels of the optical flow for camera motion."""

IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""The pose (2, 3) of a camera that has not moved."""


@dataclass(eq=False)
class _View:
    """A reference frame, its corners (corner, 2), their contrast, its thumbnail, and its number of samples.

    Views with the same number were tracked from one to the next; `base` (2, 3) is the pose of this reference relative to the first one.
    """

    number: int
    base: np.ndarray
    image: np.ndarray
    corners: np.ndarray
    contrast: np.ndarray
    thumbnail: np.ndarray
    samples: int = 0


@dataclass(frozen=True)
class CameraSample:
    """Position of the camera at one time.

    Attributes
    ----------
    time_s : float
    view : int
        Number of the view; -1 where the frame has too few corners.
    x, y : float
        Shift of the frame's centre from the reference, shares of the longer side; right and down positive.
    zoom : float
        Ratio of sizes; 1.1 is ten per cent larger than in the reference.
    featureless : bool
        The frame has too few corners to locate the camera.
    """

    time_s: float
    view: int
    x: float = 0.0
    y: float = 0.0
    zoom: float = 1.0
    featureless: bool = False


@dataclass
class CameraTracker:
    """Track the camera frame by frame.

    Memory: the reference frame of every view, 60 kB each.

    Attributes
    ----------
    samples : list of CameraSample
        In order, one every `STEP_S`.
    """

    samples: list = field(default_factory=list)
    _views: list = field(default_factory=list)
    _current: _View | None = None
    _pose: np.ndarray | None = None
    _last_image: np.ndarray | None = None
    _n_views: int = 0
    _new_scene: bool = False

    def add_frame(self, grey, time_s, new_scene=False):
        """Process the next frame; frames between two samples are skipped.

        Parameters
        ----------
        grey : uint8 array (height, width)
        time_s : float
        new_scene : bool
            A new scene begins, so a similar view is not the same camera in motion.
        """
        self._new_scene |= new_scene
        if self.samples and time_s < self.samples[-1].time_s + STEP_S:
            return
        image = _normalise(grey)
        pose = self._locate(image)
        self._new_scene, self._last_image = False, image
        if pose is None:
            self.samples.append(CameraSample(time_s, -1, featureless=True))
            return
        self._pose = pose
        self._current.samples += 1
        pose = _compose(self._current.base, pose)
        height, width = grey.shape
        middle = np.array([width / 2, height / 2])
        shift = (pose[:, :2] @ middle + pose[:, 2] - middle) / max(height, width)
        self.samples.append(CameraSample(time_s, self._current.number, *shift.round(5).tolist(), round(float(np.hypot(*pose[:, 0])), 5)))

    def _locate(self, image):
        """Return the pose (2, 3) relative to the matching view, which becomes the current one; None where the frame is featureless."""
        thumbnail = _thumbnail(image)
        if self._current and _share_in_place(self._current, image) >= MIN_IN_PLACE:
            return IDENTITY
        candidates = [(float((view.thumbnail * thumbnail).mean()), view) for view in self._views if view is not self._current]
        for correlation, view in sorted(candidates, key=lambda pair: -pair[0])[:MAX_TRIED]:
            if correlation >= MIN_CORRELATION and _share_in_place(view, image) >= MIN_IN_PLACE:
                self._switch_to(view)
                return IDENTITY
        pose = _estimate_motion(self._current, image, self._pose) if self._current and not self._new_scene else None
        return self._add_view(image, thumbnail) if pose is None else pose

    def _switch_to(self, other):
        """Make another view the current one; forget the old one if it has few samples."""
        if self._current is not None and self._current.samples < MIN_SAMPLES:
            self._views.remove(self._current)
        self._current = other

    def _add_view(self, image, thumbnail):
        """Add a new view and return its pose; None where the frame is featureless."""
        corners = _corners(image)
        if len(corners) < MIN_CORNERS:
            self._switch_to(None)
            return None
        view = _View(self._n_views, IDENTITY, image, corners, _contrast(image, corners), thumbnail)
        moved = self._current is not None and self._pose is not IDENTITY and not self._new_scene
        if moved and _share_in_place(view, self._last_image) >= MIN_IN_PLACE_STILL:
            # The camera is static since the last sample, but too little of the old reference is visible from here.
            view.number, view.base = self._current.number, _compose(self._current.base, self._pose)
        else:
            self._n_views += 1
        self._switch_to(view)
        self._views.append(view)
        return IDENTITY


def _compose(first, second):
    """Compose two poses: array (2, 3)."""
    return first[:, :2] @ second + np.column_stack((np.zeros((2, 2)), first[:, 2]))


def _normalise(grey):
    """Remove lighting differences: subtract the local mean and divide by the contrast of the whole frame."""
    fine = grey.astype(np.float32) - cv2.blur(grey, (31, 31)).astype(np.float32)
    spread = float(np.abs(fine).mean())
    return np.clip(128.0 + fine * (16.0 / max(spread, 1.0)), 0, 255).astype(np.uint8)


def _thumbnail(image):
    """Return a slightly blurred thumbnail of mean 0 and standard deviation 1; with the blur a shift of a pixel matters little."""
    thumbnail = cv2.resize(cv2.GaussianBlur(image, (0, 0), 2.0), (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)
    return (thumbnail - thumbnail.mean()) / max(float(thumbnail.std()), 1e-3)


def _corners(image):
    """Find corners distributed over a frame: float32 array (corner, 2)."""
    found = cv2.goodFeaturesToTrack(image, CORNERS, 0.02, 4)
    if found is None:
        return np.zeros((0, 2), np.float32)
    corners, counts, kept = found[:, 0], {}, []
    for corner, cell in zip(corners, (corners * CELLS // image.shape[::-1]).astype(int).tolist(), strict=True):
        counts[tuple(cell)] = counts.get(tuple(cell), 0) + 1
        if counts[tuple(cell)] <= CELL_CORNERS:
            kept.append(corner)
    return np.array(kept, np.float32)


def _contrast(image, corners):
    """Return the mean absolute deviation around each corner: float array (corner,)."""
    image = image.astype(np.float32)
    deviation = cv2.blur(np.abs(image - cv2.blur(image, WINDOW_PX)), WINDOW_PX)
    x, y = np.clip(corners.round().astype(int), 0, np.array(image.shape[::-1]) - 1).T
    return np.maximum(deviation[y, x], 1.0)


def _track(view, image, guess, levels):
    """Find the corners of a view in a frame: positions (corner, 2), and whether each was found (corner,)."""
    found, status, error = cv2.calcOpticalFlowPyrLK(
        view.image, image, view.corners, guess.copy(), winSize=WINDOW_PX, maxLevel=levels, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return found, (status[:, 0] > 0) & (error[:, 0] < MAX_ERROR * view.contrast)


def _share_in_place(view, image):
    """Return the share of a view's corners that are at their positions in a frame."""
    # Without coarser levels, on which moving objects next to a corner would displace it.
    found, good = _track(view, image, view.corners, levels=0)
    off = np.linalg.norm(found - view.corners, axis=1)
    return float((good & (off <= IN_PLACE * max(image.shape))).mean())


def _estimate_motion(view, image, pose):
    """Estimate the camera motion (2, 3) from a view's reference, starting at `pose`; None where too few corners agree."""
    guess = (view.corners @ pose[:, :2].T + pose[:, 2]).astype(np.float32)
    found, good = _track(view, image, guess, LEVELS)
    inside = ((guess >= 0) & (guess < image.shape[::-1])).all(axis=1)
    minimum = max(MIN_CORNERS // 2, MIN_AGREEMENT * inside.sum())
    if good.sum() < minimum:
        return None
    motion, inliers = cv2.estimateAffinePartial2D(view.corners[good], found[good], ransacReprojThreshold=IN_PLACE * max(image.shape))
    if motion is None or inliers.sum() < minimum or not ZOOM_RANGE[0] < np.hypot(*motion[:, 0]) < ZOOM_RANGE[1]:
        return None
    low, high = np.percentile(view.corners[good][inliers[:, 0] > 0], [5, 95], axis=0)
    return motion if max(high - low) >= MIN_SPREAD * max(image.shape) else None
