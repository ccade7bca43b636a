"""Triangle mesh of the piano: 88 keys that can be pressed, with the geometry of `keyboard.geometry`, and the case around them."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from handroll.keyboard.geometry import BLACK_KEYS, N_KEYS, STANDARD, black_tops_mm, key_outlines_mm, tail_edges_mm
from handroll.rendering.raster import BLACK_KEY, FALLBOARD, FLOOR, PIANO, WHITE_KEY

PIVOT_Y_MM = 230.0
"""Distance from the front edge of a key to its axis of rotation (concert grand: about 230 mm)."""

PRESSED_DARKENING = 0.16
"""Share of the brightness that a fully pressed key loses, 0..1."""

# Distance from the nominal outline of a key to its sides.
_GAP_MM = 0.55

# z of the lower edge of the keys.
_KEY_BOTTOM_MM = -22.0

# Length (along y) of the sloping front of a black key.
_BLACK_SLOPE_MM = 4.5

_WHITE_RGB = np.array([0.905, 0.885, 0.840])
_BLACK_TOP_RGB = np.array([0.130, 0.130, 0.135])
_BLACK_SIDE_RGB = np.array([0.060, 0.060, 0.065])
_BLACK_FRONT_RGB = np.array([0.205, 0.205, 0.215])
_FELT_RGB = np.array([0.36, 0.06, 0.08])

# Key slip (the rail in front of the keys): y of its front, z of its top.
_SLIP_Y_MM, _SLIP_TOP_MM = -42.0, -12.0

# Key blocks at both ends of the keyboard: width, z of their top.
_CHEEK_MM, _CHEEK_TOP_MM = 62.0, 20.0

# z of the floor.
_FLOOR_Z_MM = -700.0

FALLBOARD_FOOT_MM = STANDARD.white_length_mm + 5.0
"""y of the lower edge of the fallboard, at the level of the white keys."""

FALLBOARD_MM = (25.0, 95.0)
"""Default fallboard: distance by which its upper edge is behind its lower edge (along y), and its height."""


@dataclass(frozen=True)
class PianoMesh:
    """Triangles of the piano with all keys up, world frame.

    Attributes
    ----------
    vertices_m : array (vertex, 3)
    colours : array (vertex, 3), float32
        RGB, 0..255, including shading.
    triangles : array (triangle, 3), int32
    owner : array (triangle,), uint8
        Label of the object: `raster.WHITE_KEY`, `BLACK_KEY`, `PIANO`, `FLOOR` or `FALLBOARD`.
    key : array (vertex,), int
        Key 0..87 that the vertex belongs to; -1 for fixed parts.
    """

    vertices_m: np.ndarray
    colours: np.ndarray
    triangles: np.ndarray
    owner: np.ndarray
    key: np.ndarray

    def pressed(self, key_depth_mm):
        """Return vertices (vertex, 3) and colours (vertex, 3) with the keys pressed.

        `key_depth_mm` (key 88,) is the depth of each key at its front edge.
        """
        depth = np.where(self.key >= 0, np.asarray(key_depth_mm)[self.key], 0.0)
        vertices = self.vertices_m.copy()
        vertices[:, 2] -= 1e-3 * depth * (1.0 - self.vertices_m[:, 1] * 1e3 / PIVOT_Y_MM)
        dimmed = 1.0 - PRESSED_DARKENING * depth / STANDARD.dip_mm
        return vertices, (self.colours * dimmed[:, None]).astype(np.float32)


class _Builder:
    """Builder of a `PianoMesh` from quadrilaterals, each with its own vertices."""

    def __init__(self):
        self.vertices, self.colours, self.triangles, self.owner, self.key = [], [], [], [], []
        self.count = 0

    def face(self, corners, colours, owner, key=-1, splits=(1, 1)):
        """Add a face.

        Parameters
        ----------
        corners : array (4, 3), mm
            Counter-clockwise viewed from outside.
        colours : array (3,) or (4, 3), 0..1
            One colour for all corners, or one for each corner.
        owner : int
            Label of the object, a constant of `raster`.
        key : int
            Key 0..87 that the face belongs to; -1 for fixed parts.
        splits : (int, int)
            Numbers of parts that the face is split into, along its first and along its second edge.
        """
        corners = np.asarray(corners, dtype=float)
        colours = np.broadcast_to(np.asarray(colours, dtype=float), (4, 3))
        u, v = (np.linspace(0.0, 1.0, n + 1) for n in splits)
        u, v = u[:, None, None], v[None, :, None]

        def interpolate(values):
            return ((1 - u) * (1 - v) * values[0] + u * (1 - v) * values[1] + u * v * values[2] + (1 - u) * v * values[3]).reshape(-1, 3)

        rows, columns = splits
        first = np.arange(rows)[:, None] * (columns + 1) + np.arange(columns) + self.count
        a, b, c, d = first.ravel(), first.ravel() + columns + 1, first.ravel() + columns + 2, first.ravel() + 1
        self.vertices.append(interpolate(corners))
        self.colours.append(interpolate(colours))
        self.triangles.append(np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))
        self.owner.append(np.full(2 * rows * columns, owner, np.uint8))
        self.key.append(np.full((rows + 1) * (columns + 1), key))
        self.count += (rows + 1) * (columns + 1)

    def box(self, low, high, colour, owner, splits=1):
        """Add a box between two corners, without a bottom; the sides are darker than the top. `splits` is the number of parts along x."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        colour = np.asarray(colour)
        self.face([(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)], colour, owner, splits=(splits, 1))
        self.face([(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)], 0.75 * colour, owner, splits=(splits, 1))
        self.face([(x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)], 0.6 * colour, owner)
        self.face([(x0, y1, z0), (x0, y0, z0), (x0, y0, z1), (x0, y1, z1)], 0.6 * colour, owner)

    def mesh(self):
        """Return the mesh of all faces."""
        return PianoMesh(
            np.concatenate(self.vertices) * 1e-3,
            (np.concatenate(self.colours) * 255.0).astype(np.float32),
            np.concatenate(self.triangles).astype(np.int32),
            np.concatenate(self.owner),
            np.concatenate(self.key),
        )


