"""Reflections on polished surfaces: keys and hands mirrored in the fallboard, and the light and glare of a lamp on the keys."""

from copy import copy

import numpy as np

from handroll.rendering.piano import FALLBOARD_FOOT_MM
from handroll.rendering.raster import BLACK_KEY, FALLBOARD, FLOOR, WHITE_KEY, Canvas

# Colour of the mirrored room, where the fallboard mirrors neither keys nor hands.
_ROOM_RGB = (70, 66, 62)

# Number of fixed-point iterations that remove radial distortion.
_UNDISTORT_ITERATIONS = 4

# Width of a white key.
_KEY_M = 0.0235


class Mirror:
    """Mirror image of keys and hands in a flat fallboard. It is blended into the samples that show the fallboard.

    Parameters
    ----------
    gloss : scene.Gloss
    project : callable points_m (n, xyz 3) -> (pixels (n, xy 2), inverse depth (n,)), float32
        Projection of the camera.
    piano : piano.PianoMesh
        Piano with all keys up; the mirror image does not show pressed keys.
    rest : Canvas
        The scene without hands and with all keys up. The constructor draws the mirror image of the keys on its fallboard.
    supersample : int
        Samples per pixel along each axis.
    """

    def __init__(self, gloss, project, piano, rest, supersample):
        self.gloss, self.project, self.supersample = gloss, project, supersample
        self.plain = rest.colour.copy()
        self.canvas = Canvas.empty(*rest.rectangle[2:])
        self.canvas.colour[:] = _ROOM_RGB
        lean, high = gloss.lean_mm, gloss.height_mm
        self.normal = np.array([0.0, -high, lean]) / np.hypot(high, lean)
        front = (self._distance_m(piano.vertices_m)[piano.triangles] > 0.0).all(axis=1) & ~np.isin(piano.owner, (FALLBOARD, FLOOR))
        self._draw(piano.vertices_m, piano.colours, piano.triangles[front], rest.rectangle)
        self.still = self.canvas.copy()
        self._blend(rest, rest.rectangle)

    def twin(self):
        """Return a mirror of the same scene for another thread."""
        twin = copy(self)
        twin.canvas = self.canvas.copy()
        return twin

    def draw(self, work, meshes, box_of):
        """Draw the mirror image of meshes into a canvas.

        Parameters
        ----------
        work : Canvas
        meshes : list of (vertices, colours, triangles)
        box_of : callable (pixels, inverse depth) -> rectangle or None
            Rectangle of projected points, pixels; None if they are outside the image.

        Returns
        -------
        list of (left, top, right, bottom)
            Rectangles of the mirror images, pixels.
        """
        boxes = []
        for vertices, colours, triangles in meshes:
            pixels, inverse = self.project(self._reflect(vertices))
            box = box_of(pixels, inverse)
            if box is None:
                continue
            samples = tuple(self.supersample * side for side in box)
            if not (work.owner[samples[1] : samples[3], samples[0] : samples[2]] == FALLBOARD).any():
                continue
            self._draw(vertices, colours, triangles, samples)
            boxes.append(box)
        rectangles = [tuple(self.supersample * side for side in box) for box in boxes]
        for samples in rectangles:
            self._blend(work, samples)
        for samples in rectangles:
            self.canvas.copy_from(self.still, samples)
        return boxes

    def _distance_m(self, points_m):
        """Return the distance from the fallboard to points (..., xyz 3), metres; negative behind the fallboard."""
        return (points_m - np.array([0.0, FALLBOARD_FOOT_MM * 1e-3, 0.0])) @ self.normal

    def _reflect(self, points_m):
        """Mirror points (..., xyz 3) at the plane of the fallboard."""
        return points_m - 2.0 * self._distance_m(points_m)[..., None] * self.normal

    def _draw(self, vertices, colours, triangles, samples):
        """Draw the mirror image of a mesh into the mirror's canvas, within a rectangle of samples."""
        pixels, inverse = self.project(self._reflect(vertices))
        # A reflection reverses the orientation of the triangles.
        turned = np.ascontiguousarray(triangles[:, ::-1])
        owner = np.zeros(len(turned), np.uint8)
        self.canvas.draw(pixels * np.float32(self.supersample), inverse, colours, turned, owner, samples)

    def _blend(self, work, samples):
        """Blend the mirror image into the fallboard of a canvas, within a rectangle of samples."""
        x0, y0, x1, y1 = samples
        part = slice(y0, y1), slice(x0, x1)
        shows = work.owner[part] == FALLBOARD
        share = self.gloss.share
        mixed = (1.0 - share) * self.plain[part][shows] + share * self.canvas.colour[part][shows]
        work.colour[part][shows] = mixed.astype(np.uint8)


class LampMap:
    """Light of a lamp near the keys, as two maps over the image: brightness, and glare on polished keys.

    The glare is drawn at a given position, without ray tracing. Each key reflects a different share of it, because real keys are never
    exactly level.

    Parameters
    ----------
    lamp : scene.Lamp
    view : scene.View
    width, height : int
        Size of the image, pixels.
    """

    def __init__(self, lamp, view, width, height):
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        distorted = np.stack([x - width / 2.0, y - height / 2.0], axis=-1) / (view.focal_widths * width)
        flat = distorted
        for _ in range(_UNDISTORT_ITERATIONS):
            flat = distorted / (1.0 + view.k1 * (flat**2).sum(axis=-1, keepdims=True))
        direction = np.concatenate([flat, np.ones_like(x)[..., None]], axis=-1) @ view.rotation
        camera = np.array(view.position_m)
        on_keys = camera[:2] - direction[..., :2] * (camera[2] / np.minimum(direction[..., 2:], -1e-3))
        distance = ((on_keys - lamp.centre_m) ** 2).sum(axis=-1) / lamp.reach_m**2
        self.light = (lamp.dark + (1.0 - lamp.dark) / (1.0 + distance)).astype(np.float32)
        offset = ((on_keys - lamp.glare_at_m) / lamp.glare_size_m) ** 2
        rng = np.random.default_rng(lamp.seed)
        share = rng.uniform(0.4, 1.0, 64)[np.clip(on_keys[..., 0] / _KEY_M, 0, 63).astype(int)]
        self.glare = (255.0 * lamp.glare * share * np.exp(-0.5 * offset.sum(axis=-1))).astype(np.float32)

    def apply(self, image, owner):
        """Apply light and glare to an image (y, x, rgb 3), uint8, in place; `owner` (y, x) are the labels of its pixels."""
        glare = np.where((owner == WHITE_KEY) | (owner == BLACK_KEY), self.glare, np.float32(0.0))
        lit = image * self.light[..., None] + glare[..., None]
        np.clip(lit, 0.0, 255.0, out=lit)
        image[:] = lit.astype(np.uint8)
