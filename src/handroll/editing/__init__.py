"""Edits of a video: cuts, fades, freeze frames, insets, camera motion, and the usable segments."""