def _white_key(build, key, outline, tail, shade):
    """Add a white key: top and side walls. The top is darker towards the fallboard."""
    front, back = STANDARD.black_front_mm, STANDARD.white_length_mm
    colour = _WHITE_RGB * shade
    x0, x1 = outline[:2, 0] + (_GAP_MM, -_GAP_MM)
    t0, t1 = tail + (_GAP_MM, -_GAP_MM)
    # Length (along y, mm) of the rounded front edge, which gets less light from above.
    lip = 1.4
    levels = (
        (x0, x1, 0.0, lip, 0.90, 0.99),
        (x0, x1, lip, front, 0.99, 1.0),
        (t0, t1, front, back - 14.0, 1.0, 0.99),
        (t0, t1, back - 14.0, back, 0.99, 0.70),
    )
    for left, right, y0, y1, near, far in levels:
        corners = [(left, y0, 0.0), (right, y0, 0.0), (right, y1, 0.0), (left, y1, 0.0)]
        build.face(corners, np.outer([near, near, far, far], colour), WHITE_KEY, key)
    walls = np.array([(x0, 0.0), (x1, 0.0), (x1, front), (t1, front), (t1, back), (t0, back), (t0, front), (x0, front)])
    for (ax, ay), (bx, by) in zip(walls, np.roll(walls, -1, axis=0), strict=True):
        if np.hypot(bx - ax, by - ay) > 0.1:
            wall = colour * (0.62 if ay == by == 0.0 else 0.34)
            corners = [(ax, ay, _KEY_BOTTOM_MM), (bx, by, _KEY_BOTTOM_MM), (bx, by, 0.0), (ax, ay, 0.0)]
            build.face(corners, np.outer([0.6, 0.6, 1.0, 1.0], wall), WHITE_KEY, key)


