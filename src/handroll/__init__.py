"""handroll: videos of piano playing, seen from above, become a 3D hand-motion dataset."""

__version__ = "0.1.0"
