"""Camera tracking: poses relative to a view, and relative to the first of several connected views."""

import cv2
import numpy as np

from handroll.editing.camera_tracking import STEP_S, CameraTracker

SIZE = np.array([256, 144])


def filmed(scene, zoom, shift):
    """A frame whose point p shows the scene's point (p - middle - shift) / zoom + middle of the scene."""
    offset = SIZE / 2 + shift - zoom * np.array(scene.shape[::-1]) / 2
    matrix = np.column_stack([zoom * np.eye(2), offset])
    return cv2.warpAffine(scene, matrix, tuple(map(int, SIZE)), flags=cv2.INTER_AREA)


def test_the_pose_in_a_connected_view_follows_that_of_its_reference_frame():
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 255, (100, 166), dtype=np.uint8), (1000, 600), interpolation=cv2.INTER_CUBIC)
    tracker = CameraTracker()
    tracker.add_frame(filmed(scene, 1.0, np.zeros(2)), 0.0)
    # As if this reference frame were connected to an earlier one: twice as large, the scene's middle 30 px to the right.
    tracker._current.base = np.column_stack([2.0 * np.eye(2), SIZE / 2 + (30.0, 0.0) - SIZE])
    tracker.add_frame(filmed(scene, 1.1, np.array([8.0, 0.0])), STEP_S)
    last = tracker.samples[-1]
    np.testing.assert_allclose([last.x, last.y, last.zoom], [(1.1 * 30.0 + 8.0) / SIZE.max(), 0.0, 2.2], atol=0.005)
