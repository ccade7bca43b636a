"""Draws what polished surfaces add to a picture: the keys and hands in the fallboard, and a lamp's light and glare on the keys."""

import numpy as np

from handroll.rendering.piano import FALLBOARD_FOOT_MM
from handroll.rendering.raster import BLACK_KEY, FALLBOARD, FLOOR, WHITE_KEY, Canvas

_ROOM_RGB = (70, 66, 62)
# What the fallboard mirrors above the keys: a dim room.
_ROUNDS = 4
# Of the fixed-point iteration that undoes radial distortion.
_KEY_M = 0.0235


class Mirror:
    """The image in a plane fallboard, painted into the samples that show the fallboard.

    Parameters
    ----------
    gloss : scene.Gloss
    project : callable points_m (n, 3) -> (pixels (n, 2), inverse depth (n,)), float32
    piano : piano.PianoMesh
        At rest; keys that go down are not seen to do so in the mirror.
    rest : Canvas
        The scene at rest; its fallboard is painted.
    supersample : int
    """

    def __init__(self, gloss, project, piano, rest, supersample):
        self.gloss, self.project, self.supersample = gloss, project, supersample
        self.plain = rest.colour.copy()
        self.canvas = Canvas.empty(*rest.rectangle[2:])
        self.canvas.colour[:] = _ROOM_RGB
        lean, high = gloss.lean_mm, gloss.height_mm
        self.normal = np.array([0.0, -high, lean]) / np.hypot(high, lean)
        front = (self._before(piano.vertices_m)[piano.triangles] > 0.0).all(axis=1) & ~np.isin(piano.owner, (FALLBOARD, FLOOR))
        self._draw(piano.vertices_m, piano.colours, piano.triangles[front], rest.rectangle)
        self.still = Canvas(*(plane.copy() for plane in (self.canvas.colour, self.canvas.depth, self.canvas.owner)))
        self._blend(rest, rest.rectangle)

    def paint(self, work, meshes, box_of):
        """Paint the image of meshes [(vertices, colours, triangles)] into a canvas; returns their rectangles, in pixels."""
        boxes = []
        for vertices, colours, triangles in meshes:
            pixels, inverse = self.project(self._reflected(vertices))
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

    def _before(self, points_m):
        """How far points (..., 3) are before the fallboard, metres."""
        return (points_m - np.array([0.0, FALLBOARD_FOOT_MM * 1e-3, 0.0])) @ self.normal

    def _reflected(self, points_m):
        return points_m - 2.0 * self._before(points_m)[..., None] * self.normal

    def _draw(self, vertices, colours, triangles, samples):
        pixels, inverse = self.project(self._reflected(vertices))
        # A mirror turns the triangles round.
        turned = np.ascontiguousarray(triangles[:, ::-1])
        owner = np.zeros(len(turned), np.uint8)
        self.canvas.draw(pixels * np.float32(self.supersample), inverse, colours, turned, owner, samples)

    def _blend(self, work, samples):
        x0, y0, x1, y1 = samples
        part = slice(y0, y1), slice(x0, x1)
        shows = work.owner[part] == FALLBOARD
        share = self.gloss.share
        mixed = (1.0 - share) * self.plain[part][shows] + share * self.canvas.colour[part][shows]
        work.colour[part][shows] = mixed.astype(np.uint8)


class LampLight:
    """A lamp near the keys, as two maps over the picture: how bright it is there, and its glare on polished keys.

    The glare is painted where the seed has it, not traced: each key, a little out of level, mirrors another share of it.

    Parameters
    ----------
    lamp : scene.Lamp
    view : scene.View
    width, height : int
        Of the picture, pixels.
    """

    def __init__(self, lamp, view, width, height):
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        seen = np.stack([x - width / 2.0, y - height / 2.0], axis=-1) / (view.focal_widths * width)
        flat = seen
        for _ in range(_ROUNDS):
            flat = seen / (1.0 + view.k1 * (flat**2).sum(axis=-1, keepdims=True))
        direction = np.concatenate([flat, np.ones_like(x)[..., None]], axis=-1) @ view.rotation
        eye = np.array(view.position_m)
        on_keys = eye[:2] - direction[..., :2] * (eye[2] / np.minimum(direction[..., 2:], -1e-3))
        away = ((on_keys - lamp.centre_m) ** 2).sum(axis=-1) / lamp.reach_m**2
        self.light = (lamp.dark + (1.0 - lamp.dark) / (1.0 + away)).astype(np.float32)
        aside = ((on_keys - lamp.glare_at_m) / lamp.glare_size_m) ** 2
        rng = np.random.default_rng(lamp.seed)
        of_key = rng.uniform(0.4, 1.0, 64)[np.clip(on_keys[..., 0] / _KEY_M, 0, 63).astype(int)]
        self.glare = (255.0 * lamp.glare * of_key * np.exp(-0.5 * aside.sum(axis=-1))).astype(np.float32)

    def shine(self, picture, owner):
        """Light a picture (y, x, rgb 3), uint8, in place; `owner` (y, x) says where keys are."""
        glare = np.where((owner == WHITE_KEY) | (owner == BLACK_KEY), self.glare, np.float32(0.0))
        lit = picture * self.light[..., None] + glare[..., None]
        np.clip(lit, 0.0, 255.0, out=lit)
        picture[:] = lit.astype(np.uint8)
