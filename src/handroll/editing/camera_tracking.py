"""Track the camera over a video. In a sampled frame, the camera is static, back at an earlier view, moving, or at a new view.

A view is a stretch of the video with one reference frame. Every few frames, the corner features (Shi and Tomasi 1994) of the reference
frame are tracked into the current frame (Lucas and Kanade 1981, with Bouguet's pyramids). Hands, arms and falling notes hide or move
some of the corners. The pose of the camera is an affine matrix (2, 3) that maps pixels of the reference frame to pixels of the current
frame. Four cases are tested in this order:

1. The camera is static if at least `MIN_IN_PLACE` of the corners have not moved.
2. The camera is back at an earlier view if at least `MIN_IN_PLACE` of that view's corners have not moved.
3. RANSAC fits one translation, rotation and zoom to the corners. If at least `MIN_AGREEMENT` of them follow it, it is the camera motion.
4. Otherwise a new view begins, and the current frame is its reference frame.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

CORNERS = 500
"""Maximum number of corners that are detected in a reference frame, before `CELL_CORNERS` limits them."""

CELLS = (8, 5)
"""Columns and rows of the grid of cells in which corners are counted."""

CELL_CORNERS = 6
"""Maximum number of corners that are kept in a cell, the strongest first, so that one object full of corners does not outweigh the
background."""

MIN_CORNERS = 16
"""Minimum number of corners in a frame from which the camera can be located. A plain colour or a title has fewer."""

STEP_S = 0.12
"""Minimum time (s) between two sampled frames. It is shorter than a period of hand shake (1 to 5 Hz)."""

IN_PLACE = 0.004
"""Maximum displacement of a corner that counts as not moved, as a share of the frame's longer side: 1 pixel of 256, or half a white key if
the keyboard fills the width."""

MIN_IN_PLACE = 0.3
"""Minimum share of corners that have not moved, for a static camera. With two hands and arms in the frame, the share is at least 0.6. In a
different scene, it is below 0.1."""

MIN_IN_PLACE_STILL = 0.6
"""Minimum share of corners that have not moved between two consecutive samples, for a camera that has just stopped moving. A mixture of
two scenes, as in a dissolve, has less."""

MIN_AGREEMENT = 0.4
"""Minimum share of corners that follow one translation, rotation and zoom for it to be a camera motion."""

MIN_SPREAD = 0.4
"""Minimum extent of the corners that follow a camera motion (5th to 95th percentile of x or y), as a share of the frame's longer side. A
passing arm is narrower."""

MAX_ERROR = 0.6
"""Maximum mean difference between the neighbourhoods of a corner in the current frame and in the reference frame, as a share of the
contrast in the reference frame."""

ZOOM_RANGE = (0.5, 2.0)
"""Range of the zoom of a camera motion, relative to the reference frame (1: no zoom)."""

MIN_CORRELATION = 0.3
"""Minimum correlation (-1..1) between the thumbnails of a frame and of an earlier view. Views with less are not tested."""

MAX_TRIED = 5
"""Maximum number of earlier views that are tested for a frame, those with the highest correlation of thumbnails first."""

MIN_SAMPLES = 4
"""Minimum number of sampled frames of a view. A view with fewer is discarded when the camera leaves it."""

WINDOW_PX = (15, 15)
"""Width and height (px) of the window of the optical flow."""

LEVELS = 3
"""Coarsest pyramid level of the optical flow for camera motion; level 0 is the full resolution."""

IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""The pose (2, 3) of a camera that has not moved."""


