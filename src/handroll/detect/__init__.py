"""Finding hands in frames, and telling left from right over time."""
