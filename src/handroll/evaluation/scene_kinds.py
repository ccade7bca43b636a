"""Names of the kinds of scene for the keyboard registration. Planning needs them, so this module imports nothing."""

KINDS = ("plain", "partial", "dark", "crooked", "zoomed", "reflection", "lamp")
"""Kinds of scene, in order: the whole keyboard; part of the keyboard; little light; a tilted and rolled camera with lens distortion; a
zoomed-in phone camera with blur and compression; a polished fallboard; a lamp near polished keys. The last two may show part of the
keyboard."""

HARDEST = ("reflection", "lamp")
"""Kinds with twice as many scenes, because reflected keys look like keys."""