@dataclass(eq=False)
class _View:
    """A view: its reference frame, its corners (corner, xy 2), their contrast, its thumbnail, and its number of samples.

    Views that are connected by a tracked camera motion have the same number. `base` (2, 3) is the pose of this reference frame relative to
    the first reference frame of that number.
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
        Time of the sampled frame.
    view : int
        Number of the view; -1 if the frame has too few corners.
    x, y : float
        Shift of the frame's centre from the reference frame, as a share of the longer side; right and down are positive.
    zoom : float
        Size of the scene relative to the reference frame; 1.1 is 10 % larger.
    featureless : bool
        Whether the frame has too few corners to locate the camera.
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

    Memory: 60 kB for the reference frame of each view.

    Attributes
    ----------
    samples : list of CameraSample
        Positions of the camera in the sampled frames, in order of time, at least `STEP_S` apart.
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
            The frame in grey levels; all frames have the same size.
        time_s : float
            Presentation time, later than that of the previous frame.
        new_scene : bool
            Whether a new scene begins with this frame. Then no camera motion from the current view is estimated.
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
        pose = _compose(pose, self._current.base)
        height, width = grey.shape
        middle = np.array([width / 2, height / 2])
        shift = (pose[:, :2] @ middle + pose[:, 2] - middle) / max(height, width)
        self.samples.append(CameraSample(time_s, self._current.number, *shift.round(5).tolist(), round(float(np.hypot(*pose[:, 0])), 5)))

    def _locate(self, image):
        """Find the view of a frame and make it the current one; return the pose (2, 3) relative to it, or None for a featureless frame."""
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
        """Make another view the current one; discard the previous one if it has fewer than `MIN_SAMPLES`."""
        if self._current is not None and self._current.samples < MIN_SAMPLES:
            self._views.remove(self._current)
        self._current = other

    def _add_view(self, image, thumbnail):
        """Make a frame the reference of a new, current view and return its pose; None for a featureless frame."""
        corners = _corners(image)
        if len(corners) < MIN_CORNERS:
            self._switch_to(None)
            return None
        view = _View(self._n_views, IDENTITY, image, corners, _contrast(image, corners), thumbnail)
        moved = self._current is not None and self._pose is not IDENTITY and not self._new_scene
        if moved and _share_in_place(view, self._last_image) >= MIN_IN_PLACE_STILL:
            # The camera has stopped since the last sample, but too little of the old reference frame is visible. The new view is
            # connected to the old one, so both have the same number.
            view.number, view.base = self._current.number, _compose(self._pose, self._current.base)
        else:
            self._n_views += 1
        self._switch_to(view)
        self._views.append(view)
        return IDENTITY


def _compose(first, second):
    """Return the pose (2, 3) that applies the pose `second`, then the pose `first`."""
    return first[:, :2] @ second + np.column_stack((np.zeros((2, 2)), first[:, 2]))


def _normalise(grey):
    """Reduce lighting differences in a grey image: subtract the local mean and divide by the contrast of the whole frame."""
    fine = grey.astype(np.float32) - cv2.blur(grey, (31, 31)).astype(np.float32)
    spread = float(np.abs(fine).mean())
    return np.clip(128.0 + fine * (16.0 / max(spread, 1.0)), 0, 255).astype(np.uint8)


def _thumbnail(image):
    """Return a thumbnail of an image, float32 array (36, 64), with mean 0 and standard deviation 1.

    It is slightly blurred, so that a shift by a pixel changes it little.
    """
    thumbnail = cv2.resize(cv2.GaussianBlur(image, (0, 0), 2.0), (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)
    return (thumbnail - thumbnail.mean()) / max(float(thumbnail.std()), 1e-3)


def _corners(image):
    """Find corners that are distributed over a frame: float32 array (corner, xy 2), px."""
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
    """Return the contrast around each corner, the mean absolute deviation of grey levels in its window: float array (corner,)."""
    image = image.astype(np.float32)
    deviation = cv2.blur(np.abs(image - cv2.blur(image, WINDOW_PX)), WINDOW_PX)
    x, y = np.clip(corners.round().astype(int), 0, np.array(image.shape[::-1]) - 1).T
    return np.maximum(deviation[y, x], 1.0)


def _track(view, image, guess, levels):
    """Track the corners of a view into a frame.

    Parameters
    ----------
    view : _View
    image : uint8 array (height, width)
        Result of `_normalise` for the frame.
    guess : float32 array (corner, xy 2)
        Expected positions of the corners in the frame, px.
    levels : int
        Coarsest pyramid level of the optical flow; 0 uses the full resolution only.

    Returns
    -------
    positions : float32 array (corner, xy 2)
        Positions of the corners in the frame, px.
    found : bool array (corner,)
        Whether each corner was found.
    """
    found, status, error = cv2.calcOpticalFlowPyrLK(
        view.image, image, view.corners, guess.copy(), winSize=WINDOW_PX, maxLevel=levels, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return found, (status[:, 0] > 0) & (error[:, 0] < MAX_ERROR * view.contrast)


def _share_in_place(view, image):
    """Return the share (0..1) of a view's corners that have not moved in a frame."""
    # Only the full resolution is used. On coarser levels, moving objects next to a corner would displace it.
    found, good = _track(view, image, view.corners, levels=0)
    off = np.linalg.norm(found - view.corners, axis=1)
    return float((good & (off <= IN_PLACE * max(image.shape))).mean())


def _estimate_motion(view, image, pose):
    """Estimate the pose (2, 3) of the camera in a frame, relative to a view. Return None if too few corners agree.

    `pose`: initial guess (2, 3), such as the pose in the previous sampled frame.
    """
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
