"""Software rasteriser: coloured triangles with a depth buffer, soft shadows, and averaging of samples.

The image is supersampled: a pixel has several samples. Coordinates are in samples, x right, y down; the centre of the sample in row i and
column j is (j + 0.5, i + 0.5). The depth buffer contains 1 / distance along the optical axis, which is linear over a flat triangle in the
image. Larger values are nearer; 0 is empty. Rectangles are (left, top, right, bottom), with right and bottom exclusive.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

NOTHING, LEFT_HAND, RIGHT_HAND, COVER, WHITE_KEY, BLACK_KEY, PIANO, FLOOR, FALLBOARD = range(9)
"""Labels: which object a sample shows."""

RECEIVES = np.array([0, 0, 0, 0, 1, 1, 1, 0, 1], dtype=np.float32)
"""Strength of the hands' shadow on each object, by label: 0 (no shadow) to 1 (full shadow). It is cast on the plane of the key tops."""


@dataclass(frozen=True)
class Canvas:
    """A supersampled image with depth and labels.

    Attributes
    ----------
    colour : array (y, x, rgb 3), uint8
    depth : array (y, x), float32
        1 / distance; 0 is empty.
    owner : array (y, x), uint8
        Label of each sample.
    """

    colour: np.ndarray
    depth: np.ndarray
    owner: np.ndarray

    @classmethod
    def empty(cls, width, height):
        """Create an empty (black) canvas; width and height in samples."""
        return cls(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.float32), np.zeros((height, width), np.uint8))

    @property
    def rectangle(self):
        """Rectangle of the whole canvas."""
        return 0, 0, self.depth.shape[1], self.depth.shape[0]

    def copy(self):
        """Return a copy of the canvas."""
        return Canvas(self.colour.copy(), self.depth.copy(), self.owner.copy())

    def copy_from(self, other, rectangle):
        """Copy a rectangle of another canvas of the same size."""
        x0, y0, x1, y1 = rectangle
        for target, source in ((self.colour, other.colour), (self.depth, other.depth), (self.owner, other.owner)):
            target[y0:y1, x0:x1] = source[y0:y1, x0:x1]

    def clear(self, rectangle):
        """Make a rectangle empty (black)."""
        x0, y0, x1, y1 = rectangle
        for plane in (self.colour, self.depth, self.owner):
            plane[y0:y1, x0:x1] = 0

    def draw(self, points, inverse_depth, colours, triangles, owner, rectangle):
        """Draw the triangles that face the camera within a rectangle; nearer triangles occlude farther ones.

        Parameters
        ----------
        points : array (vertex, xy 2), float32
            Positions in the image, in samples.
        inverse_depth : array (vertex,), float32
            1 / distance. Triangles with a value of 0 or less, at or behind the camera, are skipped.
        colours : array (vertex, 3), float32
            RGB, 0..255; interpolated with perspective correction.
        triangles : array (triangle, 3), int32
            Counter-clockwise viewed from outside.
        owner : array (triangle,), uint8
            Label of the samples that a triangle fills.
        rectangle : tuple of 4 int
        """
        _draw(self.colour, self.depth, self.owner, points, inverse_depth, colours, triangles, owner, *rectangle)


@njit(cache=True, nogil=True, error_model="numpy")
def project_points(points, position, rotation, k1, focal_px, width_px, height_px):
    """Project points in the world frame to pixels; the same as `scene.View.project`, without temporary arrays.

    Parameters
    ----------
    points : array (point, xyz 3), float32 or float64, metres
    position : array (xyz 3), float64
        Position of the camera, world frame, metres.
    rotation : array (3, 3), float64
        Rotation from the world frame to the camera frame.
    k1 : float
        First coefficient of radial distortion.
    focal_px : float
        Focal length, pixels.
    width_px, height_px : int
        Size of the image.

    Returns
    -------
    pixels : array (point, xy 2), float32
    inverse_depth : array (point,), float32
        1 / distance along the optical axis, 1/m; 0 for points behind the camera or less than 10 mm in front of it.
    """
    pixels = np.empty((len(points), 2), np.float32)
    inverse_depth = np.empty(len(points), np.float32)
    for i in range(len(points)):
        x, y, z = points[i, 0] - position[0], points[i, 1] - position[1], points[i, 2] - position[2]
        depth = x * rotation[2, 0] + y * rotation[2, 1] + z * rotation[2, 2]
        inverse = 1.0 / depth if depth > 0.01 else 0.0
        u = (x * rotation[0, 0] + y * rotation[0, 1] + z * rotation[0, 2]) * inverse
        v = (x * rotation[1, 0] + y * rotation[1, 1] + z * rotation[1, 2]) * inverse
        stretch = 1.0 + k1 * (u * u + v * v)
        pixels[i, 0], pixels[i, 1] = u * stretch * focal_px + width_px / 2.0, v * stretch * focal_px + height_px / 2.0
        inverse_depth[i] = inverse
    return pixels, inverse_depth


