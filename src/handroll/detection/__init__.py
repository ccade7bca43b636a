"""Detection of hands in frames, and left and right hands over time."""
