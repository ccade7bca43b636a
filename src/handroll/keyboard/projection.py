"""Projection between the keyboard frame in millimetres and pixels of the frame as shown.

Keyboard frame: `handroll.keyboard.geometry`. Camera frame: `handroll.camera`. The model is a pinhole camera with one radial
distortion coefficient. A homography is not enough: the tops of black keys are 11 mm above the white keys, which shifts them by up to a
third of a key in the frame. A camera fitted to the keys also gives the focal length, if the view constrains it.
"""

from dataclasses import dataclass

import numpy as np

from handroll.camera import Camera, Extrinsics
from handroll.hand.rotations import rotvec_from_matrix

START_FOCAL_WIDTHS = 0.9
"""Initial focal length of a fit, in frame widths: typical for phones and webcams."""


@dataclass(frozen=True)
class KeyboardView:
    """Intrinsic and extrinsic parameters of a camera over a keyboard.

    Attributes
    ----------
    width_px, height_px : int
        Size of the frame as shown (rotation applied).
    focal_px : float
        Focal length in pixels, both axes.
    rotation_rad : array (xyz 3)
        Axis-angle rotation from the keyboard frame to the camera frame, radians.
    translation_mm : array (xyz 3)
        Position of the keyboard frame's origin in the camera frame, millimetres.
    k1 : float
        First radial distortion coefficient of OpenCV: factor of the squared radius in focal lengths; no unit.
    off_centre_px : (x, y)
        Offset of the principal point from the middle of the frame, pixels. The principal point is also the centre of distortion.
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
        """Intrinsic parameters, a `Camera`."""
        return Camera(self.width_px, self.height_px, self.focal_px, "keyboard", self.k1, self.off_centre_px)

    @property
    def centre_px(self):
        """Principal point, array (xy 2), pixels."""
        return self.camera.centre_px

    @property
    def extrinsics(self):
        """Extrinsic parameters, an `Extrinsics`."""
        return Extrinsics(self.rotation_rad, self.translation_mm)

    def project(self, points_mm):
        """Project points (..., xyz 3) of the keyboard frame, millimetres, to pixels (..., xy 2); NaN behind the camera."""
        return self.camera.project(self.extrinsics.to_camera(points_mm))

    def on_plane(self, points_px, z_mm=0.0):
        """Intersect the rays of pixels with a plane parallel to the keys.

        Parameters
        ----------
        points_px : array (..., xy 2)
        z_mm : float
            Height of the plane above the white keys, millimetres.

        Returns
        -------
        array (..., xy 2)
            Keyboard frame, millimetres.
        """
        direction = self.camera.rays(points_px) @ self.extrinsics.rotation
        eye = self.extrinsics.to_keyboard(np.zeros(3))
        return eye[:2] + direction[..., :2] * ((z_mm - eye[2]) / direction[..., 2])[..., None]


def straight_down(width_px, height_px, point_mm, at_px, along_px):
    """Return an initial camera that looks straight down, with the focal length `START_FOCAL_WIDTHS`.

    Parameters
    ----------
    width_px, height_px : int
        Size of the frame.
    point_mm : array (xyz 3)
        A point of the keyboard frame.
    at_px : array (xy 2)
        Pixel of that point.
    along_px : array (xy 2)
        Displacement in the frame, px, for a step of 1 mm along the keyboard (+x of the keyboard frame) from that point.

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
