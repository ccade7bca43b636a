"""Rendering of hands and a piano as video: meshes, scenes, rasteriser."""
