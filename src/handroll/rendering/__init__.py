"""Rendered video of hands and piano: meshes, scenes, rasteriser."""
