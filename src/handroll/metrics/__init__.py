"""Metrics, one module per metric."""