@njit(cache=True, nogil=True)
def bounds(points, inverse_depth):
    """Return the smallest x and y and the largest x and y of points (point, xy 2), and their smallest inverse depth (point,)."""
    left, top, right, bottom, farthest = np.inf, np.inf, -np.inf, -np.inf, np.inf
    for i in range(len(points)):
        x, y = points[i, 0], points[i, 1]
        left, right, top, bottom = min(left, x), max(right, x), min(top, y), max(bottom, y)
        farthest = min(farthest, inverse_depth[i])
    return left, top, right, bottom, farthest


@njit(cache=True, fastmath=True, nogil=True)
def _draw(colour, depth, owner, points, inverse, rgb, triangles, label, left, top, right, bottom):
    """Draw triangles into the three planes of a canvas; see `Canvas.draw`."""
    # `slack`: each row of a triangle is extended by this many samples on both sides, to avoid gaps between triangles.
    half, one, slack = 0.5, 1.0, 1e-3
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        wa, wb, wc = inverse[a], inverse[b], inverse[c]
        if not (wa > 0.0 and wb > 0.0 and wc > 0.0):
            continue
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (cx - ax) * (by - ay) - (bx - ax) * (cy - ay)  # above 0 for front faces, because y points down
        if not area > 1e-6:
            continue
        x0 = max(left, int(np.floor(min(ax, bx, cx) - 0.5)))
        x1 = min(right, int(np.ceil(max(ax, bx, cx) + 0.5)))
        y0 = max(top, int(np.floor(min(ay, by, cy) - 0.5)))
        y1 = min(bottom, int(np.ceil(max(ay, by, cy) + 0.5)))
        if x0 >= x1 or y0 >= y1:
            continue
        scale = 1.0 / area
        # Barycentric coordinates u (of b) and v (of c) are linear over the image.
        ux, uy = -(cy - ay) * scale, (cx - ax) * scale
        vx, vy = (by - ay) * scale, -(bx - ax) * scale
        kind = label[t]
        wba, wca = wb - wa, wc - wa
        r0, g0, b0 = rgb[a, 0] * wa, rgb[a, 1] * wa, rgb[a, 2] * wa
        r1, g1, b1 = rgb[b, 0] * wb - r0, rgb[b, 1] * wb - g0, rgb[b, 2] * wb - b0
        r2, g2, b2 = rgb[c, 0] * wc - r0, rgb[c, 1] * wc - g0, rgb[c, 2] * wc - b0
        # Each side's 1 / slope along x, or 0 if the side is parallel to the rows.
        wx = -(ux + vx)
        over_u, over_v, over_w = one / ux if ux != 0.0 else 0.0, one / vx if vx != 0.0 else 0.0, one / wx if wx != 0.0 else 0.0
        for y in range(y0, y1):
            py = y + half - ay
            u0, v0 = uy * py - ux * ax, vy * py - vx * ax
            # The samples of this row inside the triangle: u, v and 1 - u - v, which are linear in x, are at least 0.
            low, high = x0 + half, x1 - half
            for start, over in ((u0, over_u), (v0, over_v), (one - u0 - v0, over_w)):
                if over > 0.0:
                    low = max(low, -start * over - slack)
                elif over < 0.0:
                    high = min(high, -start * over + slack)
                elif start < 0.0:
                    high = low - one
            first, last = int(np.ceil(low - half)), int(np.floor(high - half))
            near_row, owner_row, colour_row = depth[y], owner[y], colour[y]
            for column in range(first, last + 1):
                px = column + half
                x = np.uintp(column)
                u, v = u0 + ux * px, v0 + vx * px
                near = wa + u * wba + v * wca
                if near > near_row[x]:
                    near_row[x] = near
                    owner_row[x] = kind
                    far = one / near
                    colour_row[x, 0] = np.uint8(min(max((r0 + u * r1 + v * r2) * far + half, 0.0), 255.0))
                    colour_row[x, 1] = np.uint8(min(max((g0 + u * g1 + v * g2) * far + half, 0.0), 255.0))
                    colour_row[x, 2] = np.uint8(min(max((b0 + u * b1 + v * b2) * far + half, 0.0), 255.0))


