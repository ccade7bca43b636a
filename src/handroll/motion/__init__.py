"""Clean motion from poses: outliers, gaps, flicker, smoothing, and resampling."""
