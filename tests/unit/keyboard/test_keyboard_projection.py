import numpy as np

from handroll.keyboard.projection import KeyboardView
from handroll.rendering.scene import View

POINTS_MM = np.array([[0.0, 0.0, 0.0], [1222.0, 150.0, 0.0], [600.0, 60.0, 11.0], [300.0, 100.0, 40.0]])
OVER_THE_MIDDLE = KeyboardView(1280, 720, 1100.0, np.array([np.pi - 0.2, 0.0, 0.0]), np.array([-611.0, 60.0, 1100.0]))


def test_looks_down_with_the_player_below():
    left, right = OVER_THE_MIDDLE.project(POINTS_MM[:2])
    assert left[0] < right[0] and left[1] > right[1]
    high = OVER_THE_MIDDLE.extrinsics.to_camera([600.0, 60.0, 100.0])[2]
    assert high < OVER_THE_MIDDLE.extrinsics.to_camera([600.0, 60.0, 0.0])[2]


def test_agrees_with_the_camera_of_the_synthetic_pianist():
    scene = View((0.65, -0.10, 1.1), 0.15, -0.05, 0.85, -0.03)
    view = KeyboardView(1920, 1080, 0.85 * 1920, _rotvec(scene.rotation), -1e3 * scene.rotation @ scene.position_m, -0.03)
    np.testing.assert_allclose(view.project(POINTS_MM), scene.project(POINTS_MM / 1e3, 1920, 1080)[0], atol=1e-6)


def test_points_behind_the_camera_are_nan():
    assert np.isnan(OVER_THE_MIDDLE.project([600.0, 60.0, 5000.0])).all()


def _rotvec(matrix):
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(matrix).as_rotvec()
