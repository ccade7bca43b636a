"""Write image files."""

from PIL import Image

from handroll.provenance import atomic_path


def save_image(image, path):
    """Write a uint8 RGB image (height, width, 3), atomically. The suffix of the path determines the format."""
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary)
