"""Media files: what they hold, their frames by presentation time, and where they come from."""
