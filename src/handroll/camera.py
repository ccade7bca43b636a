"""Pinhole camera with square pixels and one radial distortion coefficient, and its extrinsics over a keyboard.

Camera frame: that of OpenCV, x right, y down, z forward. Keyboard frame: `handroll.keyboard.geometry`. Pixel coordinates: x right, y
down, (0, 0) at the top left corner of the frame as shown.

Without a registered keyboard, `assumed_camera` gives the focal length. If a keyboard is registered, the focal length is fitted in
`keyboard.camera_fit`, and its source is decided in `keyboard.registration`.
"""

import json
from dataclasses import dataclass

import numpy as np

from handroll.hand.rotations import matrix_from_rotvec

HAMER_FOCAL_PX = 5000.0
"""Focal length that HaMeR assumes for a crop of `HAMER_CROP_PX` pixels (Pavlakos et al. 2024, arXiv:2312.05251)."""

HAMER_CROP_PX = 256.0
"""Width and height of HaMeR's crops, pixels."""

# Number of fixed-point iterations that invert the distortion.
_UNDISTORT_STEPS = 20


@dataclass(frozen=True)
class Camera:
    """Intrinsic parameters of a camera.

    Attributes
    ----------
    width_px, height_px : int
        Size of the frame as shown (rotation applied).
    focal_px : float
        Focal length in pixels, both axes.
    focal_source : str
        Source of the focal length: "sheet", "config", "keyboard" (fitted to the keys), "assumed" (a keyboard is registered, but
        barely constrains the focal length), "hamer" (HaMeR's convention, not a measurement) or "truth" (rendered videos).
    k1 : float
        First radial distortion coefficient, as in OpenCV; no unit. A point at the distance r (in focal lengths) from the principal
        point is displaced to the distance r (1 + k1 r^2).
    off_centre_px : (x, y)
        Offset of the principal point from the middle of the frame, pixels. The principal point is also the centre of distortion.
    """

    width_px: int
    height_px: int
    focal_px: float
    focal_source: str
    k1: float = 0.0
    off_centre_px: tuple[float, float] = (0.0, 0.0)

    @property
    def centre_px(self):
        """Principal point, array (xy 2), pixels."""
        return np.array([self.width_px / 2.0, self.height_px / 2.0]) + self.off_centre_px

    def project(self, points):
        """Project points to pixels.

        Parameters
        ----------
        points : array (..., xyz 3)
            Camera frame, in any unit of length.

        Returns
        -------
        array (..., xy 2), float64, pixels
            NaN for points behind the camera.
        """
        points = np.asarray(points, dtype=np.float64)
        depth = np.where(points[..., 2:] > 0.0, points[..., 2:], np.nan)
        flat = points[..., :2] / depth
        if self.k1:
            flat = flat * (1.0 + self.k1 * (flat**2).sum(axis=-1, keepdims=True))
        return flat * self.focal_px + self.centre_px

    def rays(self, points_px):
        """Return the viewing directions of pixels; the distortion is removed.

        Parameters
        ----------
        points_px : array (..., xy 2)

        Returns
        -------
        array (..., xyz 3), float64
            Camera frame, scaled to z = 1.
        """
        distorted = (np.asarray(points_px, dtype=np.float64) - self.centre_px) / self.focal_px
        flat = distorted
        for _ in range(_UNDISTORT_STEPS if self.k1 else 0):
            flat = distorted / (1.0 + self.k1 * (flat**2).sum(axis=-1, keepdims=True))
        return np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)

    def to_metadata(self):
        """Return all parameters as text, for a table's metadata; `camera_from_metadata` reads them."""
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
    """Return the camera of HaMeR's convention, with a focal length of 5000/256 times the longer side. Depths are then not metric."""
    return Camera(width_px, height_px, HAMER_FOCAL_PX / HAMER_CROP_PX * max(width_px, height_px), "hamer")


