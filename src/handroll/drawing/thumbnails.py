"""A strip of small pictures of a video, for pages that show many videos."""

import cv2
import numpy as np

from handroll.drawing.image import save_picture

VERSION = 1
"""Raised by hand when the same frames give another strip."""

COUNT = 7
HEIGHT_PX = 90
"""Seven pictures of 16:9 make a strip of 1120 x 90 pixels, about 25 kB."""


def save_thumbnails(images, path):
    """Write some of the pictures of a video side by side, as JPEG where the path says so.

    Parameters
    ----------
    images : list of uint8 array (height, width, 3)
        RGB, of one size, in order; `COUNT` of them, spread evenly, are shown. At least one.
    path : path
    """
    height, width = images[0].shape[:2]
    size = max(1, round(width * HEIGHT_PX / height)), HEIGHT_PX
    shown = [images[k] for k in np.linspace(0, len(images) - 1, min(COUNT, len(images))).round().astype(int)]
    save_picture(np.concatenate([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in shown], axis=1), path)
