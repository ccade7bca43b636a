"""Names of the kinds of scene in which the keyboard registration is measured.

The workflow needs the names to plan jobs. Therefore this module imports nothing, so that planning is fast.
"""

KINDS = ("plain", "partial", "dark", "crooked", "zoomed", "reflection", "lamp")
"""Kinds of scene.

- plain: the whole keyboard.
- partial: a part of the keyboard.
- dark: little light.
- crooked: a tilted and rolled camera with lens distortion.
- zoomed: the digital zoom of a phone camera, with blur and compression.
- reflection: a polished fallboard reflects the keys; possibly only a part of the keyboard is in the frame.
- lamp: a lamp near polished keys; possibly only a part of the keyboard is in the frame.
"""

HARDEST = ("reflection", "lamp")
"""Kinds for which twice as many scenes are measured. They are the hardest, because reflected keys look like keys."""