@njit(cache=True, fastmath=True, nogil=True)
def fill_mask(mask, points, triangles, use):
    """Set a mask (y, x), float32, to 1 inside triangles, whether they face the camera or not.

    Only triangles whose first vertex is true in `use` (vertex,) are drawn.
    """
    height, width = mask.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        if not use[a]:
            continue
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (cx - ax) * (by - ay) - (bx - ax) * (cy - ay)
        if not abs(area) > 1e-6:
            continue
        x0, x1 = max(0, int(np.floor(min(ax, bx, cx) - 0.5))), min(width, int(np.ceil(max(ax, bx, cx) + 0.5)))
        y0, y1 = max(0, int(np.floor(min(ay, by, cy) - 0.5))), min(height, int(np.ceil(max(ay, by, cy) + 0.5)))
        scale = 1.0 / area
        for y in range(y0, y1):
            for x in range(x0, x1):
                px, py = x + 0.5 - ax, y + 0.5 - ay
                u = (-(cy - ay) * px + (cx - ax) * py) * scale
                v = ((by - ay) * px - (bx - ax) * py) * scale
                if u >= -1e-4 and v >= -1e-4 and u + v <= 1.0001:
                    mask[y, x] = 1.0


@njit(cache=True, fastmath=True, nogil=True)
def soften(mask, left, top, right, bottom, radius):
    """Blur a rectangle of a mask (y, x), float32, in place.

    A box filter of +-`radius` pixels is applied twice along both axes. Pixels outside the rectangle count as 0.
    """
    scale = 1.0 / (2 * radius + 1)
    for _ in range(2):
        line = np.empty(right - left, dtype=np.float32)
        for y in range(top, bottom):
            line[:] = mask[y, left:right]
            total = line[: min(radius, right - left)].sum()
            for x in range(right - left):
                if x + radius < right - left:
                    total += line[x + radius]
                mask[y, left + x] = total * scale
                if x >= radius:
                    total -= line[x - radius]
        # Along columns, the running sum is computed for whole rows at once, because rows are contiguous in memory.
        block = mask[top:bottom, left:right].copy()
        sums = np.zeros(right - left, dtype=np.float32)
        for y in range(min(radius, bottom - top)):
            sums += block[y]
        for y in range(bottom - top):
            if y + radius < bottom - top:
                sums += block[y + radius]
            mask[top + y, left:right] = sums * scale
            if y >= radius:
                sums -= block[y - radius]


@njit(inline="always")
def _resolve(colour, owner, receives, key_shadow, hand_shadow, everything, image, left, top, right, bottom, supersample):
    """Compute `resolve`; `supersample` is a constant."""
    low_height, low_width = hand_shadow.shape
    share = np.float32(1.0 / (supersample * supersample))
    for y in range(top, bottom):
        y0 = max((y - 1) >> 1, 0)
        y1, fy = min(y0 + 1, low_height - 1), np.float32(0.25 if y & 1 else 0.75)
        upper_row, lower_row = hand_shadow[y0], hand_shadow[y1]
        key_row, line = key_shadow[y], image[y]
        for x in range(left, right):
            x0 = max((x - 1) >> 1, 0)
            x1, fx = np.uintp(min(x0 + 1, low_width - 1)), np.float32(0.25 if x & 1 else 0.75)
            x0, at = np.uintp(x0), np.uintp(x)
            a, b, c, d = upper_row[x0], upper_row[x1], lower_row[x0], lower_row[x1]
            dark = np.float32(0.0)
            if a + b + c + d > 0.0:
                upper, lower = a + fx * (b - a), c + fx * (d - c)
                dark = upper + fy * (lower - upper)
            sy, sx = y * supersample, x * supersample
            touched = everything or dark > 0.0
            if not touched:
                for v in range(supersample):
                    for u in range(supersample):
                        touched |= owner[np.uintp(sy + v), np.uintp(sx + u)] <= COVER
            if not touched:
                continue
            fr = fg = fb = np.float32(0.5)
            if dark > 0.0 or key_row[at] > 0.0:
                white = (np.float32(1.0) - dark) * (np.float32(1.0) - key_row[at]) * share
                for v in range(supersample):
                    for u in range(supersample):
                        i, j = np.uintp(sy + v), np.uintp(sx + u)
                        kind = owner[i, j]
                        light = white if kind == WHITE_KEY else (np.float32(1.0) - receives[kind] * dark) * share
                        fr += light * colour[i, j, 0]
                        fg += light * colour[i, j, 1]
                        fb += light * colour[i, j, 2]
            else:
                for v in range(supersample):
                    for u in range(supersample):
                        i, j = np.uintp(sy + v), np.uintp(sx + u)
                        fr += share * colour[i, j, 0]
                        fg += share * colour[i, j, 1]
                        fb += share * colour[i, j, 2]
            line[at, 0], line[at, 1], line[at, 2] = np.uint8(fr), np.uint8(fg), np.uint8(fb)


