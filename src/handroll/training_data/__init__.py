"""Clips as input of models: coordinate conventions, windows, batches and cached features."""
