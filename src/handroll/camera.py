"""Pinhole camera with square pixels and one radial coefficient, in OpenCV's frame (x right, y down, z forward), and its place over keys."""

import json
from dataclasses import dataclass

import numpy as np

from handroll.hand.rotations import matrix_from_rotvec

HAMER_FOCAL_PX = 5000.0
"""Focal length that HaMeR assumes for a crop of `HAMER_CROP_PX` pixels (Pavlakos et al. 2024, arXiv:2312.05251)."""

HAMER_CROP_PX = 256.0

_UNDISTORT_STEPS = 20


@dataclass(frozen=True)
class Camera:
    """A camera.

    Attributes
    ----------
    width_px, height_px : int
        Size of the picture as shown (rotation applied).
    focal_px : float
        Focal length in pixels, both axes.
    focal_source : str
        Where it came from: "sheet", "config", "keyboard" (fitted to the keys), "assumed" (a keyboard is registered, but hardly
        tells it), "hamer" (a convention, not a measurement) or "truth".
    k1 : float
        First coefficient of radial distortion (OpenCV's: of the squared radius in focal lengths).
    off_centre_px : (x, y)
        How far the principal point, which is also the centre of distortion, is from the middle of the picture.
    """

    width_px: int
    height_px: int
    focal_px: float
    focal_source: str
    k1: float = 0.0
    off_centre_px: tuple[float, float] = (0.0, 0.0)

    @property
    def centre_px(self):
        """Principal point, array (xy 2)."""
        return np.array([self.width_px / 2.0, self.height_px / 2.0]) + self.off_centre_px

    def project(self, points):
        """Pixels (..., xy 2) of points (..., xyz 3) in the camera frame, any one unit of length; NaN behind the camera."""
        points = np.asarray(points, dtype=np.float64)
        depth = np.where(points[..., 2:] > 0.0, points[..., 2:], np.nan)
        flat = points[..., :2] / depth
        if self.k1:
            flat = flat * (1.0 + self.k1 * (flat**2).sum(axis=-1, keepdims=True))
        return flat * self.focal_px + self.centre_px

    def rays(self, points_px):
        """Directions (..., xyz 3), z = 1, of pixels (..., xy 2); distortion is undone by fixed-point steps."""
        bent = (np.asarray(points_px, dtype=np.float64) - self.centre_px) / self.focal_px
        flat = bent
        for _ in range(_UNDISTORT_STEPS if self.k1 else 0):
            flat = bent / (1.0 + self.k1 * (flat**2).sum(axis=-1, keepdims=True))
        return np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)

    def facts(self):
        """Everything as text, for a table's metadata; `camera_of` reads it."""
        return {
            "width_px": str(self.width_px),
            "height_px": str(self.height_px),
            "focal_px": f"{self.focal_px:.10g}",
            "focal_source": self.focal_source,
            "k1": f"{self.k1:.10g}",
            "off_centre_x_px": f"{self.off_centre_px[0]:.10g}",
            "off_centre_y_px": f"{self.off_centre_px[1]:.10g}",
        }


def hamer_camera(width_px, height_px):
    """The camera under HaMeR's convention: focal length 5000/256 times the longer side. Depth is then not metric."""
    return Camera(width_px, height_px, HAMER_FOCAL_PX / HAMER_CROP_PX * max(width_px, height_px), "hamer")


def configured_focal(sheet_focal_px, config_focal_px):
    """The focal length that the user gave, the sheet before the configuration.

    Parameters
    ----------
    sheet_focal_px, config_focal_px : float or None
        Focal length (px of the shown frame) in the video's row of the sheet, and in `pose.focal_px` of the configuration.

    Returns
    -------
    (float, str) or None
        Focal length (px) and its source, "sheet" or "config"; None where neither is given.
    """
    given = ((sheet_focal_px, "sheet"), (config_focal_px, "config"))
    return next(((focal_px, source) for focal_px, source in given if focal_px is not None), None)


def assumed_camera(width_px, height_px, focal):
    """The camera of a video without a registered keyboard: the given focal length, else HaMeR's convention.

    Parameters
    ----------
    width_px, height_px : int
        Size of the shown frame.
    focal : (float, str) or None
        As of `configured_focal`.
    """
    return Camera(width_px, height_px, *focal) if focal else hamer_camera(width_px, height_px)


def camera_of(facts):
    """The camera from a pose or motion table's metadata, as `Camera.facts` writes it."""
    off_centre_px = float(facts["off_centre_x_px"]), float(facts["off_centre_y_px"])
    size = int(facts["width_px"]), int(facts["height_px"])
    return Camera(*size, float(facts["focal_px"]), facts["focal_source"], float(facts["k1"]), off_centre_px)


@dataclass(frozen=True)
class Extrinsics:
    """Where a camera is over a keyboard: the rigid motion from the keyboard frame to the camera frame.

    Attributes
    ----------
    rotation_rad : array (xyz 3)
        Axis-angle from keyboard to camera directions.
    translation_mm : array (xyz 3)
        The keyboard's origin in the camera frame.
    """

    rotation_rad: np.ndarray
    translation_mm: np.ndarray

    @property
    def rotation(self):
        """Matrix (3, 3) from keyboard to camera directions."""
        return matrix_from_rotvec(np.asarray(self.rotation_rad, dtype=np.float64))

    def to_camera(self, points_mm):
        """Points (..., xyz 3) of the keyboard frame in the camera frame, millimetres."""
        return np.asarray(points_mm, dtype=np.float64) @ self.rotation.T + self.translation_mm

    def to_keyboard(self, points_mm):
        """Points (..., xyz 3) of the camera frame in the keyboard frame, millimetres."""
        return (np.asarray(points_mm, dtype=np.float64) - self.translation_mm) @ self.rotation

    def facts(self):
        """As text, for a table's metadata; `extrinsics_of` reads it."""
        return {name: json.dumps([float(value) for value in getattr(self, name.removeprefix("keyboard_"))]) for name in _EXTRINSIC_FACTS}


_EXTRINSIC_FACTS = "keyboard_rotation_rad", "keyboard_translation_mm"


def extrinsics_of(facts):
    """The extrinsics from a table's metadata, as `Extrinsics.facts` writes them; None where no keyboard is registered."""
    if not all(name in facts for name in _EXTRINSIC_FACTS):
        return None
    return Extrinsics(*(np.array(json.loads(facts[name])) for name in _EXTRINSIC_FACTS))


def joints_over_keys(joints_m, extrinsics):
    """Joints (..., xyz 3) of the camera frame, metres, in the keyboard frame, millimetres, float32; NaN without extrinsics."""
    if extrinsics is None:
        return np.full(np.shape(joints_m), np.nan, dtype=np.float32)
    return extrinsics.to_keyboard(1e3 * np.asarray(joints_m, dtype=np.float64)).astype(np.float32)
