"""Turn videos of piano playing, filmed from above, into a 3D hand-motion dataset.

The public entry points are imported on first use, so that `import handroll` is fast:

- `open_dataset(folder)` iterates over the clips of a dataset. See `handroll.dataset.shards.read_rows`.
- `generate(recording, out, name)` generates hand motion for a recording, and writes motion, fingering, MIDI file and video. See
  `handroll.generation.generate.play`. `handroll.generation.trained.load_pianist` loads a trained model for it.
"""

from importlib import import_module

__version__ = "0.1.0"

__all__ = ["__version__", "generate", "open_dataset"]

# Module of each entry point.
_MODULES = {"open_dataset": "handroll.dataset.shards", "generate": "handroll.generation.generate"}

# Name of each entry point's function in its module.
_FUNCTIONS = {"open_dataset": "read_rows", "generate": "play"}


def __getattr__(name):
    """Import an entry point on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), _FUNCTIONS[name])
