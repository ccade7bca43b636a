"""Pinhole camera with square pixels, in OpenCV's frame: x right, y down, z forward, metres."""

from dataclasses import dataclass

import numpy as np

HAMER_FOCAL_PX = 5000.0
"""Focal length that HaMeR assumes for a crop of `HAMER_CROP_PX` pixels (Pavlakos et al. 2024, arXiv:2312.05251)."""

HAMER_CROP_PX = 256.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes
    ----------
    width_px, height_px : int
        Size of the picture as shown (rotation applied).
    focal_px : float
        Focal length in pixels, both axes.
    focal_source : str
        Where it came from: "sheet", "config", "hamer" (a convention, not a measurement) or "truth".
    """

    width_px: int
    height_px: int
    focal_px: float
    focal_source: str

    @property
    def centre_px(self):
        """Principal point (x, y): the middle of the picture."""
        return self.width_px / 2.0, self.height_px / 2.0

    def project(self, points_m):
        """Pixels (..., 2) of points (..., 3) in the camera frame, metres; NaN behind the camera."""
        points = np.asarray(points_m, dtype=np.float64)
        depth = np.where(points[..., 2:] > 0.0, points[..., 2:], np.nan)
        return points[..., :2] / depth * self.focal_px + np.array(self.centre_px)


def hamer_camera(width_px, height_px):
    """The camera under HaMeR's convention: focal length 5000/256 times the longer side. Depth is then not metric."""
    return Camera(width_px, height_px, HAMER_FOCAL_PX / HAMER_CROP_PX * max(width_px, height_px), "hamer")


def camera_of(facts):
    """The camera from a pose or motion table's metadata: width_px, height_px, pose_focal_px and pose_focal_source."""
    return Camera(int(facts["width_px"]), int(facts["height_px"]), float(facts["pose_focal_px"]), facts["pose_focal_source"])
