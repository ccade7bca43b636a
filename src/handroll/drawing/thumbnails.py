"""Strip of thumbnails of a video, for pages that list many videos."""

import cv2
import numpy as np

from handroll.drawing.image_files import save_image

VERSION = 1
"""Version of the strips. Increase it when a change of the code gives different strips for the same frames."""

COUNT = 7
"""Number of images in a strip."""


HEIGHT_PX = 90
"""Height of a strip. Seven images of 16:9 make a strip of 1120 x 90 pixels, about 25 kB."""


def save_thumbnails(images, path):
    """Write evenly spaced images of a video side by side.

    Parameters
    ----------
    images : list of uint8 array (height, width, 3)
        RGB images of equal size, in order; at least one. At most `COUNT` of them are written.
    path : path
        The suffix determines the format.
    """
    height, width = images[0].shape[:2]
    size = max(1, round(width * HEIGHT_PX / height)), HEIGHT_PX
    shown = [images[k] for k in np.linspace(0, len(images) - 1, min(COUNT, len(images))).round().astype(int)]
    save_image(np.concatenate([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in shown], axis=1), path)
