"""The 88 keys: geometry in millimetres."""
