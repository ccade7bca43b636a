"""Edits of a video and its camera: cuts, fades, freeze frames, insets, and the segments that are usable."""
