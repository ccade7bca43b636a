"""Kinds of scene that make the keyboard hard to find. Planning needs these names, so this module imports nothing."""

KINDS = ("plain", "partial", "dark", "crooked", "zoomed", "reflection", "lamp")
"""The whole keyboard; a part of it; little light; a camera that is tilted, rolled and distorts; a telephone zoomed in, its picture
soft and compressed; a polished fallboard; a lamp near polished keys. The last two also of parts of the keyboard."""

HARDEST = ("reflection", "lamp")
"""Kinds of which twice as many scenes are drawn: mirrored keys look like keys."""