def configured_focal(sheet_focal_px, config_focal_px):
    """Return the focal length that the user has given. The sheet takes precedence over the configuration.

    Parameters
    ----------
    sheet_focal_px, config_focal_px : float or None
        Focal lengths, in pixels of the frame as shown: in the video's row of the sheet, and in `pose.focal_px` of the configuration.

    Returns
    -------
    (float, str) or None
        Focal length (px) and its source, "sheet" or "config"; None if both are None.
    """
    given = ((sheet_focal_px, "sheet"), (config_focal_px, "config"))
    return next(((focal_px, source) for focal_px, source in given if focal_px is not None), None)


def assumed_camera(width_px, height_px, focal):
    """Return the camera of a video without a registered keyboard: with the given focal length, or by HaMeR's convention.

    Parameters
    ----------
    width_px, height_px : int
        Size of the frame as shown.
    focal : (float, str) or None
        Result of `configured_focal`.

    Returns
    -------
    Camera
    """
    return Camera(width_px, height_px, *focal) if focal else hamer_camera(width_px, height_px)


def camera_from_metadata(metadata):
    """Read the Camera from the metadata of a pose or motion table, which `Camera.to_metadata` has written."""
    off_centre_px = float(metadata["off_centre_x_px"]), float(metadata["off_centre_y_px"])
    size = int(metadata["width_px"]), int(metadata["height_px"])
    return Camera(*size, float(metadata["focal_px"]), metadata["focal_source"], float(metadata["k1"]), off_centre_px)


@dataclass(frozen=True)
class Extrinsics:
    """Extrinsics of a camera over a keyboard: the rigid motion from the keyboard frame to the camera frame.

    Attributes
    ----------
    rotation_rad : array (xyz 3)
        Axis-angle rotation from the keyboard frame to the camera frame, radians.
    translation_mm : array (xyz 3)
        Position of the keyboard frame's origin in the camera frame, millimetres.
    """

    rotation_rad: np.ndarray
    translation_mm: np.ndarray

    @property
    def rotation(self):
        """Rotation matrix (3, 3) from the keyboard frame to the camera frame."""
        return matrix_from_rotvec(np.asarray(self.rotation_rad, dtype=np.float64))

    def to_camera(self, points_mm):
        """Transform points (..., xyz 3) from the keyboard frame to the camera frame, millimetres."""
        return np.asarray(points_mm, dtype=np.float64) @ self.rotation.T + self.translation_mm

    def to_keyboard(self, points_mm):
        """Transform points (..., xyz 3) from the camera frame to the keyboard frame, millimetres."""
        return (np.asarray(points_mm, dtype=np.float64) - self.translation_mm) @ self.rotation

    def to_metadata(self):
        """Return the extrinsics as text, for a table's metadata; `extrinsics_from_metadata` reads them."""
        return {name: json.dumps([float(value) for value in getattr(self, name.removeprefix("keyboard_"))]) for name in _EXTRINSIC_KEYS}


# Metadata keys of the extrinsics.
_EXTRINSIC_KEYS = "keyboard_rotation_rad", "keyboard_translation_mm"


def extrinsics_from_metadata(metadata):
    """Read the Extrinsics from a table's metadata, which `Extrinsics.to_metadata` has written; None if no keyboard is registered."""
    if not all(name in metadata for name in _EXTRINSIC_KEYS):
        return None
    return Extrinsics(*(np.array(json.loads(metadata[name])) for name in _EXTRINSIC_KEYS))


def joints_in_keyboard_frame(joints_m, extrinsics):
    """Transform joints from the camera frame to the keyboard frame.

    Parameters
    ----------
    joints_m : array (..., xyz 3)
        Camera frame, metres.
    extrinsics : Extrinsics or None
        None if no keyboard is registered.

    Returns
    -------
    array (..., xyz 3), float32
        Keyboard frame, millimetres; NaN if `extrinsics` is None.
    """
    if extrinsics is None:
        return np.full(np.shape(joints_m), np.nan, dtype=np.float32)
    return extrinsics.to_keyboard(1e3 * np.asarray(joints_m, dtype=np.float64)).astype(np.float32)