def _black_key(build, key, tail, top):
    """Add a black key: a bar with inclined sides and a sloping front."""
    front, back = STANDARD.black_front_mm, STANDARD.white_length_mm
    (x0, x1), z = tail + (0.3, -0.3), STANDARD.black_height_mm
    t0, t1 = top[0, 0], top[1, 0]
    y0, y1 = front + 0.8, front + _BLACK_SLOPE_MM
    low = 0.0
    build.face(
        [(t0, y1, z), (t1, y1, z), (t1, back, z), (t0, back, z)], np.outer([1.15, 1.15, 0.8, 0.8], _BLACK_TOP_RGB), BLACK_KEY, key, (1, 2)
    )
    build.face([(x0, y0, low), (x1, y0, low), (t1, y1, z), (t0, y1, z)], np.outer([0.45, 0.45, 1.0, 1.0], _BLACK_FRONT_RGB), BLACK_KEY, key)
    build.face([(x1, y0, low), (x1, back, low), (t1, back, z), (t1, y1, z)], 0.8 * _BLACK_SIDE_RGB, BLACK_KEY, key)
    build.face([(x0, back, low), (x0, y0, low), (t0, y1, z), (t0, back, z)], 1.5 * _BLACK_SIDE_RGB, BLACK_KEY, key)
    for ax, ay, bx, by in ((x0, y0, x1, y0), (x1, y0, x1, back), (x0, back, x0, y0)):
        build.face(
            [(ax, ay, _KEY_BOTTOM_MM), (bx, by, _KEY_BOTTOM_MM), (bx, by, low), (ax, ay, low)], 0.4 * _BLACK_SIDE_RGB, BLACK_KEY, key
        )


@cache
def build_piano(wood_rgb, floor_rgb, fallboard_mm=FALLBOARD_MM):
    """Build the mesh of the instrument; cached, with read-only arrays.

    Parameters
    ----------
    wood_rgb, floor_rgb : tuple of 3 float
        RGB, 0..1.
    fallboard_mm : (lean, height)
        See `FALLBOARD_MM`.

    Returns
    -------
    PianoMesh
    """
    build = _Builder()
    outlines, tails = key_outlines_mm(), tail_edges_mm()
    # The shades of white keys differ slightly.
    shades = 1.0 + 0.012 * np.sin(np.arange(N_KEYS) * 12.9898) * np.cos(np.arange(N_KEYS) * 3.7)
    tops = dict(zip(BLACK_KEYS.tolist(), black_tops_mm(), strict=True))
    for key in range(N_KEYS):
        if key in tops:
            _black_key(build, key, tails[key], tops[key])
        else:
            _white_key(build, key, outlines[key], tails[key], shades[key])
    left, right = outlines[0][0, 0], outlines[-1][1, 0]
    back = STANDARD.white_length_mm
    wood, floor = np.asarray(wood_rgb), np.asarray(floor_rgb)
    x0, x1 = left - _CHEEK_MM, right + _CHEEK_MM
    build.face(
        [(left, -8.0, _KEY_BOTTOM_MM), (right, -8.0, _KEY_BOTTOM_MM), (right, back, _KEY_BOTTOM_MM), (left, back, _KEY_BOTTOM_MM)],
        0.35 * wood,
        PIANO,
        splits=(24, 1),
    )
    build.box((x0, _SLIP_Y_MM, -75.0), (x1, -3.0, _SLIP_TOP_MM), wood, PIANO, splits=24)
    for a, b in ((x0, left - 1.0), (right + 1.0, x1)):
        build.box((a, _SLIP_Y_MM, -75.0), (b, back + 4.0, _CHEEK_TOP_MM), 1.25 * wood, PIANO)
    build.box((left, back + 0.5, -15.0), (right, back + 5.0, 3.0), _FELT_RGB, PIANO, splits=24)
    # Fallboard, leaning back, and the lid behind it.
    (lean, high), foot = fallboard_mm, FALLBOARD_FOOT_MM
    front = [(x0, foot, 0.0), (x1, foot, 0.0), (x1, foot + lean, high), (x0, foot + lean, high)]
    build.face(front, np.outer([0.55, 0.55, 1.05, 1.05], wood), FALLBOARD, splits=(24, 2))
    lid = [(x0, foot + lean, high), (x1, foot + lean, high), (x1, back + 700.0, high), (x0, back + 700.0, high)]
    build.face(lid, np.outer([1.35, 1.35, 1.0, 1.0], wood), PIANO, splits=(24, 8))
    ground = [
        (left - 2600, -2400, _FLOOR_Z_MM),
        (right + 2600, -2400, _FLOOR_Z_MM),
        (right + 2600, 2400, _FLOOR_Z_MM),
        (left - 2600, 2400, _FLOOR_Z_MM),
    ]
    build.face(ground, np.outer([1.0, 0.92, 0.9, 1.0], floor), FLOOR, splits=(24, 24))
    mesh = build.mesh()
    for array in vars(mesh).values():
        array.setflags(write=False)
    return mesh
