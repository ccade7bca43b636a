"""How a camera sees a keyboard: a pinhole with one radial coefficient, from keyboard millimetres to pixels and back.

Keyboard frame: `handroll.keyboard.geometry`. A camera, not a homography: black keys stand 11 mm above the white ones, which
moves their picture by up to a third of a key, and the focal length comes along where the view tells it.
"""

from dataclasses import dataclass

import numpy as np

from handroll.camera import Camera, Extrinsics
from handroll.hand.rotations import rotvec_from_matrix

START_FOCAL_WIDTHS = 0.9
"""Focal length to start with, in picture widths: a telephone's or webcam's."""


@dataclass(frozen=True)
class KeyboardView:
    """A camera over a keyboard.

    Attributes
    ----------
    width_px, height_px : int
        Size of the picture as shown.
    focal_px : float
    rotation_rad : array (3,)
        Axis-angle from keyboard to camera directions; camera frame as OpenCV's.
    translation_mm : array (3,)
        The keyboard's origin in the camera frame.
    k1 : float
        First coefficient of radial distortion (OpenCV's: of the squared radius in focal lengths).
    off_centre_px : (x, y)
        How far the principal point, which is also the centre of distortion, is from the middle of the picture.
    """

    width_px: int
    height_px: int
    focal_px: float
    rotation_rad: np.ndarray
    translation_mm: np.ndarray
    k1: float = 0.0
    off_centre_px: tuple[float, float] = (0.0, 0.0)

    @property
    def camera(self):
        """The `Camera` alone, without its place over the keyboard."""
        return Camera(self.width_px, self.height_px, self.focal_px, "keyboard", self.k1, self.off_centre_px)

    @property
    def centre_px(self):
        """Principal point (x, y)."""
        return self.camera.centre_px

    @property
    def extrinsics(self):
        """Its place over the keyboard alone."""
        return Extrinsics(self.rotation_rad, self.translation_mm)

    def project(self, points_mm):
        """Pixels (..., xy 2) of points (..., xyz 3) of the keyboard frame, millimetres; NaN behind the camera."""
        return self.camera.project(self.extrinsics.to_camera(points_mm))

    def on_plane(self, points_px, z_mm=0.0):
        """Where pixels (..., 2) meet the plane `z_mm` above the white keys: x, y (..., 2) of the keyboard frame, millimetres."""
        direction = self.camera.rays(points_px) @ self.extrinsics.rotation
        eye = self.extrinsics.to_keyboard(np.zeros(3))
        return eye[:2] + direction[..., :2] * ((z_mm - eye[2]) / direction[..., 2])[..., None]


def straight_down(width_px, height_px, point_mm, at_px, along_px):
    """A camera to start with: it looks straight down, with a usual focal length.

    Parameters
    ----------
    width_px, height_px : int
    point_mm : array (xyz 3)
        A point of the keyboard frame,
    at_px : array (xy 2)
        and where it is seen.
    along_px : array (xy 2)
        How far a millimetre along the keys goes there.

    Returns
    -------
    KeyboardView
    """
    px_per_mm = np.linalg.norm(along_px)
    x_axis, z_axis = np.append(along_px / px_per_mm, 0.0), np.array([0.0, 0.0, -1.0])
    rotation = np.stack([x_axis, np.cross(z_axis, x_axis), z_axis], axis=1)
    focal = START_FOCAL_WIDTHS * width_px
    ray = np.append((at_px - np.array([width_px / 2.0, height_px / 2.0])) / focal, 1.0)
    return KeyboardView(width_px, height_px, focal, rotvec_from_matrix(rotation), focal / px_per_mm * ray - rotation @ point_mm)
