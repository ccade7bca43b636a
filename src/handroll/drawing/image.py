"""Writes pictures."""

from PIL import Image

from handroll.provenance import atomic_path


def save_picture(image, path):
    """Write a uint8 RGB picture (height, width, 3); the path's suffix says as what."""
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary)
