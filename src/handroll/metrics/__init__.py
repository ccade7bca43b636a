"""Metrics of generated motion, one module per metric, and the tables of the benchmark."""
