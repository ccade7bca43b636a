"""Clips as models take them: the model frame, windows, batches and cached features."""
