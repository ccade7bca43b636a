"""Accuracy of every step of the pipeline, measured on simulated performances with known ground truth."""
