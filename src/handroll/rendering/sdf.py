"""Signed distance fields of round shapes, and triangle meshes of their surface (zero level).

A field is a function of points (point, xyz 3) that returns signed distances (point,), negative inside. Lengths are in the unit of the
points. Smooth union and cones after Quilez, https://iquilezles.org/articles/distfunctions; meshing after Gibson 1998,
"Constrained Elastic Surface Nets" (doi:10.1007/BFb0056277), without the relaxation.
"""

import numpy as np

# Corners of a grid cell, and its edges as pairs of corner indices.
_CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
_CELL_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]


def cone_distance(points, start, end, start_radius, end_radius, stretch=(1.0, 1.0, 1.0)):
    """Return the signed distance to a cone with round ends, whose radius changes linearly from start to end.

    Parameters
    ----------
    points : array (point, 3)
    start, end : array (3,)
        Centres of the two end spheres.
    start_radius, end_radius : float
    stretch : array (3,)
        Factor of the distance from the axis for each coordinate. Above 1, the shape is thinner in that direction.

    Returns
    -------
    array (point,)
    """
    start, axis = np.asarray(start, dtype=points.dtype), np.subtract(end, start).astype(points.dtype)
    offset = points - start
    along = np.clip(offset @ axis / (axis @ axis), 0.0, 1.0)
    offset -= along[:, None] * axis
    offset *= np.asarray(stretch, dtype=points.dtype)
    return np.sqrt(np.einsum("ij,ij->i", offset, offset)) - (start_radius + along * (end_radius - start_radius))


def smooth_union(first, second, blend):
    """Return the union of two fields (point,), with the seam smoothed over a width of `blend` by a quadratic polynomial."""
    gap = np.maximum(blend - np.abs(first - second), 0.0) / blend
    return np.minimum(first, second) - gap * gap * (blend / 4.0)


def gradient(field, points, step):
    """Return the unit outward normals (point, xyz 3) of a field, from central differences of +-`step`."""
    slope = np.stack([field(points + d) - field(points - d) for d in np.eye(3, dtype=points.dtype) * step], axis=1)
    return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)


def surface_nets(field, low, high, spacing):
    """Mesh the surface (zero level) of a field inside a box. The surface must not touch the sides of the box.

    Each grid cell that the surface crosses gets one vertex: the mean of the points where the surface crosses the edges of the cell. Each
    crossed grid edge gets a quadrilateral of the vertices of its four cells. Then the vertices are moved along the gradient to the
    surface.

    Parameters
    ----------
    field : callable, points (point, 3) -> (point,)
    low, high : array (3,)
        Corners of the box.
    spacing : float
        Spacing of the grid.

    Returns
    -------
    vertices : array (vertex, 3), float64
    triangles : array (triangle, 3), int32
        Vertex indices, counter-clockwise viewed from outside.
    """
    axes = [np.arange(a, b + spacing, spacing, dtype=np.float32) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = field(grid.reshape(-1, 3)).reshape(grid.shape[:3])
    inside = values < 0.0

    cells = np.array(values.shape) - 1
    count = sum(inside[tuple(slice(c, c + n) for c, n in zip(corner, cells, strict=True))].astype(np.int8) for corner in _CORNERS)
    active = np.argwhere((count > 0) & (count < 8))
    corner_values = np.stack([values[tuple((active + corner).T)] for corner in _CORNERS], axis=1)
    total, crossings = np.zeros((len(active), 3)), np.zeros(len(active))
    for a, b in _CELL_EDGES:
        crossed = (corner_values[:, a] < 0.0) != (corner_values[:, b] < 0.0)
        difference = np.where(crossed, corner_values[:, a] - corner_values[:, b], 1.0)
        share = corner_values[:, a] / difference
        total += np.where(crossed[:, None], _CORNERS[a] + share[:, None] * (_CORNERS[b] - _CORNERS[a]), 0.0)
        crossings += crossed
    vertices = np.asarray(low) + spacing * (active + total / crossings[:, None])

    index = np.full(cells, -1, dtype=np.int32)
    index[tuple(active.T)] = np.arange(len(active), dtype=np.int32)
    quads = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        lower = inside[tuple(slice(0, -1) if k == axis else slice(None) for k in range(3))]
        upper = inside[tuple(slice(1, None) if k == axis else slice(None) for k in range(3))]
        for leaving in (True, False):  # whether the grid edge leaves or enters the shape along its axis
            edges = np.argwhere((lower & ~upper) if leaving else (~lower & upper))
            corners = []
            for du, dv in ((1, 1), (0, 1), (0, 0), (1, 0)) if leaving else ((1, 1), (1, 0), (0, 0), (0, 1)):
                cell = edges.copy()
                cell[:, u] -= du
                cell[:, v] -= dv
                corners.append(index[tuple(cell.T)])
            quads.append(np.stack(corners, axis=1))
    quads = np.concatenate(quads)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)

    for _ in range(2):
        points = vertices.astype(np.float32)
        step = np.clip(field(points), -spacing / 2, spacing / 2)
        vertices = vertices - step[:, None] * gradient(field, points, 0.3 * spacing)
    return vertices, triangles