@njit(cache=True, fastmath=True, nogil=True)
def resolve(colour, owner, receives, key_shadow, hand_shadow, everything, image, left, top, right, bottom, supersample):
    """Average the samples of a rectangle of pixels into the image, and apply the shadows.

    Parameters
    ----------
    colour, owner : arrays (y * supersample, x * supersample, ...)
        Colours and labels of a `Canvas`.
    receives : array (owner,), float32
        Strength of the hands' shadow by label, see `RECEIVES`.
    key_shadow : array (y, x), float32
        Share of the light on the white keys that the black keys block, 0..1.
    hand_shadow : array (ceil(y / 2), ceil(x / 2)), float32
        Share of the light on the keyboard that the hands block, 0..1, at half the resolution of the image.
    everything : bool
        True: write all pixels. False: write only pixels with a hand, a cover or a hand's shadow.
    image : array (y, x, 3), uint8
        The result is written into it.
    left, top, right, bottom : int
        Rectangle, pixels.
    supersample : int
        Samples per pixel along each axis.
    """
    # Compiled once for each number of samples, so that the loops over samples are unrolled.
    if supersample == 1:
        _resolve(colour, owner, receives, key_shadow, hand_shadow, everything, image, left, top, right, bottom, 1)
    elif supersample == 2:
        _resolve(colour, owner, receives, key_shadow, hand_shadow, everything, image, left, top, right, bottom, 2)


@njit(cache=True, fastmath=True, nogil=True)
def shade(normals, colours, light, ambient):
    """Shade skin and cloth with ambient light from above, one lamp and a slight gloss. Return colours (vertex, rgb 3), 0..255.

    Parameters
    ----------
    normals, colours : arrays (vertex, 3), float32
        Unit normals in the world frame; RGB colours, 0..1.
    light : array (3,), float32
        Unit vector towards the lamp, world frame.
    ambient : float
        Share of the ambient light, 0..1.
    """
    out = np.empty_like(colours)
    # Half vector between the directions to the lamp and to a viewer straight above.
    hx, hy, hz = light[0], light[1], light[2] + 1.0
    norm = np.sqrt(hx * hx + hy * hy + hz * hz)
    for v in range(normals.shape[0]):
        nx, ny, nz = normals[v, 0], normals[v, 1], normals[v, 2]
        lamp = nx * light[0] + ny * light[1] + nz * light[2]
        # Skin is translucent: the edge of the shadow is soft and reddish.
        wrapped = max((lamp + 0.18) / 1.18, 0.0)
        sky = ambient * (0.62 + 0.38 * nz)
        gloss = max((nx * hx + ny * hy + nz * hz) / norm, 0.0) ** 28 * 0.055
        warm = 0.10 * max(1.0 - abs(lamp) * 2.5, 0.0)
        for k in range(3):
            level = sky + (1.0 - ambient) * wrapped * (1.0 + (warm if k == 0 else -0.3 * warm))
            out[v, k] = 255.0 * (colours[v, k] * level + gloss)
    return out


@njit(cache=True, nogil=True)
def _expose_values(flat, gain, noise, out):
    """Compute `expose` for flat arrays; `gain` is an integer, in units of 1/1024."""
    for i in range(flat.size):
        value = ((np.int32(flat[i]) * gain + 512) >> 10) + noise[i]
        out[i] = np.uint8(min(max(value, 0), 255))


def expose(image, gain, noise):
    """Return an image (y, x, 3), uint8, multiplied by a gain, with `noise` (y * x * 3,), int8, added; None is no noise."""
    steps = np.int32(round(gain * 1024))
    if noise is None:
        if steps == 1024:
            return image
        noise = np.zeros(image.size, np.int8)
    out = np.empty_like(image)
    _expose_values(image.reshape(-1), steps, noise, out.reshape(-1))
    return out
