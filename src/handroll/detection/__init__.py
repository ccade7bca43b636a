"""Detection of hands in frames: hand tracking, left/right assignment, and track recovery."""
