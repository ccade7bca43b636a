"""From poses to motion: outliers, gaps, runs, smoothing."""
